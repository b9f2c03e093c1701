//! Programs of others that stand beside Primacy on a host: keepalived, HAProxy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{Net, must};

/// A running program; asked to end when dropped, so that it gives back what it took.
#[derive(Debug)]
pub struct Neighbour {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Neighbour {
    /// Whether the program is installed; if not, it says so.
    #[expect(clippy::print_stdout, reason = "a test that did not run must be seen not to have run")]
    pub fn is_installed(program: &str, package: &str) -> bool {
        let found = Path::new(program).exists();
        if !found {
            println!("SKIPPED: {program} is not installed (apt-get install {package})");
            let required = ["CI", "PRIMACY_REQUIRE_SERVERS"].map(std::env::var_os);
            assert!(required.iter().all(Option::is_none), "{program} is required here");
        }
        found
    }

    /// Starts it on a host. `arguments` are made from a folder of its own and from its configuration
    /// file there.
    pub fn start(
        net: &Net,
        host: usize,
        program: &str,
        config: &str,
        arguments: impl FnOnce(&Path, &Path) -> Vec<String>,
    ) -> Self {
        let folder = must(tempfile::Builder::new().prefix("ptn").tempdir_in("/tmp"), "a folder");
        let file = folder.path().join("config");
        must(fs::write(&file, config), "writing its configuration");
        let log = must(File::create(folder.path().join("log")), "its log");
        let both = must(log.try_clone(), "its log");
        let child = Command::new("ip")
            .args(["netns", "exec", &net.host(host).namespace, program])
            .args(arguments(folder.path(), &file))
            .stdin(Stdio::null())
            .stdout(both)
            .stderr(log)
            .spawn();
        let name = format!("{program} on host {host}");
        Self { name, child: must(child, "starting a program"), folder }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        let file: PathBuf = self.folder.path().join("log");
        String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned()
    }
}

impl Drop for Neighbour {
    #[expect(clippy::print_stderr, reason = "shown with the output of the test that failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.log());
        }
        // Its own children end with it; one that does not end is killed.
        if let Some(process) = primacy_sandbox::process::Identity::of(self.child.id()) {
            let _gone = process.signal(rustix::process::Signal::TERM);
        }
        for _ in 0..150 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
