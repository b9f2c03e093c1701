//! What can go wrong between us and a server, told apart because failover depends on it: a
//! refused connection, a silent host, and a server that answers "no" are three different things.
//!
//! Every error names the server and is a whole sentence. None carries a statement or a password.

mod codes;
mod fault;

use std::io;
use std::time::Duration;

use primacy_types::Address;

pub use codes::{Meaning, meaning};
pub(crate) use fault::Fault;

/// Why a call to a server did not give an answer, or gave a refusal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Someone answered that no one listens on the port (`ECONNREFUSED`): the host, or a firewall
    /// in its name.
    #[error("{address} refused the connection: no server listens there, or a firewall refuses")]
    Refused {
        /// The server.
        address: Address,
    },
    /// The connection ended in the middle (`ECONNRESET`, `EPIPE`, or a clean end).
    #[error("{address} closed the connection while we were {what}")]
    Reset {
        /// The server.
        address: Address,
        /// What was going on.
        what: String,
    },
    /// No answer came in time.
    #[error("{address} did not answer within {limit:?} while we were {what}")]
    Timeout {
        /// The server.
        address: Address,
        /// What was going on.
        what: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The operating system knows no way to the host.
    #[error("{address} cannot be reached from this host: {source}")]
    Unreachable {
        /// The server.
        address: Address,
        /// The operating system's word.
        source: io::Error,
    },
    /// The host name has no address.
    #[error("the host name of {address} cannot be resolved: {source}")]
    Resolve {
        /// The server.
        address: Address,
        /// The resolver's word.
        source: io::Error,
    },
    /// The server does not let this account in.
    #[error("{address} denied access: {message} (error {code})")]
    AccessDenied {
        /// The server.
        address: Address,
        /// Error number.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// The server, or the account, has no connection left.
    #[error("{address} is up and has no connection left for us: {message} (error {code})")]
    TooManyConnections {
        /// The server.
        address: Address,
        /// Error number.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// The server does not let this host in.
    #[error("{address} does not let this host in: {message} (error {code})")]
    HostBlocked {
        /// The server.
        address: Address,
        /// Error number.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// The server is stopping, or ended this connection from its side.
    #[error("{address} is shutting down or ended this connection: {message} (error {code})")]
    ServerShutdown {
        /// The server.
        address: Address,
        /// Error number.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// Any other error packet.
    #[error("{address} answered with error {code} ({sqlstate}): {message}")]
    Server {
        /// The server.
        address: Address,
        /// Error number.
        code: u16,
        /// SQLSTATE.
        sqlstate: String,
        /// The server's words.
        message: String,
    },
    /// TLS is asked for, and the server has none.
    #[error("{address} offers no TLS, and the configuration asks for it")]
    NoTls {
        /// The server.
        address: Address,
    },
    /// The server's newest TLS version is older than 1.2.
    #[error("{address} speaks only TLS older than 1.2, which is not accepted")]
    OldTls {
        /// The server.
        address: Address,
    },
    /// TLS failed, most often because of the certificate.
    #[error("TLS with {address} failed: {reason}")]
    Tls {
        /// The server.
        address: Address,
        /// Why.
        reason: String,
    },
    /// What came is not what the protocol says.
    #[error("{address} does not follow the protocol: {reason}")]
    Protocol {
        /// The server.
        address: Address,
        /// What came.
        reason: String,
    },
    /// We cannot log in the way the server wants.
    #[error("login to {address} is not possible: {reason}")]
    Auth {
        /// The server.
        address: Address,
        /// Why.
        reason: String,
    },
    /// An earlier call on this session failed half-way; the session cannot be used again.
    #[error("the connection to {address} was given up after an earlier failure: connect again")]
    Broken {
        /// The server.
        address: Address,
    },
    /// The operating system refused something else.
    #[error("{address}: {what} failed: {source}")]
    Io {
        /// The server.
        address: Address,
        /// What was going on.
        what: String,
        /// The operating system's word.
        source: io::Error,
    },
}

impl WireError {
    /// Whether this is an answer of the database server itself: it is alive, and said no.
    ///
    /// False where something else may have answered (a proxy's closed connection, a TLS alert),
    /// and for every silence.
    pub fn is_server_answer(&self) -> bool {
        self.code().is_some()
    }

    /// The server's error number, if the server answered with one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::AccessDenied { code, .. }
            | Self::TooManyConnections { code, .. }
            | Self::HostBlocked { code, .. }
            | Self::ServerShutdown { code, .. }
            | Self::Server { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The server that this is about.
    pub fn address(&self) -> &Address {
        match self {
            Self::Refused { address }
            | Self::Reset { address, .. }
            | Self::Timeout { address, .. }
            | Self::Unreachable { address, .. }
            | Self::Resolve { address, .. }
            | Self::AccessDenied { address, .. }
            | Self::TooManyConnections { address, .. }
            | Self::HostBlocked { address, .. }
            | Self::ServerShutdown { address, .. }
            | Self::Server { address, .. }
            | Self::NoTls { address }
            | Self::OldTls { address }
            | Self::Tls { address, .. }
            | Self::Protocol { address, .. }
            | Self::Auth { address, .. }
            | Self::Broken { address }
            | Self::Io { address, .. } => address,
        }
    }

    /// An error packet of the server at `address`, classified by its number.
    pub fn from_packet(address: &Address, packet: crate::packet::ErrPacket) -> Self {
        let crate::packet::ErrPacket { code, sqlstate, message } = packet;
        let address = address.clone();
        match meaning(code) {
            Meaning::AccessDenied => Self::AccessDenied { address, code, message },
            Meaning::TooManyConnections => Self::TooManyConnections { address, code, message },
            Meaning::HostBlocked => Self::HostBlocked { address, code, message },
            Meaning::Shutdown => Self::ServerShutdown { address, code, message },
            Meaning::ConnectionEnded | Meaning::Other => {
                Self::Server { address, code, sqlstate, message }
            }
        }
    }
}
