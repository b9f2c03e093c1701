//! A far side of our own: sshd, its keys, and the configuration with which a client reaches it.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use primacy_host::{ServerIdentity, SshHost};
use primacy_types::SshSettings;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A running sshd. It ends with this, and so do its sessions.
pub(crate) struct FarSide {
    pub(crate) folder: tempfile::TempDir,
    port: u16,
    sshd: Child,
    /// Programs that come before those of this machine, or instead of them.
    tools: tempfile::TempDir,
}

/// What programs the far side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tools {
    /// Those of this machine.
    Usual,
    /// busybox alone.
    Busybox,
    /// Those of this machine, without `stat`, and dash as shell.
    Posix,
}

impl FarSide {
    pub(crate) fn start() -> Option<Self> {
        Self::with(Tools::Usual, "")
    }

    /// `None`, and said so, where there is no sshd.
    pub(crate) fn with(tools: Tools, more: &str) -> Option<Self> {
        let needed = ["/usr/sbin/sshd", "/usr/bin/ssh", "/usr/bin/ssh-keygen"];
        let extra: &[&str] = if tools == Tools::Busybox { &["/usr/bin/busybox"] } else { &[] };
        if let Some(missing) = needed.iter().chain(extra).find(|path| !Path::new(path).exists()) {
            skip(&format!("{missing} is not installed"));
            return None;
        }
        if rustix::process::geteuid().is_root() {
            // sshd insists on it (privilege separation); packages make it at boot.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::Builder::new().prefix("far side ").tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host_key", "key", "other_key"] {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
        }
        fs::copy(at("key.pub"), at("authorized_keys")).unwrap();
        let (tools, rest) = match tools {
            Tools::Usual => (links(&[]), ":/usr/local/bin:/usr/bin:/bin"),
            Tools::Busybox => (links(&BUSYBOX.map(|name| (name, "/usr/bin/busybox"))), ""),
            Tools::Posix => (links(POSIX), ""),
        };
        let path = format!("{}{rest}", tools.path().display());
        // The login shell reads what a person has in the home directory; this one is ours.
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(home.join(".bashrc"), "echo Welcome home; echo and look around >&2\n").unwrap();
        let server = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey \"{}\"\nAuthorizedKeysFile \"{}\"\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
             PermitRootLogin prohibit-password\nSetEnv \"PATH={path}\" \"HOME={}\"\n{more}\n",
            at("host_key"),
            at("authorized_keys"),
            home.display(),
        );
        fs::write(at("sshd_config"), server).unwrap();
        let known = fs::read_to_string(at("host_key.pub")).unwrap();
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {known}")).unwrap();
        let client = format!(
            "Host *\n  IdentityFile \"{}\"\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
             UserKnownHostsFile \"{}\"\n  GlobalKnownHostsFile none\n",
            at("key"),
            at("known_hosts"),
        );
        fs::write(at("config"), client).unwrap();
        let log = fs::File::create(at("log")).unwrap();
        let sshd = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f", &at("sshd_config")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let far = Self { folder, port, sshd, tools };
        far.wait_until_it_listens();
        Some(far)
    }

    fn wait_until_it_listens(&self) {
        let end = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "sshd does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// How often somebody logged in.
    pub(crate) fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    pub(crate) fn settings(&self) -> SshSettings {
        let config = self.folder.path().join("config");
        SshSettings {
            port: Some(self.port),
            options: vec![format!("-F{}", config.display()).parse().unwrap()],
            ..SshSettings::default()
        }
    }

    /// A further option for the settings.
    pub(crate) fn settings_with(&self, option: &str) -> SshSettings {
        let mut settings = self.settings();
        settings.options.push(option.parse().unwrap());
        settings
    }

    /// The server over there; its data directory is `data`, with a name that shells dislike.
    pub(crate) fn identity(&self) -> ServerIdentity {
        let mut server = ServerIdentity::new("127.0.0.1:3306".parse().unwrap());
        server.data_dir = Some(self.data());
        server.binlog_base = Some("binlog".into());
        server.pid_file = Some("db1.pid".into());
        server
    }

    pub(crate) fn data(&self) -> PathBuf {
        let data = self.folder.path().join("it's a $(data) \"dir\"\n!\\");
        fs::create_dir_all(&data).unwrap();
        data
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.data().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A program over there, as a script.
    pub(crate) fn install(&self, name: &str, script: &str) {
        let path = self.tools.path().join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn host(&self) -> SshHost {
        SshHost::new(&self.identity(), self.settings()).unwrap()
    }

    /// sshd and all its sessions.
    fn processes(&self) -> Vec<u32> {
        let mut found = vec![self.sshd.id()];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            next += 1;
            let children = format!("/proc/{parent}/task/{parent}/children");
            let children = fs::read_to_string(children).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        found
    }

    /// Ends every connection; sshd itself goes on.
    pub(crate) fn end_sessions(&self) {
        for pid in self.processes().into_iter().skip(1) {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let mut told = BTreeSet::new();
        loop {
            let new: Vec<_> =
                self.processes().into_iter().filter(|pid| told.insert(*pid)).collect();
            for pid in &new {
                let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw).unwrap();
                // One of them may just have ended.
                let _ = kill_process(pid, signal);
            }
            // One may have begun another while they were listed.
            if new.is_empty() {
                return;
            }
        }
    }
}

impl Drop for FarSide {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.signal(Signal::KILL);
        let _ = self.sshd.wait();
    }
}

const BUSYBOX: [&str; 14] = [
    "sh", "dd", "tail", "ls", "stat", "id", "uname", "cat", "tr", "sleep", "head", "wc", "grep",
    "rm",
];
const POSIX: &[(&str, &str)] = &[
    ("sh", "/usr/bin/dash"),
    ("dd", "/usr/bin/dd"),
    ("tail", "/usr/bin/tail"),
    ("ls", "/usr/bin/ls"),
    ("id", "/usr/bin/id"),
    ("uname", "/usr/bin/uname"),
    ("cat", "/usr/bin/cat"),
    ("tr", "/usr/bin/tr"),
    ("sleep", "/usr/bin/sleep"),
    ("grep", "/usr/bin/grep"),
    ("rm", "/usr/bin/rm"),
];

/// A folder of programs; its name has no blank, at which sshd's SetEnv would end.
fn links(programs: &[(&str, &str)]) -> tempfile::TempDir {
    let bin = tempfile::Builder::new().prefix("tools").tempdir().unwrap();
    fs::set_permissions(bin.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, program) in programs {
        symlink(program, bin.path().join(name)).unwrap();
    }
    bin
}

#[expect(clippy::disallowed_methods, reason = "blocking is meant; ssh-keygen only makes a key")]
fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

/// The test does not run: it says so, and fails where it must run.
#[expect(clippy::print_stdout, reason = "a test that did not run must be seen not to have run")]
fn skip(why: &str) {
    println!("SKIPPED: no far side for ssh ({why}; apt-get install openssh-server busybox)");
    let required = ["CI", "PRIMACY_REQUIRE_SERVERS"].map(std::env::var_os);
    assert!(required.iter().all(Option::is_none), "{why}, and it is required here");
}
