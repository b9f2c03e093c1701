//! An sshd on each host of a little network, with keys of its own and the configuration with which
//! a manager reaches them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{Net, must};

const SSHD: &str = "/usr/sbin/sshd";
const NEEDED: [&str; 3] = [SSHD, "/usr/bin/ssh", "/usr/bin/ssh-keygen"];

/// The running sshds; killed when dropped.
#[derive(Debug)]
pub struct Sshds {
    folder: TempDir,
    running: Vec<Child>,
}

impl Sshds {
    /// One on each of the first hosts; `None`, and said so, where there is no sshd.
    pub fn start(net: &Net, hosts: usize) -> Option<Self> {
        Self::start_with(net, hosts, "")
    }

    /// The same, with further lines for sshd's configuration.
    pub fn start_with(net: &Net, hosts: usize, lines: &str) -> Option<Self> {
        if let Some(missing) = NEEDED.iter().find(|path| !Path::new(path).exists()) {
            skip(missing);
            return None;
        }
        // sshd insists on it (privilege separation); packages make it at boot.
        must(fs::create_dir_all("/run/sshd"), "making sshd's folder");
        let folder = tempfile::Builder::new().prefix("ptssh").tempdir_in("/tmp");
        let mut all = Self { folder: must(folder, "making a folder for keys"), running: vec![] };
        for key in ["host_key", "key"] {
            all.make_key(key);
        }
        let public = must(fs::read_to_string(all.at("host_key.pub")), "reading a key");
        let mut known = String::new();
        for host in (0..hosts).map(|i| net.host(i)) {
            must(writeln!(known, "{} {}", host.address, public.trim()), "writing");
            let text = format!(
                "ListenAddress {}:22\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n{lines}",
                host.address,
                all.at("host_key"),
                all.at("key.pub"),
            );
            must(fs::write(all.at(&host.namespace), text), "writing sshd's configuration");
            let log = must(fs::File::create(all.at(&format!("{}.log", host.namespace))), "its log");
            let child = Command::new("ip")
                .args(["netns", "exec", &host.namespace, SSHD, "-D", "-e", "-f"])
                .arg(all.at(&host.namespace))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn();
            let child = must(child, "starting sshd");
            all.running.push(child);
        }
        must(fs::write(all.at("known_hosts"), known), "writing the known hosts");
        let client = format!(
            "Host *\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n",
            all.at("key"),
            all.at("known_hosts"),
        );
        must(fs::write(all.at("config"), client), "writing ssh's configuration");
        Some(all)
    }

    /// The line of a cluster's section with which a manager gets through.
    pub fn options(&self) -> String {
        format!("ssh_options = [\"{}\"]\n", self.option())
    }

    /// The option of ssh itself with which one gets through.
    pub fn option(&self) -> String {
        format!("-F{}", self.at("config"))
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn make_key(&self, name: &str) {
        let made = Command::new("/usr/bin/ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &self.at(name)])
            .stdin(Stdio::null())
            .status();
        assert!(must(made, "making a key").success(), "ssh-keygen made no key");
    }
}

impl Drop for Sshds {
    fn drop(&mut self) {
        for child in &mut self.running {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

#[expect(clippy::print_stdout, reason = "a test that did not run must be seen not to have run")]
fn skip(missing: &str) {
    println!("SKIPPED: {missing} is not installed (apt-get install openssh-server)");
    let required = ["CI", "PRIMACY_REQUIRE_SERVERS"].map(std::env::var_os);
    assert!(required.iter().all(Option::is_none), "{missing} is required here");
}
