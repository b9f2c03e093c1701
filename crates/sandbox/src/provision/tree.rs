//! Making an unpacked release look like a merged `/usr`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::{Error, Result};

/// Moves `bin`, `lib`, ... of old releases' packages into `usr`, and links them there.
pub(super) fn merge_usr(root: &Path) -> Result<()> {
    for name in ["bin", "lib", "lib64", "sbin"] {
        let (old, new) = (root.join(name), root.join("usr").join(name));
        if old.is_dir() && !old.is_symlink() {
            merge(&old, &new)?;
            fs::remove_dir(&old).map_err(Error::file("remove", &old))?;
        }
        if !old.is_symlink() {
            symlink(format!("usr/{name}"), &old).map_err(Error::file("link", &old))?;
        }
    }
    Ok(())
}

/// Moves everything below `from` to `to`; what is there already stays.
fn merge(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(Error::file("make", to))?;
    for entry in fs::read_dir(from).map_err(Error::file("read", from))? {
        let entry = entry.map_err(Error::file("read", from))?;
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if old.is_dir() && !old.is_symlink() {
            merge(&old, &new)?;
            fs::remove_dir(&old).map_err(Error::file("remove", &old))?;
        } else if new.exists() || new.is_symlink() {
            fs::remove_file(&old).map_err(Error::file("remove", &old))?;
        } else {
            fs::rename(&old, &new).map_err(Error::file("move", &old))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_folders_of_old_packages_end_up_below_usr() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("lib/arch")).unwrap();
        fs::create_dir_all(at("usr/lib/arch")).unwrap();
        fs::write(at("lib/arch/libc.so"), "c").unwrap();
        fs::write(at("usr/lib/arch/libz.so"), "z").unwrap();
        merge_usr(root.path()).unwrap();
        assert!(at("lib").is_symlink());
        assert_eq!(fs::read_to_string(at("usr/lib/arch/libc.so")).unwrap(), "c");
        assert_eq!(fs::read_to_string(at("lib/arch/libz.so")).unwrap(), "z");
    }
}
