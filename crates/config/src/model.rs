//! What a configuration says once it was read and found right. Nothing here reads a file or asks
//! the environment: where a password comes from is a [`SecretSource`].

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use primacy_types::{
    Address, HookEvent, HostAccessKind, Millis, Policy, Scripts, SshSettings, SshTarget,
    VirtualAddress,
};
use serde::{Deserialize, Serialize};

use crate::given::GivenSecret;
use crate::url::Url;

/// A whole configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The manager itself.
    pub manager: ManagerConfig,
    /// The clusters it looks after.
    pub clusters: BTreeMap<ClusterName, ClusterConfig>,
    /// The agent of this host, if the file has its section.
    pub agent: Option<AgentConfig>,
    /// What was to be said of the file when it was read, where it is none of our own: MHA's.
    pub notices: Vec<String>,
}

/// The files with which managers and agents know each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// One's own certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that are believed.
    pub authority: PathBuf,
}

/// Settings of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Where it listens.
    pub listen: Address,
    /// Its certificate.
    pub certificates: CertificateFiles,
    /// Where it keeps what must survive it.
    pub state_dir: PathBuf,
    /// Length of a lease.
    pub lease: Millis,
    /// Where health is asked for; `None`: nowhere.
    pub health: Option<Address>,
    /// The servers of this host.
    pub servers: Vec<AgentServer>,
    /// Who the agent is to them.
    pub account: Account,
    /// How its connections to them are protected.
    pub tls: TlsConfig,
}

/// A server that an agent looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentServer {
    /// Its address in the manager's file.
    pub address: Address,
    /// Where the agent reaches it, if elsewhere.
    pub connect: Option<Address>,
    /// Its unix socket, if that is used.
    pub socket: Option<PathBuf>,
    /// What starts it where no systemd unit does: a program and its arguments.
    pub start: Vec<String>,
}

/// Settings of the manager process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerConfig {
    /// How this manager calls itself in locks and history; `None`: the name of the host.
    pub name: Option<String>,
    /// The folder of its history and journal.
    pub state_dir: PathBuf,
    /// Where commands reach it; `None`: `primacy.sock` in the state folder.
    pub socket: Option<PathBuf>,
    /// The brake: so many clusters may be failing over at the same time.
    pub max_failovers_at_once: u32,
    /// Where health is asked for; `None`: nowhere.
    pub health: Option<Address>,
    /// What it shows to agents; `None`: none are asked.
    pub certificates: Option<CertificateFiles>,
}

/// One cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Its name in commands, locks and history.
    pub name: ClusterName,
    /// What holds its servers together.
    pub kind: ClusterKind,
    /// Addresses that follow the primary.
    pub vips: Vec<VirtualAddress>,
    /// Addresses for readers, each held by one replica.
    pub reader_vips: Vec<VirtualAddress>,
    /// How hosts are reached whose server does not say.
    pub host_access: HostAccessKind,
    /// Its servers in the order of the file; none stands here twice.
    pub servers: Vec<Address>,
    /// What people decided beforehand.
    pub policy: Policy,
    /// Who Primacy is to the servers.
    pub accounts: Accounts,
    /// How connections to the servers are protected.
    pub tls: TlsConfig,
    /// How hosts are reached over ssh.
    pub ssh: SshSettings,
    /// Who else keeps copies of the primary's binary logs.
    pub binlog_copies: Vec<BinlogCopyConfig>,
    /// Programs of the person's own, in the order in which they are called.
    pub hooks: Vec<HookConfig>,
    /// Who is told of the same.
    pub webhooks: Vec<WebhookConfig>,
    /// The last rung of the fencing ladder.
    pub shutdown_script: Option<ProgramConfig>,
    /// How long one call of it may take.
    pub shutdown_timeout: Millis,
    /// Scripts that are called as MHA calls them.
    pub scripts: ScriptsConfig,
    /// How often relay logs are purged; `None`: only when somebody asks for it.
    pub purge_relay_logs_every: Option<Millis>,
}

/// A program with its arguments, run without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramConfig {
    /// Its absolute path.
    pub path: PathBuf,
    /// What it is always given.
    pub arguments: Vec<String>,
}

impl ProgramConfig {
    /// Both as one list, as it is written.
    pub(crate) fn command_line(&self) -> Vec<String> {
        let path = self.path.to_string_lossy().into_owned();
        std::iter::once(path).chain(self.arguments.iter().cloned()).collect()
    }
}

/// Scripts that are called as MHA calls them: each a line for a shell, to which the arguments of a
/// call are appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptsConfig {
    /// Takes the application's way to the primary from a dead one and gives it to the new one.
    pub failover: Option<String>,
    /// The same for a switchover.
    pub switchover: Option<String>,
    /// Is told what became of a failover.
    pub report: Option<String>,
    /// Asks other hosts whether they reach the primary.
    pub secondary_check: Option<String>,
    /// How long one call may take.
    pub timeout: Millis,
}

impl ScriptsConfig {
    /// What plans know of them: which ones there are.
    pub(crate) fn known(&self) -> Scripts {
        Scripts {
            failover: self.failover.is_some(),
            switchover: self.switchover.is_some(),
            secondary_check: self.secondary_check.is_some(),
            timeout: self.timeout,
        }
    }
}

/// A program that is called at some moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// What is run.
    pub run: HookRun,
    /// When; at all moments, if none is named.
    pub at: Vec<HookEvent>,
    /// How long one call may take.
    pub timeout: Millis,
    /// What its failure means before a failover.
    pub on_failure: OnFailure,
}

/// What a hook runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookRun {
    /// An executable, without a shell.
    Program {
        /// Its absolute path.
        path: PathBuf,
        /// Its arguments; their placeholders are known to be right.
        arguments: Vec<String>,
    },
    /// A line for a shell.
    Command(String),
}

