//! Where servers and sandboxes are kept, and which user runs the servers.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::{Error, Result};

/// Where provisioned servers and initialised data folders are kept.
///
/// `$XDG_CACHE_HOME/primacy`, else `~/.cache/primacy`. For root whose home nobody else may enter,
/// `/var/cache/primacy`: the servers run as another user and must read their own files.
pub fn cache_dir() -> Result<PathBuf> {
    place("XDG_CACHE_HOME", ".cache", "/var/cache")
}

/// Where sandboxes are made unless told otherwise, and where they are listed.
///
/// `$XDG_STATE_HOME/primacy/sandboxes`, else `~/.local/state/primacy/sandboxes`; for root whose
/// home nobody else may enter, `/var/lib/primacy/sandboxes`.
pub fn sandboxes_dir() -> Result<PathBuf> {
    Ok(place("XDG_STATE_HOME", ".local/state", "/var/lib")?.join("sandboxes"))
}

fn place(variable: &str, below_home: &str, of_root: &str) -> Result<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute());
    if let Some(dir) = given {
        return Ok(dir.join("primacy"));
    }
    let home = std::env::home_dir().filter(|dir| dir.is_absolute());
    match home {
        Some(home) if !Uid::effective().is_root() || others_may_enter(&home) => {
            Ok(home.join(below_home).join("primacy"))
        }
        _ if Uid::effective().is_root() => Ok(Path::new(of_root).join("primacy")),
        _ => Err(Error::refused("there is no home folder", format!("set {variable} or HOME"))),
    }
}

/// Whether every folder on the way to (and including) this one may be passed by any user.
pub(crate) fn others_may_enter(dir: &Path) -> bool {
    dir.ancestors()
        .filter_map(|dir| fs::metadata(dir).ok())
        .all(|meta| !meta.is_dir() || meta.mode() & 0o001 != 0)
}

/// The user that servers run as when we are root: `mysql`, else `nobody`.
///
/// None: as whoever we are, because we are not root, or because that user could not reach one of
/// these folders.
pub(crate) fn service_user(reach: &[&Path]) -> Option<User> {
    if !Uid::effective().is_root() || !reach.iter().all(|dir| others_may_enter(dir)) {
        return None;
    }
    ["mysql", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten())
}

/// Gives a folder and everything in it to a user.
pub(crate) fn give(dir: &Path, user: &User) -> Result<()> {
    let change = |path: &Path| {
        nix::unistd::chown(path, Some(user.uid), Some(user.gid))
            .map_err(|errno| Error::file("change the owner of", path)(errno.into()))
    };
    change(dir)?;
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(dir).map_err(Error::file("read", dir))? {
        let path = entry.map_err(Error::file("read", dir))?.path();
        if path.is_dir() && !path.is_symlink() {
            give(&path, user)?;
        } else if !path.is_symlink() {
            change(&path)?;
        }
    }
    Ok(())
}

/// Makes a folder, with those above it, and sets its mode.
pub(crate) fn make_dir(dir: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(dir).map_err(Error::file("make", dir))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(mode))
        .map_err(Error::file("set the mode of", dir))
}

/// Removes a folder and everything in it, if it is there.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::file("remove", dir)),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let draft = path.with_extension("draft");
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&draft, path)
    };
    write().map_err(Error::file("write", path))
}
