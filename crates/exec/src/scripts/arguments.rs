//! What a script is given, in the words of MHA's contract.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use primacy_types::{Address, SshSettings};

/// Limit of finding the IP address of a host: a name service that hangs holds up nobody.
const RESOLVE: Duration = Duration::from_secs(1);

/// The port that needs not be named.
const SSH_PORT: u16 = 22;

/// Whose host is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The old primary.
    Orig,
    /// The new one.
    New,
    /// The primary that is asked about.
    Only,
}

impl Role {
    /// `orig_master_host` and the like.
    pub(super) fn option(self, what: &str) -> String {
        let prefix = match self {
            Self::Orig => "orig_master",
            Self::New => "new_master",
            Self::Only => "master",
        };
        format!("{prefix}_{what}")
    }
}

/// The arguments of one call.
pub(super) struct Arguments<'a> {
    ssh: &'a SshSettings,
    all: Vec<String>,
    /// What MHA's contract adds only where it is not the usual.
    unusual: Vec<String>,
}

impl<'a> Arguments<'a> {
    pub(super) const fn new(ssh: &'a SshSettings) -> Self {
        Self { ssh, all: Vec::new(), unusual: Vec::new() }
    }

    pub(super) fn add(&mut self, option: impl AsRef<str>, value: &str) -> &mut Self {
        self.all.push(format!("--{}={value}", option.as_ref()));
        self
    }

    pub(super) fn flag(&mut self, option: &str) {
        self.all.push(format!("--{option}"));
    }

    /// Who logs in at hosts.
    pub(super) fn ssh_user(&mut self, option: impl AsRef<str>) -> &mut Self {
        let user = self.ssh.user.as_ref().map_or_else(own_user, |user| user.as_str().to_owned());
        self.add(option, &user)
    }

    /// Where a server is. A name that is not resolved in time stands for its IP address too: it is
    /// no worse, and a script that demands the option goes on.
    pub(super) async fn server(&mut self, role: Role, server: &Address) {
        let found = tokio::net::lookup_host((server.host(), server.port()));
        let ip = match tokio::time::timeout(RESOLVE, found).await {
            Ok(Ok(mut found)) => found.next().map(|found| found.ip().to_canonical().to_string()),
            _ => None,
        };
        self.add(role.option("host"), server.host());
        self.add(role.option("ip"), ip.as_deref().unwrap_or(server.host()));
        self.add(role.option("port"), &server.port().to_string());
        if role != Role::Only
            && let Some(port) = self.ssh.port.filter(|port| *port != SSH_PORT)
        {
            self.unusual.push(format!("--{}={port}", role.option("ssh_port")));
        }
    }

    /// All of them; the options of ssh come under this name, if there are any.
    pub(super) fn finish(mut self, options: &str) -> Vec<String> {
        self.all.append(&mut self.unusual);
        if !self.ssh.options.is_empty() {
            let words: Vec<_> = self.ssh.options.iter().map(|o| o.as_str()).collect();
            self.all.push(format!("--{options}={}", words.join(" ")));
        }
        self.all
    }
}

/// The user that this process runs as, as ssh would take it.
fn own_user() -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    named.filter(|name| !name.is_empty()).or_else(from_passwd).unwrap_or_else(|| "root".to_owned())
}

/// A service has no such variables.
fn from_passwd() -> Option<String> {
    let own = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find_map(|fields| match fields.as_slice() {
        [name, _, id, ..] if *id == own => Some((*name).to_owned()),
        _ => None,
    })
}
