//! A failure before it is known which server and which call it belongs to. Lower layers return
//! these; the session turns them into [`WireError`]s.

use std::io::{self, ErrorKind};
use std::time::Duration;

use primacy_types::Address;

use super::{Meaning, WireError, meaning};
use crate::frame::TooLong;
use crate::packet::{ErrPacket, Malformed};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The operating system's word; rustls speaks through it too.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The host name could not be resolved.
    #[error("{0}")]
    Resolve(io::Error),
    /// Time was up for one of several addresses.
    #[error("no answer in time")]
    Silent,
    /// An error packet: the answer to our command, in its place.
    #[error("{}", .0.message)]
    Answer(ErrPacket),
    /// An error packet where none was expected: the server is ending the connection.
    #[error("{}", .0.message)]
    LastWord(ErrPacket),
    /// Not the protocol.
    #[error("{0}")]
    Protocol(String),
    /// No way to log in.
    #[error("{0}")]
    Auth(String),
    /// The server offers no TLS.
    #[error("no TLS offered")]
    NoTls,
    /// TLS could not be prepared (a file, a name).
    #[error("{0}")]
    Tls(String),
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Protocol(malformed.0)
    }
}

impl From<TooLong> for Fault {
    fn from(long: TooLong) -> Self {
        Self::Protocol(long.to_string())
    }
}

impl Fault {
    /// Whether the connection can be used for another command after this.
    pub(crate) fn leaves_connection_usable(&self) -> bool {
        match self {
            Self::Answer(packet) => {
                !matches!(meaning(packet.code), Meaning::Shutdown | Meaning::ConnectionEnded)
            }
            _ => false,
        }
    }

    /// The error for people and for failover: this happened at `address` while we were `what`.
    pub(crate) fn at(self, address: &Address, what: &str, limit: Duration) -> WireError {
        let address = address.clone();
        match self {
            Self::Io(source) => io_error(source, address, what, limit),
            Self::Resolve(source) => WireError::Resolve { address, source },
            Self::Silent => WireError::Timeout { address, what: what.to_owned(), limit },
            Self::Answer(packet) | Self::LastWord(packet) => {
                WireError::from_packet(&address, packet)
            }
            Self::Protocol(reason) => WireError::Protocol { address, reason },
            Self::Auth(reason) => WireError::Auth { address, reason },
            Self::NoTls => WireError::NoTls { address },
            Self::Tls(reason) => WireError::Tls { address, reason },
        }
    }
}

/// Classifies an error of the operating system or of rustls.
fn io_error(source: io::Error, address: Address, what: &str, limit: Duration) -> WireError {
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(error) = inner {
        return tls_error(error, address);
    }
    let what = what.to_owned();
    match source.kind() {
        ErrorKind::ConnectionRefused => WireError::Refused { address },
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::NotConnected => WireError::Reset { address, what },
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            WireError::Unreachable { address, source }
        }
        // The kernel gave up before our own limit: no answer to SYN or keepalive.
        ErrorKind::TimedOut => WireError::Timeout { address, what, limit },
        _ => WireError::Io { address, what, source },
    }
}

/// Classifies an error of the TLS layer.
fn tls_error(error: &rustls::Error, address: Address) -> WireError {
    use rustls::{
        AlertDescription, CertificateError, InvalidMessage, OtherError, PeerIncompatible,
    };
    match error {
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => WireError::OldTls { address },
        // rustls shows the debug form of errors that are not its own.
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => {
            let mut reason = inner.to_string();
            if reason == "UnsupportedCertVersion" {
                reason = "its certificate is X.509 version 1, version 3 is needed".to_owned();
            }
            WireError::Tls { address, reason }
        }
        error => WireError::Tls { address, reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(kind: ErrorKind) -> WireError {
        let address = Address::new("db1", 3306);
        Fault::Io(kind.into()).at(&address, "connecting", Duration::from_secs(1))
    }

    #[test]
    fn the_words_of_the_operating_system_are_told_apart() {
        assert!(matches!(classify(ErrorKind::ConnectionRefused), WireError::Refused { .. }));
        assert!(matches!(classify(ErrorKind::UnexpectedEof), WireError::Reset { .. }));
        assert!(matches!(classify(ErrorKind::BrokenPipe), WireError::Reset { .. }));
        assert!(matches!(classify(ErrorKind::HostUnreachable), WireError::Unreachable { .. }));
        assert!(matches!(classify(ErrorKind::TimedOut), WireError::Timeout { .. }));
        assert!(matches!(classify(ErrorKind::PermissionDenied), WireError::Io { .. }));
    }

    #[test]
    fn old_tls_has_its_own_name() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion);
        let error = io::Error::new(ErrorKind::InvalidData, alert);
        let error = Fault::Io(error).at(&Address::new("db1", 3306), "x", Duration::ZERO);
        assert_eq!(
            error.to_string(),
            "db1:3306 speaks only TLS older than 1.2, which is not accepted"
        );
    }

    #[test]
    fn an_answer_of_the_server_is_a_sign_of_life() {
        let address = Address::new("db1", 3306);
        let packet = ErrPacket { code: 1040, sqlstate: "08004".into(), message: "Too many".into() };
        let error = WireError::from_packet(&address, packet);
        assert!(error.is_server_answer());
        assert_eq!(error.code(), Some(1040));
        assert!(matches!(error, WireError::TooManyConnections { .. }));
        assert!(!classify(ErrorKind::ConnectionReset).is_server_answer());
    }
}
