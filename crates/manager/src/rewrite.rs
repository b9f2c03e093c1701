//! Changing a configuration file: it is whole at every moment, and keeps its owner and mode.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

/// Gives a file that exists another text. A file that is a link is changed where it is.
///
/// # Errors
/// Those of the operating system; then the file is as it was.
pub fn rewrite(file: &Path, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = file.with_file_name(name);
    let written = write_like(&fresh, text, &fs::metadata(&file)?);
    let done = written.and_then(|()| fs::rename(&fresh, &file));
    if let Err(error) = done {
        // What had that name already was not ours.
        if error.kind() != io::ErrorKind::AlreadyExists {
            drop(fs::remove_file(&fresh));
        }
        return Err(error);
    }
    file.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Writes a new file with the owner and the mode of another, for the manager reads it as another user;
/// all of it is on disk when this returns.
fn write_like(path: &Path, text: &str, former: &fs::Metadata) -> io::Result<()> {
    // Whatever has that name already is not ours, a link to elsewhere perhaps.
    let options = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
    let mut file = options.open(path)?;
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (former.uid(), former.gid()) {
        fchown(&file, Some(former.uid()), Some(former.gid())).map_err(|error| {
            let owner = format!("{}:{}", former.uid(), former.gid());
            io::Error::other(format!(
                "the new file could not be given to its owner {owner}: {error}"
            ))
        })?;
    }
    file.set_permissions(fs::Permissions::from_mode(former.permissions().mode()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_mode_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("app1.cnf"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        rewrite(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
        assert!(rewrite(&folder.path().join("none"), "new").is_err());
    }

    #[test]
    fn what_has_the_name_of_the_new_file_already_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (other, link) = (folder.path().join("other"), folder.path().join("link"));
        fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let former = fs::metadata(&other).unwrap();
        assert!(write_like(&link, "ours", &former).is_err());
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
    }
}
