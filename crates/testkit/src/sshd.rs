//! An sshd on each host of a little network, with keys of its own and the configuration with which
//! a manager reaches them.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Host, Net, must};

const SSHD: &str = "/usr/sbin/sshd";
const NEEDED: [&str; 3] = [SSHD, "/usr/bin/ssh", "/usr/bin/ssh-keygen"];

// The shell of each login reads what it finds in the home directory, and that of this machine's user may
// take long; that of the tests is the folder with the keys.

/// How long an sshd may take until it listens.
const LISTENS: Duration = Duration::from_secs(10);

/// The running sshds; killed when dropped.
#[derive(Debug)]
pub struct Sshds {
    folder: TempDir,
    port: u16,
    running: Vec<Child>,
}

impl Sshds {
    /// One on each of the first hosts; `None`, and said so, where there is no sshd.
    pub fn start(net: &Net, hosts: usize) -> Option<Self> {
        Self::start_with(net, hosts, "", &[])
    }

    /// The same, with further lines for sshd's configuration, and variables for who logs in.
    pub fn start_with(
        net: &Net,
        hosts: usize,
        lines: &str,
        variables: &[(&str, String)],
    ) -> Option<Self> {
        if let Some(missing) = NEEDED.iter().find(|path| !Path::new(path).exists()) {
            skip(missing);
            return None;
        }
        // sshd insists on it (privilege separation); packages make it at boot.
        must(fs::create_dir_all("/run/sshd"), "making sshd's folder");
        let folder = tempfile::Builder::new().prefix("ptssh").tempdir_in("/tmp");
        let folder = must(folder, "making a folder for keys");
        let mut all = Self { folder, port: 22, running: vec![] };
        for key in ["host_key", "key"] {
            all.make_key(key);
        }
        let public = must(fs::read_to_string(all.at("host_key.pub")), "reading a key");
        let mut known = String::new();
        // Of a variable that is named twice sshd takes the first.
        let variables: String =
            variables.iter().map(|(name, value)| format!("\"{name}={value}\" ")).collect();
        for host in (0..hosts).map(|i| net.host(i)) {
            must(writeln!(known, "{} {}", host.address, public.trim()), "writing");
            let text = format!(
                "ListenAddress {}:22\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
                 {lines}SetEnv {variables}HOME={} PATH={}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
                host.address,
                all.at("host_key"),
                all.at("key.pub"),
                // What root's shell does at each login here is not these hosts' business.
                all.folder.path().display(),
                all.programs(host),
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

    /// One on this machine's own loopback address, at a port that only the options know; `None`, and
    /// said so, where there is no sshd.
    pub fn on_loopback() -> Option<Self> {
        if let Some(missing) = NEEDED.iter().find(|path| !Path::new(path).exists()) {
            skip(missing);
            return None;
        }
        must(fs::create_dir_all("/run/sshd"), "making sshd's folder");
        let folder = tempfile::Builder::new().prefix("ptssh").tempdir_in("/tmp");
        let folder = must(folder, "making a folder for keys");
        let free = must(TcpListener::bind("127.0.0.1:0"), "looking for a free port");
        let port = must(free.local_addr(), "looking for a free port").port();
        drop(free);
        let mut all = Self { folder, port, running: vec![] };
        for key in ["host_key", "key"] {
            all.make_key(key);
        }
        let server = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             UsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             PermitRootLogin prohibit-password\nMaxStartups 100\nSetEnv HOME={}\n",
            all.at("host_key"),
            all.at("key.pub"),
            all.folder.path().display(),
        );
        must(fs::write(all.at("sshd_config"), server), "writing sshd's configuration");
        let log = must(fs::File::create(all.at("log")), "its log");
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f", &all.at("sshd_config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        all.running.push(must(child, "starting sshd"));
        let client = format!(
            "Host *\n  User root\n  Port {port}\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
             IdentityAgent none\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n  \
             StrictHostKeyChecking accept-new\n",
            all.at("key"),
            all.at("known_hosts"),
        );
        must(fs::write(all.at("config"), client), "writing ssh's configuration");
        let end = Instant::now() + LISTENS;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "sshd does not listen on port {port}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(all)
    }

    /// Where they listen.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with which `ssh -F` gets through.
    pub fn config(&self) -> String {
        self.at("config")
    }

    /// The line of a cluster's section with which a manager gets through.
    pub fn options(&self) -> String {
        format!("ssh_options = [\"{}\"]\n", self.option())
    }

    /// The option of ssh itself with which one gets through.
    pub fn option(&self) -> String {
        format!("-F{}", self.at("config"))
    }

    /// Installs a program on one host: whoever logs in there finds it before all others.
    pub fn install(&self, host: &Host, name: &str, script: &str) {
        let folder = self.programs(host);
        must(fs::create_dir_all(&folder), "making a folder for programs");
        let path = format!("{folder}/{name}");
        must(fs::write(&path, script), "writing a program");
        must(fs::set_permissions(&path, fs::Permissions::from_mode(0o755)), "making it a program");
    }

    fn programs(&self, host: &Host) -> String {
        self.at(&format!("{}.bin", host.namespace))
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
