//! Locks between processes: one provisioner, one maker of templates, one taker of ports at a time.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// As long as the slowest holder, a provisioner on a slow line, may take.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// An exclusive `flock` on a file, held until the result is dropped or its process ends. Blocks;
/// says so when it has to wait.
pub(crate) fn lock(path: &Path, progress: &mut dyn FnMut(&str)) -> Result<File> {
    let file = File::create(path).map_err(Error::file("open the lock", path))?;
    let deadline = Instant::now() + LIMIT;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(Error::file("lock", path)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::refused(
                    format!("another process has held {} for 15 minutes", path.display()),
                    "see what it does, or end it, and try again",
                ));
            }
        }
        if !told {
            progress("another process is at it; waiting for its lock");
            told = true;
        }
        sleep(Duration::from_millis(20));
    }
}
