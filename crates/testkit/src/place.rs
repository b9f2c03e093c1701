//! Where the servers of tests keep their data.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The environment variable that names the folder in which clusters are made; without it they are
/// made below [`DISK`].
const VARIABLE: &str = "PRIMACY_TEST_DIR";

/// Short, because the paths of sockets have a limit of 108 bytes (unix(7)).
const DISK: &str = "/tmp";

/// A file system in memory (shm_overview(7)), which people may have named.
const MEMORY: &str = "/dev/shm";

/// Each folder of a cluster begins like this.
const PREFIX: &str = "pt";

/// A new folder for a cluster; it goes with what is returned.
pub(crate) fn folder() -> std::io::Result<TempDir> {
    let parent = std::env::var_os(VARIABLE).map_or_else(|| DISK.into(), PathBuf::from);
    tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)
}

/// Whether this is a folder that [`folder`] made, in a run of tests that was killed perhaps.
pub(crate) fn is_ours(folder: &Path) -> bool {
    let made = folder.file_name().and_then(|name| name.to_str());
    let chosen = std::env::var_os(VARIABLE);
    made.is_some_and(|name| name.starts_with(PREFIX))
        && folder.parent().is_some_and(|parent| {
            [DISK, MEMORY].iter().any(|known| parent == Path::new(known))
                || chosen.is_some_and(|chosen| parent == Path::new(&chosen))
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{folder, is_ours};

    #[test]
    fn what_was_made_for_a_cluster_is_known_again_and_nothing_else_is() {
        let made = folder().unwrap();
        assert!(is_ours(made.path()));
        assert!(is_ours(Path::new("/dev/shm/pta1b2c3")), "made by another run");
        for other in ["/tmp", "/tmp/a", "/dev/shm", "/home/pt1", "/tmp/pt1/c", "/", ""] {
            assert!(!is_ours(Path::new(other)), "{other}");
        }
    }
}
