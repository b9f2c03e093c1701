//! Files of a host as files of this machine.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_host::{HostAccess, Way};

use crate::RescueError;
use crate::files::LogFile;

/// Where a file can be read: itself, on this machine, else a copy in `scratch`, made once and as
/// long as the file is.
pub(crate) async fn bring(
    host: &dyn HostAccess,
    file: &LogFile,
    scratch: &Path,
    stall: Duration,
) -> Result<PathBuf, RescueError> {
    if host.way() == Way::Local {
        return Ok(file.path.clone());
    }
    let copy = scratch.join(&file.name);
    if fs::metadata(&copy).is_ok_and(|there| there.len() == file.len) {
        return Ok(copy);
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| RescueError::Write { path, source }
    };
    make_private(scratch)?;
    let partial = scratch.join(format!("{}.part", file.name));
    let mut to = tokio::fs::File::create(&partial).await.map_err(at(&partial))?;
    host.fetch(&file.path, 0, &mut to, stall).await?;
    to.sync_all().await.map_err(at(&partial))?;
    drop(to);
    tokio::fs::rename(&partial, &copy).await.map_err(at(&copy))?;
    Ok(copy)
}

/// A copy that turned out to be damaged is not used again: the file itself may be whole.
pub(crate) async fn forget_damaged_copies(
    host: &dyn HostAccess,
    scratch: &Path,
    error: &RescueError,
) {
    if host.way() != Way::Local && error.is_damage() {
        // If it cannot be removed the next attempt says the same again.
        let _ = tokio::fs::remove_dir_all(scratch).await;
    }
}

/// Makes a folder that only we can enter: binary logs hold everybody's data.
pub(crate) fn make_private(folder: &Path) -> Result<(), RescueError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| RescueError::Write { path: folder.to_owned(), source })
}

/// Runs what reads much on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RescueError> + Send + 'static,
) -> Result<T, RescueError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => Err(RescueError::Ended(ended.to_string())),
    }
}
