//! Whether a server that has exited was shut down, or died.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::find::pid_in;
use crate::{ServerIdentity, binlog_head};

/// What the pid file said while the server ran, as the second sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PidFileSeen {
    pub(crate) pid: u32,
}

/// `Some(true)` after a clean shutdown, `Some(false)` after a crash or kill, `None` if it cannot
/// be told (no binary log, an encrypted one of MySQL, no permission).
///
/// The pid file is asked only where the binary log cannot be read, for it says less: a server
/// removes it as its last act and a killed one leaves it, but service managers may tidy up after
/// either.
pub(crate) fn was_clean(server: &ServerIdentity, seen: Option<PidFileSeen>) -> Option<bool> {
    let by_binlog = server.binlog_base.as_deref().and_then(|base| {
        let last = last_binlog(server, base).ok()??;
        was_closed(&last).ok()?
    });
    by_binlog.or_else(|| by_pid_file(server, seen?))
}

fn by_pid_file(server: &ServerIdentity, seen: PidFileSeen) -> Option<bool> {
    let file = server.path(server.pid_file.as_deref()?);
    if pid_in(&file) == Some(seen.pid) {
        return Some(false);
    }
    // A folder that vanished as a whole was removed by the service manager (RuntimeDirectory=).
    let gone = !file.exists() && file.parent().is_some_and(Path::is_dir);
    gone.then_some(true)
}

/// The last file that the binary log's index names.
fn last_binlog(server: &ServerIdentity, base: &Path) -> io::Result<Option<PathBuf>> {
    let mut index = server.path(base).into_os_string();
    index.push(".index");
    let index = std::fs::read_to_string(index)?;
    Ok(binlog_head::last_of(&index).map(|name| server.path(Path::new(name))))
}

/// Whether a binary log was closed; `None` if it does not begin as one that can be read.
fn was_closed(file: &Path) -> io::Result<Option<bool>> {
    let mut head = [0; binlog_head::LENGTH];
    File::open(file)?.read_exact_at(&mut head, 0)?;
    Ok(binlog_head::was_closed(&head))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8] = b"\xfebin";
    const FORMAT_DESCRIPTION: u8 = 15;

    struct Case {
        folder: tempfile::TempDir,
        server: ServerIdentity,
    }

    impl Case {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut server = ServerIdentity::new("db1".parse().unwrap());
            server.data_dir = Some(folder.path().to_owned());
            server.binlog_base = Some("binlog".into());
            server.pid_file = Some("db1.pid".into());
            Self { folder, server }
        }

        fn write(&self, name: &str, content: impl AsRef<[u8]>) {
            std::fs::write(self.folder.path().join(name), content).unwrap();
        }

        fn binlog(&self, name: &str, magic: &[u8], flags: u8) {
            let mut bytes = magic.to_vec();
            bytes.extend([1, 2, 3, 4, FORMAT_DESCRIPTION, 1, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0]);
            bytes.extend([flags, 0]);
            self.write(name, bytes);
        }

        fn clean(&self) -> Option<bool> {
            was_clean(&self.server, Some(PidFileSeen { pid: 77 }))
        }
    }

    #[test]
    fn the_last_binary_log_tells_a_shutdown_from_a_crash() {
        let case = Case::new();
        case.write("binlog.index", "./binlog.000001\n./binlog.000002\n");
        case.write("db1.pid", "77\n");
        case.binlog("binlog.000001", MAGIC, 0);
        case.binlog("binlog.000002", MAGIC, 1);
        assert_eq!(case.clean(), Some(false));
        case.binlog("binlog.000002", MAGIC, 0);
        assert_eq!(case.clean(), Some(true));
    }

    #[test]
    fn an_encrypted_log_says_nothing_and_the_pid_file_is_asked() {
        let case = Case::new();
        case.write("binlog.index", "./binlog.000001\n");
        case.binlog("binlog.000001", b"\xfdbin", 0);
        case.write("db1.pid", "77\n");
        assert_eq!(case.clean(), Some(false));
        std::fs::remove_file(case.folder.path().join("db1.pid")).unwrap();
        assert_eq!(case.clean(), Some(true));
    }

    #[test]
    fn nothing_to_read_is_no_answer() {
        let mut case = Case::new();
        case.server.pid_file = None;
        assert_eq!(case.clean(), None);
        case.write("binlog.index", "./binlog.000001\n");
        case.write("binlog.000001", b"\xfebin");
        assert_eq!(case.clean(), None);
        case.server.pid_file = Some("/nowhere/run/db1.pid".into());
        assert_eq!(case.clean(), None);
    }
}
