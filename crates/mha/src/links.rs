//! The names that MHA's commands are called by, as links to this program.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::commands::COMMANDS;

/// What the program is called.
const PROGRAM: &str = "primacy";

/// What is added to the name of a file that a link takes the place of.
const KEPT: &str = ".before-primacy";

/// A link that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledLink {
    /// Where.
    pub path: PathBuf,
    /// What was done.
    pub state: LinkState,
}

/// What was done for a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It was there.
    Already,
    /// It was made.
    Made,
    /// It was made, and the file of this name is kept under that one.
    Replaced(PathBuf),
}

/// Why no link was made, or not all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// There are other files of these names.
    #[error("{} there already and not Primacy's; no link was made", are(.0))]
    Strangers(Vec<PathBuf>),
    /// The operating system refused.
    #[error("could not {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn are(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
    format!("{} {}", names.join(", "), if files.len() == 1 { "is" } else { "are" })
}

/// Makes a link to `program` in `folder` for each command that this version has. With `force` other
/// files of these names are kept under others; without it nothing is done then.
///
/// # Errors
/// Other files of these names, or what the system refused.
pub fn install_links(
    folder: &Path,
    program: &Path,
    force: bool,
) -> Result<Vec<InstalledLink>, LinkError> {
    let names: Vec<_> = COMMANDS.iter().filter(|c| c.built.is_some()).map(|c| c.name).collect();
    install(folder, program, force, &names)
}

enum Found {
    Nothing,
    TheLink,
    OldLink,
    Stranger,
}

fn install(
    folder: &Path,
    program: &Path,
    force: bool,
    names: &[&str],
) -> Result<Vec<InstalledLink>, LinkError> {
    let mut wanted = Vec::new();
    for name in names {
        let path = folder.join(name);
        let found = look(&path, program)?;
        wanted.push((path, found));
    }
    let strangers = wanted.iter().filter(|(_, found)| matches!(found, Found::Stranger));
    let strangers: Vec<_> = strangers.map(|(path, _)| path.clone()).collect();
    if !force && !strangers.is_empty() {
        return Err(LinkError::Strangers(strangers));
    }
    wanted.into_iter().map(|(path, found)| one(path, &found, program)).collect()
}

fn look(path: &Path, program: &Path) -> Result<Found, LinkError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(source) => Err(failed("look at", path, source)),
        Ok(meta) if !meta.is_symlink() => Ok(Found::Stranger),
        Ok(_) => {
            let target = fs::read_link(path).map_err(|source| failed("read", path, source))?;
            // A link to a program of that name is ours, wherever it was installed before.
            Ok(match target {
                target if target == program => Found::TheLink,
                target if target.file_name().is_some_and(|name| name == PROGRAM) => Found::OldLink,
                _ => Found::Stranger,
            })
        }
    }
}

fn one(path: PathBuf, found: &Found, program: &Path) -> Result<InstalledLink, LinkError> {
    let state = match found {
        Found::TheLink => return Ok(InstalledLink { path, state: LinkState::Already }),
        Found::Nothing | Found::OldLink => LinkState::Made,
        Found::Stranger => LinkState::Replaced(keep(&path)?),
    };
    // Whoever calls the command meanwhile finds the old one or the new one.
    let beside = with_ending(&path, ".new-link");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &beside, error));
        }
        _ => {}
    }
    symlink(program, &beside).map_err(|source| failed("make the link", &beside, source))?;
    fs::rename(&beside, &path).map_err(|source| failed("make the link", &path, source))?;
    Ok(InstalledLink { path, state })
}

/// A second name for the file, which no other file has.
fn keep(path: &Path) -> Result<PathBuf, LinkError> {
    let kept = with_ending(path, KEPT);
    let meta = fs::symlink_metadata(path).map_err(|source| failed("look at", path, source))?;
    if meta.is_symlink() {
        let target = fs::read_link(path).map_err(|source| failed("read", path, source))?;
        symlink(target, &kept).map_err(|source| failed("make", &kept, source))?;
    } else {
        fs::hard_link(path, &kept).map_err(|source| failed("make", &kept, source))?;
    }
    Ok(kept)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> LinkError {
    LinkError::Io { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["one", "two"];

    #[test]
    fn links_are_made_once_and_follow_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let states = |program: &str| -> Vec<LinkState> {
            let links = install(dir.path(), Path::new(program), false, &NAMES).unwrap();
            links.into_iter().map(|link| link.state).collect()
        };
        assert_eq!(states("/opt/primacy"), [LinkState::Made, LinkState::Made]);
        assert_eq!(states("/opt/primacy"), [LinkState::Already, LinkState::Already]);
        assert_eq!(states("/usr/bin/primacy"), [LinkState::Made, LinkState::Made]);
        let target = fs::read_link(dir.path().join("one")).unwrap();
        assert_eq!(target, Path::new("/usr/bin/primacy"));
    }

    #[test]
    fn what_is_not_ours_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::write(&two, "#!/usr/bin/perl").unwrap();
        let program = Path::new("/usr/bin/primacy");
        let refused = install(dir.path(), program, false, &NAMES).unwrap_err();
        assert!(refused.to_string().contains("two is there already"), "{refused}");
        assert!(!one.exists() && fs::symlink_metadata(&one).is_err(), "nothing was done");
        let links = install(dir.path(), program, true, &NAMES).unwrap();
        let kept = dir.path().join("two.before-primacy");
        assert_eq!(links[1].state, LinkState::Replaced(kept.clone()));
        assert_eq!(fs::read_to_string(&kept).unwrap(), "#!/usr/bin/perl");
        assert_eq!(fs::read_link(&two).unwrap(), program);
        // A second stranger does not take the place of the first that is kept.
        fs::remove_file(&two).unwrap();
        fs::write(&two, "other").unwrap();
        install(dir.path(), program, true, &NAMES).unwrap_err();
        assert_eq!(fs::read_to_string(&two).unwrap(), "other");
        assert_eq!(fs::read_to_string(&kept).unwrap(), "#!/usr/bin/perl");
    }
}
