//! The file in which a replica without a table says where it is (`relay-log.info`).

use std::path::{Path, PathBuf};

use crate::NodeError;

/// The relay log that the file names. A relative name counts from `datadir`, or without one from the
/// file's own folder.
///
/// MySQL 5.6 and later begin it with the number of lines that follow; MySQL before that and MariaDB
/// with the name.
///
/// # Errors
/// If the file cannot be read or names none.
pub fn relay_log_of(info: &Path, datadir: Option<&Path>) -> Result<PathBuf, NodeError> {
    let text = std::fs::read(info).map_err(|e| NodeError::io("read", info, e))?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let counted = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    let name = if counted { lines.next().unwrap_or_default() } else { first };
    if crate::logs::split(name).is_none() {
        return Err(NodeError::refused(format!(
            "{} names no relay log; where the server keeps it in a table, use --relay_dir and \
             --current_relay_log",
            info.display()
        )));
    }
    let folder = datadir.or_else(|| info.parent()).unwrap_or(Path::new("."));
    Ok(folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_log_is_named_with_and_without_a_count_of_lines() {
        let dir = tempfile::tempdir().unwrap();
        let info = dir.path().join("relay-log.info");
        let named = |text: &str, datadir: Option<&str>| {
            std::fs::write(&info, text).unwrap();
            relay_log_of(&info, datadir.map(Path::new)).map_err(|e| e.to_string())
        };
        let here = dir.path().join("./relay.000002");
        assert_eq!(named("7\n./relay.000002\n283\nbin.000001\n123\n0\n0\n1\n", None), Ok(here));
        let there = PathBuf::from("/data/r.000009");
        assert_eq!(named("r.000009\n283\nbin.000001\n4\n", Some("/data")), Ok(there));
        assert_eq!(named("/x/r.1000000\n4\n", Some("/data")), Ok("/x/r.1000000".into()));
        for nothing in ["", "7\n", "\u{fffd}"] {
            assert!(named(nothing, None).unwrap_err().contains("names no relay log"));
        }
    }
}
