//! What a sandbox is made of, as asked for and as kept in `sandbox.json`.

use std::fs;
use std::path::{Path, PathBuf};

use primacy_types::{Address, ServerVersion};
use serde::{Deserialize, Serialize};

use crate::{Error, ProcessState, Result, places};

/// The sandbox that is asked for.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// Its name, and the cluster's in `primacy.toml`.
    pub name: String,
    /// The folder to make it in; it must not exist yet, or be empty.
    pub dir: PathBuf,
    /// Which server; None: see [`find_installation`](crate::find_installation).
    pub server: Option<String>,
    /// How many replicas beside the primary.
    pub replicas: u8,
    /// Replicate by GTID; else by file and position.
    pub gtid: bool,
    /// Semi-synchronous replication, never degrading silently.
    pub semi_sync: bool,
    /// How many replicas must acknowledge (MariaDB knows 1 only).
    pub semi_sync_wait_count: u8,
    /// The first server's port, the others follow; None: free ports.
    pub base_port: Option<u16>,
    /// Lines for all servers' option files, after ours, so that they win.
    pub extra_config: Vec<String>,
    /// Where the servers listen.
    pub host: String,
    /// Where each server listens, if not all on `host`.
    pub hosts: Vec<String>,
    /// The network namespace that each server runs in (needs root; `hosts` says its address).
    pub netns: Option<Vec<String>>,
    /// Give the servers certificates of a CA of the sandbox.
    pub tls: bool,
}

impl UpOptions {
    /// A GTID cluster with two replicas on free loopback ports, in the default place.
    pub fn named(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let dir = crate::sandboxes_dir()?.join(&name);
        Ok(Self::in_dir(name, dir))
    }

    /// The same in a folder of your choice.
    pub fn in_dir(name: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            dir: dir.into(),
            server: None,
            replicas: 2,
            gtid: true,
            semi_sync: false,
            semi_sync_wait_count: 1,
            base_port: None,
            extra_config: Vec::new(),
            host: "127.0.0.1".into(),
            hosts: Vec::new(),
            netns: None,
            tls: false,
        }
    }

    /// How many servers that makes.
    pub fn servers(&self) -> usize {
        usize::from(self.replicas) + 1
    }

    /// Refuses what cannot be, before anything is touched.
    pub(crate) fn check(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.chars().all(plain) {
            return Err(Error::refused(
                format!("{:?} is no name for a sandbox", self.name),
                "use up to 40 letters, digits, - and _",
            ));
        }
        let fits = |list: &[String]| list.is_empty() || list.len() == self.servers();
        if !fits(&self.hosts) || !self.netns.as_deref().is_none_or(fits) {
            return Err(Error::refused(
                format!("{} servers need as many hosts and namespaces", self.servers()),
                "name one for each server, or none",
            ));
        }
        if self.netns.is_some() && !nix::unistd::Uid::effective().is_root() {
            return Err(Error::refused(
                "only root can start servers in network namespaces",
                "run it with sudo",
            ));
        }
        if self.semi_sync && !(1..=self.replicas).contains(&self.semi_sync_wait_count) {
            return Err(Error::refused(
                format!(
                    "{} replicas cannot give {} acknowledgements",
                    self.replicas, self.semi_sync_wait_count
                ),
                "use a wait count from 1 to the number of replicas",
            ));
        }
        Ok(())
    }
}

/// What a server was when the sandbox was made. A failover moves the true role elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes the writes.
    Primary,
    /// Replicates from the primary.
    Replica,
}

/// One server of a sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerInfo {
    /// `s1`, `s2`, ...
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// What it was made as.
    pub role: Role,
    /// Its folder; everything below is in it.
    pub dir: PathBuf,
    /// Its data.
    pub datadir: PathBuf,
    /// Its Unix socket.
    pub socket: PathBuf,
    /// Where the server writes its process number.
    pub pid_file: PathBuf,
    /// Its option file.
    pub config_file: PathBuf,
    /// Its error log.
    pub error_log: PathBuf,
    /// Its `server_id`.
    pub server_id: u32,
    /// The network namespace that it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netns: Option<String>,
}

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountRole {
    /// Primacy's own.
    Manager,
    /// Replicas log in with it.
    Replication,
    /// Applications: everything in the databases `app` and `outage`.
    Application,
    /// The administrator, from this machine only.
    Root,
}

/// An account that every server of the sandbox has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// What it is for.
    pub role: AccountRole,
    /// Its name.
    pub user: String,
    /// Its password, made for this sandbox.
    pub password: String,
}

/// All there is to know about a sandbox; `sandbox.json` in its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxInfo {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// The server's name in the catalogue.
    pub installation: String,
    /// The server's version.
    pub version: ServerVersion,
    /// Whether it replicates by GTID.
    pub gtid: bool,
    /// Whether it is semi-synchronous.
    pub semi_sync: bool,
    /// How many replicas must acknowledge.
    pub semi_sync_wait_count: u8,
    /// The CA's certificate, with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// Its servers; the first was made as the primary.
    pub servers: Vec<ServerInfo>,
    /// The accounts on all of them.
    pub accounts: Vec<Account>,
    /// The configuration that was written for Primacy.
    pub config: PathBuf,
}

impl SandboxInfo {
    /// The file's name in the sandbox's folder.
    pub(crate) const FILE: &str = "sandbox.json";

    /// Reads it from a sandbox's folder.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let not = |why: String| Error::NotASandbox { dir: dir.to_owned(), why };
        let text = fs::read_to_string(dir.join(Self::FILE))
            .map_err(|error| not(format!("{}: {error}", Self::FILE)))?;
        serde_json::from_str(&text).map_err(|error| not(format!("{}: {error}", Self::FILE)))
    }

    /// Writes it to the sandbox's folder, for its owner's eyes only.
    pub(crate) fn write(&self) -> Result<()> {
        let path = self.dir.join(Self::FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::file("write", &path)(error.into()))?;
        places::write_private(&path, &text)
    }

    /// The account of this role.
    pub fn account(&self, role: AccountRole) -> Result<&Account> {
        self.accounts.iter().find(|account| account.role == role).ok_or_else(|| {
            Error::NotASandbox { dir: self.dir.clone(), why: "an account is missing".into() }
        })
    }

    /// The server of this name, or at this address.
    pub fn server(&self, name: &str) -> Result<&ServerInfo> {
        let is_it = |s: &&ServerInfo| s.name == name || s.address.to_string() == name;
        self.servers.iter().find(is_it).ok_or_else(|| {
            let known: Vec<_> = self.servers.iter().map(|s| s.name.as_str()).collect();
            Error::NoSuchServer {
                sandbox: self.name.clone(),
                server: name.to_owned(),
                known: known.join(", "),
            }
        })
    }
}

/// What a server is doing now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerStatus {
    /// `s1`, `s2`, ...
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// What it was made as.
    pub role: Role,
    /// Its process.
    pub process: ProcessState,
    /// Its process number, while there is one.
    pub pid: Option<u32>,
    /// Whether it greets who connects to its port.
    pub answers: bool,
}
