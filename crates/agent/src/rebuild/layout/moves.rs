//! Single steps of a change of places. A test can have each be the last before a crash.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use primacy_failpoint as failpoint;

/// What happens to what has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is an error.
    Refused,
    /// A file is replaced.
    Replaced,
}

fn told(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let what = || format!("renaming {} to {}", from.display(), to.display());
    fs::rename(from, to).map_err(|error| told(&error, &what()))?;
    #[cfg(test)]
    interruption::step()?;
    Ok(())
}

/// Moves entries of a directory, those with names that are not text too.
pub(super) fn move_all(
    from: &Path,
    to: &Path,
    step: &str,
    taken: Taken,
    which: impl Fn(&str) -> bool,
) -> io::Result<()> {
    if !from.try_exists()? {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if which(&name.to_string_lossy()) {
            let to = to.join(&name);
            if taken == Taken::Refused && fs::symlink_metadata(&to).is_ok() {
                let text = format!("{} is there already", to.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
            rename(&from.join(&name), &to)?;
            failpoint::hit("amid", step);
        }
    }
    Ok(())
}

/// A directory that only its owner enters; one that is there stays as it is.
pub(super) fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(told(&error, &format!("making {}", path.display()))),
        Ok(()) => {
            #[cfg(test)]
            interruption::step()?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        }
    }
}

/// Removes a directory in which nothing is left; one that holds something else stays.
pub(super) fn remove_emptied(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            tracing::warn!(path = %path.display(), "it holds something else, too, and stays");
        }
        Err(error) => return Err(told(&error, &format!("removing {}", path.display()))),
        Ok(()) => {}
    }
    #[cfg(test)]
    interruption::step()?;
    Ok(())
}

/// Says that everything was moved from `moved`, after that is on disk.
pub(super) fn set_mark(mark: &Path, moved: &Path) -> io::Result<()> {
    File::open(moved)?.sync_all()?;
    File::create(mark)?.sync_all()?;
    sync_folder_of(mark)?;
    #[cfg(test)]
    interruption::step()?;
    Ok(())
}

/// The same, the other way.
pub(super) fn remove_mark(mark: &Path, moved: &Path) -> io::Result<()> {
    File::open(moved)?.sync_all()?;
    fs::remove_file(mark)?;
    sync_folder_of(mark)?;
    #[cfg(test)]
    interruption::step()?;
    Ok(())
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
pub(super) mod interruption {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
    }

    /// The step with this number, counted from zero, is the last of this thread.
    pub(in crate::rebuild::layout) fn after(steps: u32) {
        LEFT.set(steps);
    }

    pub(in crate::rebuild::layout) fn never() {
        LEFT.set(u32::MAX);
    }

    pub(super) fn step() -> io::Result<()> {
        let left = LEFT.get();
        if left == 0 {
            return Err(io::Error::other("interrupted"));
        }
        LEFT.set(left - 1);
        Ok(())
    }
}
