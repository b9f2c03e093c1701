//! Which files are meant: those that are named, what is in a folder, standard input.

use std::path::{Path, PathBuf};

use primacy_binlog::index::logs_in;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// `-`
    Stdin,
    /// A file.
    File(PathBuf),
    /// The files of a folder.
    Folder(Vec<PathBuf>),
}

/// What each argument means. One that cannot be looked at is told, and the others go on; `true`
/// says that all could.
pub(super) fn all(paths: &[PathBuf], printer: &mut Printer) -> Result<(Vec<Input>, bool), Failure> {
    let (mut inputs, mut fine) = (Vec::new(), true);
    for path in paths {
        match one(path) {
            Ok(input) => inputs.push(input),
            Err(failure) => {
                printer.failure(&failure)?;
                fine = false;
            }
        }
    }
    if inputs.iter().filter(|input| **input == Input::Stdin).count() > 1 {
        return Err(Failure::usage("- can be named only once"));
    }
    Ok((inputs, fine))
}

fn one(path: &Path) -> Result<Input, Failure> {
    if path == Path::new("-") {
        return Ok(Input::Stdin);
    }
    if path.is_dir() {
        return Ok(Input::Folder(folder(path)?));
    }
    Ok(Input::File(path.to_owned()))
}

/// The logs in a folder.
pub(super) fn folder(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let logs = logs_in(path).map_err(|e| {
        Failure::new(Exit::Refused, format!("{} could not be read: {e}", path.display()))
    })?;
    if logs.is_empty() {
        let message = format!("{} has no binary logs", path.display());
        return Err(Failure::new(Exit::Refused, message).hint(
            "name the files themselves, or a folder with an index file or with files such as \
             binlog.000001",
        ));
    }
    Ok(logs)
}

/// A side of a comparison: a file, a folder, a pattern, or several after commas.
pub(super) fn side(text: &str) -> Result<Vec<PathBuf>, Failure> {
    let path = Path::new(text);
    if path.is_dir() {
        return folder(path);
    }
    if path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    if text.contains(',') {
        let parts: Result<Vec<_>, _> = text.split(',').map(side).collect();
        return Ok(parts?.concat());
    }
    if text.contains(['*', '?']) {
        return pattern(path);
    }
    let message = format!("{text} does not exist");
    Err(Failure::new(Exit::Refused, message)
        .hint("name a file, a folder, a pattern in quotes, or server:HOST:PORT"))
}

/// The files whose names match, in the order of their numbers.
fn pattern(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let wanted = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let logs = logs_in(folder).unwrap_or_default();
    let matching: Vec<PathBuf> = logs
        .into_iter()
        .filter(|log| {
            let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
            matches(wanted.as_bytes(), name.as_bytes())
        })
        .collect();
    if matching.is_empty() {
        let message = format!("no file matches {}", path.display());
        return Err(Failure::new(Exit::Refused, message));
    }
    Ok(matching)
}

/// `*` for any text, `?` for any character.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if matches(rest, name) => true,
        (Some((b'*', _)), Some((_, name))) => matches(pattern, name),
        (Some((wanted, rest)), Some((is, name))) => {
            (*wanted == b'?' || wanted == is) && matches(rest, name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("binlog.*", "binlog.000001", true),
            ("*.00000?", "binlog.000001", true),
            ("binlog.*", "relay.000001", false),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a?", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_side_may_be_a_folder_a_pattern_or_a_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b.000001", "b.000002", "c.000001"] {
            std::fs::write(path(name), "").unwrap();
        }
        let text = |name: &str| path(name).display().to_string();
        assert_eq!(side(&text("b.*")).unwrap(), [path("b.000001"), path("b.000002")]);
        let list = format!("{},{}", text("c.000001"), text("b.000001"));
        assert_eq!(side(&list).unwrap(), [path("c.000001"), path("b.000001")]);
        assert_eq!(side(&text("")).unwrap().len(), 3);
        assert!(side(&text("d.*")).is_err() && side(&text("d.1")).is_err());
    }
}
