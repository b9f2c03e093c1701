//! The two files by which managers tell each other, and themselves after a restart, what became of
//! the last failover: `APP.failover.complete` and `APP.failover.error`. While one of them locks out,
//! no failover is done.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The flag files of an application.
#[derive(Clone, Debug)]
pub struct Flags {
    complete: PathBuf,
    error: PathBuf,
}

/// Why no failover is done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockOut {
    /// The last one was not long enough ago.
    Recent {
        /// The file that says so.
        file: PathBuf,
        /// How long ago it was.
        ago: Duration,
        /// How long it has to be ago.
        window: Duration,
    },
    /// The last one failed, and nobody has said that it was looked after.
    Failed {
        /// The file that says so.
        file: PathBuf,
    },
}

impl std::fmt::Display for LockOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Recent { file, ago, window } => write!(
                f,
                "the last failover was {} minutes ago, and a new one is not done before {} minutes \
                 have passed ({}): look at why there was one, then remove that file, or say \
                 --ignore_last_failover or --last_failover_minute",
                ago.as_secs() / 60,
                window.as_secs() / 60,
                file.display()
            ),
            Self::Failed { file } => write!(
                f,
                "the last failover failed ({}): look at the servers, then remove that file or say \
                 --ignore_last_failover",
                file.display()
            ),
        }
    }
}

impl Flags {
    /// Those of `app` in this folder.
    pub fn new(workdir: &Path, app: &str) -> Self {
        Self {
            complete: workdir.join(format!("{app}.failover.complete")),
            error: workdir.join(format!("{app}.failover.error")),
        }
    }

    /// Whether a failover is locked out now. A file that is older than `window` is removed.
    ///
    /// # Errors
    /// If a file is there and cannot be looked at or removed.
    pub fn lock_out(&self, window: Duration) -> io::Result<Option<LockOut>> {
        if age(&self.error)?.is_some() {
            return Ok(Some(LockOut::Failed { file: self.error.clone() }));
        }
        match age(&self.complete)? {
            Some(ago) if ago < window => {
                Ok(Some(LockOut::Recent { file: self.complete.clone(), ago, window }))
            }
            Some(_) => remove(&self.complete).map(|()| None),
            None => Ok(None),
        }
    }

    /// Forgets the last failover.
    ///
    /// # Errors
    /// If a file is there and cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        remove(&self.complete)?;
        remove(&self.error)
    }

    /// A failover was done, completely or with replicas left behind.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn set_complete(&self) -> io::Result<()> {
        make(&self.complete)
    }

    /// A failover was begun and failed.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn set_error(&self) -> io::Result<()> {
        make(&self.error)
    }
}

fn age(path: &Path) -> io::Result<Option<Duration>> {
    match fs::symlink_metadata(path) {
        // One from the future is new.
        Ok(meta) => {
            Ok(Some(SystemTime::now().duration_since(meta.modified()?).unwrap_or_default()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Made anew, so that its time is now, and never through somebody's symbolic link.
fn make(path: &Path) -> io::Result<()> {
    remove(path)?;
    OpenOptions::new().write(true).create_new(true).mode(0o644).open(path).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};

    use super::*;

    const WINDOW: Duration = Duration::from_secs(480 * 60);

    fn aged(path: &Path, by: Duration) {
        let times = FileTimes::new().set_modified(SystemTime::now() - by);
        File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    }

    #[test]
    fn a_failover_locks_out_the_next_one_for_the_window() {
        let folder = tempfile::tempdir().unwrap();
        let flags = Flags::new(folder.path(), "app1");
        assert_eq!(flags.lock_out(WINDOW).unwrap(), None);
        flags.set_complete().unwrap();
        let Some(LockOut::Recent { ago, .. }) = flags.lock_out(WINDOW).unwrap() else {
            panic!("not locked out")
        };
        assert!(ago < Duration::from_secs(60));
        let file = folder.path().join("app1.failover.complete");
        aged(&file, WINDOW - Duration::from_secs(60));
        assert!(flags.lock_out(WINDOW).unwrap().is_some());
        aged(&file, WINDOW);
        assert_eq!(flags.lock_out(WINDOW).unwrap(), None);
        assert!(!file.exists(), "an old one is removed");
    }

    #[test]
    fn a_failed_one_locks_out_until_somebody_removes_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let flags = Flags::new(folder.path(), "app1");
        flags.set_error().unwrap();
        aged(&folder.path().join("app1.failover.error"), WINDOW * 10);
        assert!(matches!(flags.lock_out(WINDOW).unwrap(), Some(LockOut::Failed { .. })));
        flags.clear().unwrap();
        assert_eq!(flags.lock_out(WINDOW).unwrap(), None);
    }
}