/// What the failure of a hook means before a failover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is reported, and the failover goes on.
    #[default]
    GoOn,
    /// The failover is not begun.
    Refuse,
}

/// A folder on another host to which the primary's binary logs are copied while it writes them, byte for
/// byte and under their names, as `mysqlbinlog --read-from-remote-server --raw --stop-never` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinlogCopyConfig {
    /// The folder, on that host.
    pub folder: PathBuf,
    /// The host, and what is different there from how servers' hosts are reached over ssh.
    pub ssh: SshTarget,
}

/// A URL that is told of some moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where.
    pub url: Url,
    /// Where the secret is found with which documents are signed; `None`: they are not.
    pub secret: Option<SecretSource>,
    /// When; at all moments, if none is named.
    pub at: Vec<HookEvent>,
    /// The authorities whose certificates are accepted; `None`: those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// It may be `http://` to another machine.
    pub allow_plain: bool,
}

/// What holds a cluster's servers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClusterKind {
    /// One primary and the replicas that read from it.
    Replication,
    /// A Galera group. Recognised, and refused by `parse` until Primacy can run one.
    Galera,
}

/// The accounts that Primacy uses on the servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// For watching and changing servers.
    pub manager: Account,
    /// What a repointed replica logs in with at its new source.
    pub replication: Account,
}

/// A user name and where its password is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user name.
    pub user: String,
    /// Where the password is found.
    pub password: SecretSource,
}

/// Where a secret is found. The one who needs it reads it there; a native file never holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that holds nothing else; a line break at its end does not count.
    File(PathBuf),
    /// A variable of the manager's environment.
    Env(String),
    /// A systemd credential: the file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// It stood in the configuration itself, which was not a native file: that of MHA.
    Given(GivenSecret),
}

/// How connections from Primacy to the servers are protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsConfig {
    /// No TLS.
    Off,
    /// TLS with whatever certificate the server shows.
    Required,
    /// TLS, and the certificate comes from one of these authorities.
    VerifyCa {
        /// PEM file of the authorities.
        ca_file: PathBuf,
    },
    /// TLS, the certificate comes from one of these authorities and names the host.
    Full {
        /// PEM file of the authorities.
        ca_file: PathBuf,
    },
    /// TLS, and the certificate is exactly this one.
    Pinned {
        /// SHA-256 of the certificate.
        fingerprint: Fingerprint,
    },
}

/// SHA-256 of a certificate in its DER form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Why a text is not a SHA-256 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint has 64 hexadecimal digits (colons between them are allowed)")]
pub struct FingerprintError;

/// Name of a cluster: letters, digits, `_` and `-`, at most 48 of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(String);

/// Why a text is not the name of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster's name is made of 1 to 48 of the characters a-z, A-Z, 0-9, `_` and `-`")]
pub struct ClusterNameError;

impl Config {
    /// The same configuration with relative paths taken from `base_dir`, the file's folder.
    pub fn resolved(mut self, base_dir: &Path) -> Self {
        let resolve = |path: &mut PathBuf| *path = base_dir.join(&*path);
        resolve(&mut self.manager.state_dir);
        self.manager.socket.as_mut().map(resolve);
        let files = |files: &mut CertificateFiles| {
            for path in [&mut files.certificate, &mut files.key, &mut files.authority] {
                resolve(path);
            }
        };
        self.manager.certificates.as_mut().map(files);
        if let Some(agent) = &mut self.agent {
            files(&mut agent.certificates);
            resolve(&mut agent.state_dir);
            agent.servers.iter_mut().filter_map(|s| s.socket.as_mut()).for_each(resolve);
            if let SecretSource::File(path) = &mut agent.account.password {
                resolve(path);
            }
            if let TlsConfig::VerifyCa { ca_file } | TlsConfig::Full { ca_file } = &mut agent.tls {
                resolve(ca_file);
            }
        }
        for cluster in self.clusters.values_mut() {
            let accounts = &mut cluster.accounts;
            for account in [&mut accounts.manager, &mut accounts.replication] {
                if let SecretSource::File(path) = &mut account.password {
                    resolve(path);
                }
            }
            if let TlsConfig::VerifyCa { ca_file } | TlsConfig::Full { ca_file } = &mut cluster.tls
            {
                resolve(ca_file);
            }
            for webhook in &mut cluster.webhooks {
                webhook.ca_file.as_mut().map(resolve);
                if let Some(SecretSource::File(path)) = &mut webhook.secret {
                    resolve(path);
                }
            }
        }
        self
    }
}

impl ManagerConfig {
    /// Where commands reach the manager.
    pub fn socket_path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.state_dir.join("primacy.sock"))
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::Credential(name) => write!(f, "the systemd credential {name}"),
            Self::Given(given) => f.write_str(given.file()),
        }
    }
}

impl fmt::Display for ClusterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Replication => "replication",
            Self::Galera => "galera",
        })
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or(FingerprintError))
            .collect::<Result<_, _>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        match (bytes.try_into(), rest) {
            (Ok(bytes), []) => Ok(Self(bytes)),
            _ => Err(FingerprintError),
        }
    }
}

impl fmt::Display for Fingerprint {
    /// As `openssl x509 -fingerprint -sha256` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        f.pad(&bytes.join(":"))
    }
}

impl ClusterName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if (1..=48).contains(&text.len()) && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ClusterNameError)
        }
    }
}

impl TryFrom<String> for ClusterName {
    type Error = ClusterNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// So that a map of clusters can be asked with a plain text.
impl Borrow<str> for ClusterName {
    fn borrow(&self) -> &str {
        &self.0
    }
}
