//! What one must know to connect to a server.

use std::path::PathBuf;
use std::time::Duration;

use primacy_types::Address;
use secrecy::SecretString;

/// Whether the connection is encrypted, and what the server must prove.
///
/// TLS is never given up silently: where it is asked for and not offered, connecting fails. X.509
/// v1 certificates cannot be used, whatever the mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS.
    Off,
    /// Encrypted; any certificate will do. Protects from listeners, not from an impostor.
    Required,
    /// The certificate must come from this authority; the name in it does not matter (those that
    /// MySQL makes for itself name no host).
    VerifyCa {
        /// Certificates of authorities, in PEM.
        ca_file: PathBuf,
    },
    /// The certificate must come from an authority and name the host.
    Full {
        /// Certificates of authorities, in PEM; `None` for the system's.
        ca_file: Option<PathBuf>,
    },
    /// The certificate must be exactly this one, whoever signed it and for how long.
    Pinned {
        /// SHA-256 of the certificate in DER.
        sha256: [u8; 32],
    },
}

/// Where to connect, as whom, and how long to try.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The server. With `unix_socket`, only its name in messages.
    pub address: Address,
    /// Account name.
    pub user: String,
    /// Its password; empty for none.
    pub password: SecretString,
    /// Encryption; not used on a unix socket.
    pub tls: TlsMode,
    /// Limit for all of it: name, TCP, TLS, login.
    pub connect_timeout: Duration,
    /// Default database.
    pub database: Option<String>,
    /// Shown by the server as the attribute `program_name`.
    pub program: String,
    /// Connect to this socket file in place of TCP.
    pub unix_socket: Option<PathBuf>,
}
