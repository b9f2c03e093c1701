//! Scripts in a directory of their own, and pipes that tell when everybody who had them open has
//! ended.

use std::fs::{File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_hooks::Program;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// Longer than any program here needs, and shorter than the limit of a test.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);

/// A directory of scripts.
pub(crate) struct Scripts {
    directory: TempDir,
}

/// A named pipe that programs hold open.
pub(crate) struct Held {
    pub(crate) path: PathBuf,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file with this text and this mode.
    pub(crate) fn file(&self, text: &str, mode: u32) -> PathBuf {
        let path = self.path().join("hook");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A shell script that may be executed.
    pub(crate) fn script(&self, text: &str) -> PathBuf {
        self.file(&format!("#!/bin/sh\n{text}\n"), 0o755)
    }

    /// The same as a program with a limit.
    pub(crate) fn program(&self, text: &str, limit: Duration) -> Program {
        Program::new(self.script(text), limit).unwrap()
    }

    /// A pipe to be held open by programs: `exec 9>"$1"`.
    pub(crate) fn held(&self) -> Held {
        let path = self.path().join("held");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
        Held { path }
    }
}

impl Held {
    /// Resolves with what was written when nobody holds it open any more; it begins to look when
    /// somebody has opened it.
    pub(crate) fn released(&self) -> tokio::task::JoinHandle<String> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        })
    }

    /// Opens it, when a program has, and waits for its first byte.
    pub(crate) async fn opened(&self) -> File {
        let path = self.path.clone();
        let open = move || {
            let mut file = File::open(path).unwrap();
            file.read_exact(&mut [0]).unwrap();
            file
        };
        tokio::task::spawn_blocking(open).await.unwrap()
    }
}

/// Waits until nobody holds the pipe open any more.
pub(crate) async fn closed(mut held: File) {
    let read = move || held.read_to_end(&mut Vec::new()).unwrap();
    tokio::task::spawn_blocking(read).await.unwrap();
}
