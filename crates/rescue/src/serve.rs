//! A source of our own, from which replicas fetch what was saved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use primacy_replication::{ArchiveFeed, Source, SourceOptions};
use primacy_types::{Address, ServerVersion, TransactionSet};
use primacy_wire::server::ServerTls;
use rand::RngExt;
use rand::distr::{Alphanumeric, SampleString};
use secrecy::SecretString;
use tokio::net::UdpSocket;
use uuid::Uuid;

use crate::{RescueError, Saved};

/// As what the source presents itself, and where.
#[derive(Clone, Debug)]
pub struct ServeAs {
    /// The address of this machine to which the replica can connect ([`address_towards`]).
    pub bind: IpAddr,
    /// The replica's own version: what it can follow.
    pub version: ServerVersion,
    /// Server ids that the source must not have.
    pub taken_server_ids: Vec<u32>,
    /// Whether the replica encrypts its connection.
    pub tls: bool,
    /// What was left out because every receiver has it: one that lacks some of it is refused.
    pub since: TransactionSet,
}

const ACCOUNT_PREFIX: &str = "rescue_";
const ACCOUNT_LETTERS: usize = 8;

/// Whether an account has a name as those of rescues have.
pub fn is_account(name: &str) -> bool {
    name.strip_prefix(ACCOUNT_PREFIX).is_some_and(|rest| {
        rest.len() == ACCOUNT_LETTERS && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// The account of one rescue. It ends with the source.
#[derive(Clone, Debug)]
pub struct OneTimeAccount {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: SecretString,
}

/// What was saved, being served. Dropping it ends it.
#[derive(Debug)]
pub struct Served {
    source: Source,
    account: OneTimeAccount,
    tls: bool,
}

impl Served {
    /// Serves what was saved at a free port.
    pub async fn start(saved: Saved, who: ServeAs) -> Result<Self, RescueError> {
        let archive = saved.into_archive();
        let account = account();
        let tls = match who.tls {
            true => Some(
                ServerTls::self_signed(&[who.bind.to_string()])
                    .map_err(|e| RescueError::Ended(e.to_string()))?,
            ),
            false => None,
        };
        let options = SourceOptions {
            bind: SocketAddr::new(who.bind, 0),
            user: account.user.clone(),
            password: account.password.clone(),
            server_id: free_server_id(&who.taken_server_ids),
            server_uuid: Uuid::new_v4(),
            version: who.version,
            version_text: archive.manifest().server_version.clone(),
            gtid_mode: !matches!(archive.transactions(), TransactionSet::UpTo(_)),
            require_tls: tls.is_some(),
            tls,
            max_connections: 64,
            login_limit: Duration::from_secs(10),
            send_limit: Duration::from_secs(60),
        };
        let source = Source::start(options, ArchiveFeed::new(archive).needing(who.since)).await?;
        Ok(Self { source, account, tls: who.tls })
    }

    /// Where it listens.
    pub fn address(&self) -> Address {
        let address = self.source.address();
        Address::new(address.ip().to_string(), address.port())
    }

    /// Who may log in.
    pub fn account(&self) -> OneTimeAccount {
        self.account.clone()
    }

    /// Whether connections are encrypted.
    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// Bytes that were sent to all replicas so far.
    pub fn bytes_sent(&self) -> u64 {
        self.source.report().borrow().replicas.iter().map(|replica| replica.bytes).sum()
    }

    /// What last went wrong on our side.
    pub fn last_error(&self) -> Option<String> {
        self.source.report().borrow().errors.last().map(|error| error.what.clone())
    }
}

/// The address of this machine from which `server` is reached, and where it can reach us.
pub async fn address_towards(server: &Address) -> Result<IpAddr, RescueError> {
    let failed = |source| RescueError::NoAddress { server: server.clone(), source };
    let targets = tokio::net::lookup_host((server.host(), server.port())).await.map_err(failed)?;
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for target in targets {
        let any: SocketAddr = match target {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        // Nothing is sent: connecting a datagram socket only asks the routing table.
        let asked = async {
            let socket = UdpSocket::bind(any).await?;
            socket.connect(target).await?;
            socket.local_addr()
        };
        match asked.await {
            Ok(local) => return Ok(local.ip()),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

/// Letters and digits only: the names go through statements of every version.
fn account() -> OneTimeAccount {
    let text = |length| Alphanumeric.sample_string(&mut rand::rng(), length);
    // MySQL 5.6 takes no more than 16 characters of a name, 32 of a password of replication.
    OneTimeAccount {
        user: format!("{ACCOUNT_PREFIX}{}", text(ACCOUNT_LETTERS)),
        password: SecretString::from(text(28)),
    }
}

/// A number in the upper half, where people seldom choose theirs.
fn free_server_id(taken: &[u32]) -> u32 {
    let mut rng = rand::rng();
    loop {
        let id = rng.random_range(1 << 31..u32::MAX);
        if !taken.contains(&id) {
            return id;
        }
    }
}
