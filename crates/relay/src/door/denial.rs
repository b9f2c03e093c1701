//! Why a client is turned away, and what servers say then.

use primacy_protocol::packet::ErrPacket;

/// See the module. What is shown carries no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Wrong password, unknown user, or a way to come that the account does not allow: one answer.
    #[error("access denied for {user:?} from {host}")]
    Password {
        /// The name that was given.
        user: String,
        /// From where.
        host: String,
        /// Whether a password was given.
        given: bool,
    },
    /// The account has a plugin that takes no password.
    #[error("access denied for {user:?} from {host}: the account takes no password")]
    NoPassword {
        /// The name that was given.
        user: String,
        /// From where.
        host: String,
    },
    /// No account may come from there.
    #[error("no account may log in from {host}")]
    Host {
        /// From where.
        host: String,
    },
    /// The password was right, and the account is locked.
    #[error("the account of {user:?} from {host} is locked")]
    Locked {
        /// The name that was given.
        user: String,
        /// From where.
        host: String,
    },
    /// The password was right, has expired, and the client cannot change it.
    #[error("the password has expired, and the client cannot set a new one")]
    Expired,
    /// The client came without TLS.
    #[error("the client wants no TLS, and it is asked for")]
    NoTls,
    /// The client does not know the plugin, nor how to be told of another one.
    #[error("the client cannot use the account's authentication plugin")]
    OldClient,
    /// What came is not a login.
    #[error("the client does not follow the protocol of a login")]
    Handshake,
}

impl Denial {
    /// The packet that a server of this family sends.
    pub fn answer(&self, mariadb: bool) -> ErrPacket {
        let family = if mariadb { "MariaDB" } else { "MySQL" };
        match self {
            Self::Password { user, host, given } => {
                let given = if *given { "YES" } else { "NO" };
                let text =
                    format!("Access denied for user '{user}'@'{host}' (using password: {given})");
                ErrPacket::new(1045, "28000", text)
            }
            Self::NoPassword { user, host } => {
                ErrPacket::new(1698, "28000", format!("Access denied for user '{user}'@'{host}'"))
            }
            Self::Host { host } => {
                let text =
                    format!("Host '{host}' is not allowed to connect to this {family} server");
                ErrPacket::new(1130, "HY000", text)
            }
            Self::Locked { .. } if mariadb => {
                ErrPacket::new(4151, "HY000", "Access denied, this account is locked")
            }
            Self::Locked { user, host } => {
                let text = format!("Access denied for user '{user}'@'{host}'. Account is locked.");
                ErrPacket::new(3118, "HY000", text)
            }
            Self::Expired => ErrPacket::new(
                1862,
                "HY000",
                "Your password has expired. To log in you must change it using a client that \
                 supports expired passwords.",
            ),
            Self::NoTls => ErrPacket::new(
                3159,
                "08004",
                "Connections using insecure transport are prohibited while \
                 --require_secure_transport=ON.",
            ),
            Self::OldClient => {
                let text = format!(
                    "Client does not support authentication protocol requested by server; \
                     consider upgrading {family} client"
                );
                ErrPacket::new(1251, "08004", text)
            }
            Self::Handshake => ErrPacket::new(1043, "08S01", "Bad handshake"),
        }
    }
}
