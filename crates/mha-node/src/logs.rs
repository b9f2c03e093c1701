//! Which files in a folder are the logs of one series, in their order.

use std::path::{Path, PathBuf};

use crate::NodeError;

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `mysql-bin.000007`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// 7. It may have more than six digits.
    pub number: u64,
}

/// The name before the number, and the number.
pub fn split(name: &str) -> Option<(&str, u64)> {
    let (prefix, digits) = name.rsplit_once('.')?;
    let fits = digits.len() >= 6 && digits.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| digits.parse().ok().map(|number| (prefix, number))).flatten()
}

/// The logs with that prefix in a folder, by number; empty if there are none.
///
/// # Errors
/// If the folder cannot be read.
pub fn series(folder: &Path, prefix: &str) -> Result<Vec<Log>, NodeError> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|e| NodeError::io("read", folder, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| NodeError::io("read", folder, e))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if let Some((before, number)) = split(&name)
            && before == prefix
        {
            found.push(Log { path: folder.join(&name), name, number });
        }
    }
    found.sort_by_key(|log| log.number);
    Ok(found)
}

/// The logs of a series from that number on, without a hole between them.
///
/// # Errors
/// If one is missing.
pub fn without_holes(logs: Vec<Log>, first: u64) -> Result<Vec<Log>, NodeError> {
    let logs: Vec<Log> = logs.into_iter().filter(|log| log.number >= first).collect();
    for pair in logs.windows(2) {
        if let [before, after] = pair
            && before.number + 1 != after.number
        {
            return Err(NodeError::refused(format!(
                "between {} and {} logs are missing; nothing was written",
                before.path.display(),
                after.name
            )));
        }
    }
    Ok(logs)
}

/// The first of the folders that has logs of that prefix (and that very file, if one is named).
///
/// # Errors
/// If none has; the text names the folders.
pub fn find(folders: &str, prefix: &str, file: Option<&str>) -> Result<Vec<Log>, NodeError> {
    let mut looked = Vec::new();
    for folder in folders.split(',').map(str::trim).filter(|folder| !folder.is_empty()) {
        match series(Path::new(folder), prefix) {
            Ok(logs) => {
                let there = match file {
                    Some(file) => logs.iter().any(|log| log.name == file),
                    None => !logs.is_empty(),
                };
                if there {
                    return Ok(logs);
                }
                looked.push(format!("{folder} has none"));
            }
            Err(error) => looked.push(error.to_string()),
        }
    }
    let wanted = file.map_or_else(|| format!("{prefix}.NNNNNN"), str::to_owned);
    Err(NodeError::refused(format!(
        "{wanted} was not found ({}); name the folder of the logs with --binlog_dir \
         (master_binlog_dir in the configuration): SHOW VARIABLES LIKE 'log_bin_basename' says it",
        looked.join("; ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_have_more_than_six_digits() {
        assert_eq!(split("mysql-bin.000007"), Some(("mysql-bin", 7)));
        assert_eq!(split("a.b.1000000"), Some(("a.b", 1_000_000)));
        for other in ["mysql-bin.index", "mysql-bin.7", "x", "mysql-bin.00000x"] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    #[test]
    fn logs_are_found_in_the_first_folder_that_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        for folder in [&a, &b] {
            std::fs::create_dir(folder).unwrap();
        }
        for name in ["bin.999999", "bin.1000000", "bin.1000002", "other.000001", "bin.index"] {
            std::fs::write(b.join(name), "").unwrap();
        }
        let folders = format!("{},/nowhere, {}", a.display(), b.display());
        let logs = find(&folders, "bin", None).unwrap();
        let numbers: Vec<_> = logs.iter().map(|log| log.number).collect();
        assert_eq!(numbers, [999_999, 1_000_000, 1_000_002]);
        without_holes(logs.clone(), 1_000_001).unwrap();
        assert!(without_holes(logs, 999_999).unwrap_err().to_string().contains("missing"));
        let none = find(&folders, "bin", Some("bin.000001")).unwrap_err().to_string();
        assert!(none.contains("/nowhere") && none.contains("--binlog_dir"), "{none}");
    }
}
