//! Why a connection of a client ended, from the server's side.

use std::io;
use std::time::Duration;

use crate::error::Fault;
use crate::frame::TooLong;
use crate::packet::Malformed;

/// See the module. None carries a password or what a client sent as one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The client ended the connection.
    #[error("the client closed the connection")]
    Closed,
    /// The client did not do its part in time.
    #[error("the client did not answer within {limit:?} while we were {what}")]
    Timeout {
        /// What was going on.
        what: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// Wrong user or wrong password; the client was told so.
    #[error("login as {user:?} was denied")]
    Denied {
        /// The name that was given, shortened.
        user: String,
    },
    /// The client came without TLS where TLS is asked for; it was told so.
    #[error("the client wants no TLS, and this service asks for it")]
    NoTls,
    /// What came is not what the protocol says.
    #[error("the client does not follow the protocol: {reason}")]
    Protocol {
        /// What came.
        reason: String,
    },
    /// TLS failed.
    #[error("TLS with the client failed: {reason}")]
    Tls {
        /// Why.
        reason: String,
    },
    /// A certificate could not be made, read or used.
    #[error("the certificate of the server cannot be used: {reason}")]
    Certificate {
        /// Why.
        reason: String,
    },
    /// The operating system's word.
    #[error("the connection of the client failed: {0}")]
    Io(io::Error),
}

impl From<io::Error> for ServerError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl From<Malformed> for ServerError {
    fn from(malformed: Malformed) -> Self {
        Self::Protocol { reason: malformed.0 }
    }
}

impl From<TooLong> for ServerError {
    fn from(long: TooLong) -> Self {
        Self::Protocol { reason: long.to_string() }
    }
}

impl From<Fault> for ServerError {
    /// Of what packets over a byte stream can run into.
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(error) => error.into(),
            other => Self::Protocol { reason: other.to_string() },
        }
    }
}
