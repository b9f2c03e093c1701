//! Index files: the list of binary logs or relay logs that a server keeps beside them, and the
//! names of those files.

use std::io;
use std::path::{Path, PathBuf};

/// Reads an index file: the paths in order. A relative name counts from the index file's folder,
/// as the servers mean it (their data folder, where the index lies as well).
pub fn read_index(index: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = index.parent().unwrap_or(Path::new("."));
    let text = std::fs::read(index)?;
    Ok(parse_index(&text).into_iter().map(|name| folder.join(name)).collect())
}

/// The logs in a folder, oldest first: those that its index file lists, or without one, every
/// file whose name ends in a number. A copied folder's index may name the folder it came from:
/// what lies beside it counts. Of a folder of which only the later files were copied, the earlier
/// ones are left out; one that is missing between others is listed.
pub fn logs_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut indexes, mut numbered) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "index") {
            indexes.push(path);
        } else if let Some(number) = number_of(&path.to_string_lossy()) {
            numbered.push((path.with_extension(""), number, path));
        }
    }
    if let [index] = indexes.as_slice() {
        let beside = |path: PathBuf| {
            let here = folder.join(base_name(&path));
            if here.exists() { here } else { path }
        };
        let listed: Vec<PathBuf> = read_index(index)?.into_iter().map(beside).collect();
        let first = listed.iter().position(|path| path.exists()).unwrap_or(0);
        return Ok(listed.into_iter().skip(first).collect());
    }
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, _, path)| path).collect())
}

/// The names in an index file, as they stand there.
///
/// Blank lines, a missing last newline and Windows line ends do not matter. MySQL with
/// `relay_log_purge` and crash-safe index files may leave other files beside (`...~rec~`,
/// `...index_crash_safe`): they are other files, and nothing looks at them. A name cut short by a
/// crash has no number and is left out.
pub fn parse_index(text: &[u8]) -> Vec<String> {
    text.split(|byte| *byte == b'\n')
        .map(|line| String::from_utf8_lossy(line.trim_ascii()).into_owned())
        .filter(|name| number_of(name).is_some())
        .collect()
}

/// The number at the end of a log's name: of `binlog.000042` it is 42.
pub fn number_of(name: &str) -> Option<u64> {
    let (_, digits) = name.rsplit_once('.')?;
    let fits = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}

/// The name of the file after this one.
pub fn next_name(name: &str) -> Option<String> {
    numbered(name, number_of(name)?.checked_add(1)?)
}

/// The name of the file before this one; the servers' first is number 1.
pub fn previous_name(name: &str) -> Option<String> {
    numbered(name, number_of(name)?.checked_sub(1).filter(|number| *number > 0)?)
}

/// Servers write six digits at least, and more above 999999.
fn numbered(name: &str, number: u64) -> Option<String> {
    let (stem, _) = name.rsplit_once('.')?;
    Some(format!("{stem}.{number:06}"))
}

/// The name of a file without its folder.
pub fn base_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_files_as_servers_and_crashes_leave_them() {
        let text = b"./binlog.000009\r\n/var/lib/mysql/binlog.000010\n\nbinlog.1000000\nbinl";
        let names = ["./binlog.000009", "/var/lib/mysql/binlog.000010", "binlog.1000000"];
        assert_eq!(parse_index(text), names);
        assert!(parse_index(b"").is_empty());
        assert_eq!(parse_index(b"relay.000001"), ["relay.000001"]);
    }

    #[test]
    fn names_before_and_after() {
        assert_eq!(next_name("binlog.999999").as_deref(), Some("binlog.1000000"));
        assert_eq!(previous_name("binlog.1000000").as_deref(), Some("binlog.999999"));
        assert_eq!(next_name("a.b.000001").as_deref(), Some("a.b.000002"));
        assert_eq!(previous_name("binlog.000001"), None);
        assert_eq!(next_name("binlog.index"), None);
        assert_eq!(next_name("binlog.18446744073709551615"), None);
    }

    #[test]
    fn a_folder_is_listed_by_its_index_or_by_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b.999999", "b.1000000", "b.000002", "ib_logfile", "manifest.json"] {
            std::fs::write(path(name), "").unwrap();
        }
        let numbers = [path("b.000002"), path("b.999999"), path("b.1000000")];
        assert_eq!(logs_in(folder.path()).unwrap(), numbers);
        let index = "/gone/b.6\n/gone/b.999999\n/gone/b.7\n";
        std::fs::write(path("b.index"), index).unwrap();
        assert_eq!(logs_in(folder.path()).unwrap(), [path("b.999999"), "/gone/b.7".into()]);
    }

    #[test]
    fn relative_names_lie_beside_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("binlog.index");
        std::fs::write(&index, "./binlog.000001\n/data/binlog.000002\n").unwrap();
        let paths = [folder.path().join("./binlog.000001"), "/data/binlog.000002".into()];
        assert_eq!(read_index(&index).unwrap(), paths);
    }
}
