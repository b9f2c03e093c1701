//! The status file of a manager, `APP.master_status.health` in its folder: one line with its process,
//! what it does and whose primary it watches. That the file was touched lately says that the primary
//! answers. Every reader finds a whole line: it is replaced, never rewritten in place.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Longer files are no status.
const LONGEST: u64 = 4096;

/// What a manager does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The number in the file, which is the exit code of `masterha_check_status`.
    pub code: u8,
    /// The word in the file.
    pub token: &'static str,
}

/// All that a manager or its status file can say, by code.
pub const STATUSES: [Status; 12] = [
    PING_OK,
    NOT_RUNNING,
    PARTIALLY_RUNNING,
    INITIALIZING,
    PING_FAILING,
    PING_FAILED,
    RETRYING,
    CONFIG_ERROR,
    TIMESTAMP_OLD,
    FAILOVER_RUNNING,
    FAILOVER_ERROR,
    Status { code: 1, token: "ERROR" },
];

/// The primary answers.
pub const PING_OK: Status = Status { code: 0, token: "PING_OK" };
/// There is no manager.
pub const NOT_RUNNING: Status = Status { code: 2, token: "NOT_RUNNING" };
/// The manager is gone, and something that it started is not.
pub const PARTIALLY_RUNNING: Status = Status { code: 3, token: "PARTIALLY_RUNNING" };
/// It checks before it begins to watch.
pub const INITIALIZING: Status = Status { code: 10, token: "INITIALIZING_MONITOR" };
/// The primary does not answer; whether it is dead is not settled.
pub const PING_FAILING: Status = Status { code: 20, token: "PING_FAILING" };
/// The primary is dead.
pub const PING_FAILED: Status = Status { code: 21, token: "PING_FAILED" };
/// It waits before it watches again.
pub const RETRYING: Status = Status { code: 30, token: "RETRYING_MONITOR" };
/// The configuration, or replication as it finds it, is wrong.
pub const CONFIG_ERROR: Status = Status { code: 31, token: "CONFIG_ERROR" };
/// The file says that the primary answers, and was not touched for too long.
pub const TIMESTAMP_OLD: Status = Status { code: 32, token: "TIMESTAMP_OLD" };
/// A failover is under way.
pub const FAILOVER_RUNNING: Status = Status { code: 50, token: "FAILOVER_RUNNING" };
/// A failover was refused or did not succeed.
pub const FAILOVER_ERROR: Status = Status { code: 51, token: "FAILOVER_ERROR" };

/// What a status file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The manager's process.
    pub pid: i32,
    /// What it does.
    pub status: Status,
    /// The primary's host; empty where it is not known yet.
    pub master: String,
    /// How long ago the file was touched.
    pub age: Duration,
}

/// Why a status file says nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// It cannot be read.
    #[error("the status file {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's word.
        source: io::Error,
    },
    /// Its line is none of MHA's.
    #[error("the status file {} is not understood: {text:?}", .path.display())]
    Strange {
        /// The file.
        path: PathBuf,
        /// What it says.
        text: String,
    },
}

/// The status file of an application.
#[derive(Clone, Debug)]
pub struct StatusFile {
    path: PathBuf,
}

impl StatusFile {
    /// Where the manager of `app` has it.
    pub fn new(workdir: &Path, app: &str) -> Self {
        Self { path: workdir.join(format!("{app}.master_status.health")) }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says what this process does.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, status: Status, master: Option<&str>) -> io::Result<()> {
        let mut line = format!("{}\t{}:{}", std::process::id(), status.code, status.token);
        if let Some(master) = master {
            line.push_str(&format!("\tmaster:{master}"));
        }
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}.new", std::process::id()));
        let new = PathBuf::from(name);
        // Left behind by a process of the same number.
        let _was_not_there = fs::remove_file(&new);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        let done = written.and_then(|()| fs::rename(&new, &self.path));
        if done.is_err() {
            let _not_there = fs::remove_file(&new);
        }
        done
    }

    /// Says that the primary has answered just now.
    ///
    /// # Errors
    /// If its time cannot be set.
    pub fn touch(&self) -> io::Result<()> {
        let file = File::options().write(true).open(&self.path)?;
        file.set_times(FileTimes::new().set_modified(SystemTime::now()))
    }

    /// Reads it; `None` if it is not there.
    ///
    /// # Errors
    /// If it cannot be read or is none.
    pub fn read(&self) -> Result<Option<Said>, StatusError> {
        let unreadable = |source| StatusError::Unreadable { path: self.path.clone(), source };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let modified = file.metadata().and_then(|meta| meta.modified()).map_err(unreadable)?;
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes);
        match said(&text, age) {
            Some(said) => Ok(Some(said)),
            None => {
                let text = text.into_owned();
                Err(StatusError::Strange { path: self.path.clone(), text })
            }
        }
    }

    /// Removes it if it is this process's; another manager's stays.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove_own(&self) -> io::Result<()> {
        let own = std::process::id().to_string();
        match self.read() {
            Ok(Some(said)) if said.pid.to_string() == own => fs::remove_file(&self.path),
            _ => Ok(()),
        }
    }

    /// Removes it, whosever it is.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A line of a status file.
fn said(text: &str, age: Duration) -> Option<Said> {
    let mut fields = text.lines().next()?.split('\t');
    let pid = fields.next()?.trim().parse().ok().filter(|pid| *pid > 0)?;
    let (code, token) = fields.next()?.split_once(':')?;
    let code: u8 = code.parse().ok()?;
    let status = *STATUSES.iter().find(|s| s.code == code && s.token == token)?;
    let master = fields.next().and_then(|field| field.strip_prefix("master:")).unwrap_or("");
    Some(Said { pid, status, master: master.to_owned(), age })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = StatusFile::new(folder.path(), "app1");
        assert_eq!(file.path(), folder.path().join("app1.master_status.health"));
        assert!(file.read().unwrap().is_none());
        for status in STATUSES {
            file.write(status, Some("db1")).unwrap();
            let text = fs::read_to_string(file.path()).unwrap();
            let pid = std::process::id();
            assert_eq!(text, format!("{pid}\t{}:{}\tmaster:db1", status.code, status.token));
            let said = file.read().unwrap().unwrap();
            assert_eq!((said.status, &*said.master), (status, "db1"));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        file.remove_own().unwrap();
        assert!(file.read().unwrap().is_none());
    }

    #[test]
    fn touching_makes_it_young_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = StatusFile::new(folder.path(), "app1");
        file.write(PING_OK, Some("db1")).unwrap();
        let old = SystemTime::now() - Duration::from_secs(3600);
        let times = FileTimes::new().set_modified(old);
        File::options().write(true).open(file.path()).unwrap().set_times(times).unwrap();
        assert!(file.read().unwrap().unwrap().age > Duration::from_secs(3000));
        file.touch().unwrap();
        assert!(file.read().unwrap().unwrap().age < Duration::from_secs(3000));
    }

    #[test]
    fn the_file_of_another_manager_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = StatusFile::new(folder.path(), "app1");
        fs::write(file.path(), "1\t0:PING_OK\tmaster:db1").unwrap();
        file.remove_own().unwrap();
        assert_eq!(file.read().unwrap().unwrap().pid, 1);
    }

    #[test]
    fn what_is_no_status_is_an_error_that_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = StatusFile::new(folder.path(), "app1");
        for text in ["", "x", "1", "1\t0:PING_KO", "1\t99:PING_OK", "0\t0:PING_OK", "-5\t0:PING_OK"]
        {
            fs::write(file.path(), text).unwrap();
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
