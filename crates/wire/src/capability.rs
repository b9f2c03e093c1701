//! The capability and status flags of the protocol that we offer or look at.
//!
//! Numbers are those of MySQL's `mysql_com.h` (9.7) and MariaDB's (11.8); the two agree on the low
//! 24 bits, save that MariaDB servers leave [`LONG_PASSWORD`] unset to say that they are MariaDB.

/// Offered by every client; a MariaDB server without it has MariaDB's own extensions.
pub const LONG_PASSWORD: u32 = 1;
/// All column flags are sent.
pub const LONG_FLAG: u32 = 1 << 2;
/// A database is named at login.
pub const CONNECT_WITH_DB: u32 = 1 << 3;
/// The packets of MySQL 4.1 and later; without it we do not talk.
pub const PROTOCOL_41: u32 = 1 << 9;
/// TLS can be switched to before login.
pub const SSL: u32 = 1 << 11;
/// Status flags in OK and EOF packets mean something.
pub const TRANSACTIONS: u32 = 1 << 13;
/// 20-byte scrambles.
pub const SECURE_CONNECTION: u32 = 1 << 15;
/// A statement may answer with more than one result (`CALL`).
pub const MULTI_RESULTS: u32 = 1 << 17;
/// Authentication plugins by name.
pub const PLUGIN_AUTH: u32 = 1 << 19;
/// Attributes of the connection, shown in `performance_schema`.
pub const CONNECT_ATTRS: u32 = 1 << 20;
/// The login answer may be longer than 255 bytes.
pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
/// Result sets end with an OK packet in place of EOF, and none stands after the columns.
pub const DEPRECATE_EOF: u32 = 1 << 24;

/// Status: another result follows this one.
pub const STATUS_MORE_RESULTS: u16 = 0x0008;
/// Status: backslash is an ordinary character in string literals.
pub const STATUS_NO_BACKSLASH_ESCAPES: u16 = 0x0200;

/// What we ask for where the server offers it.
const WANTED: u32 = LONG_PASSWORD
    | LONG_FLAG
    | PROTOCOL_41
    | TRANSACTIONS
    | SECURE_CONNECTION
    | MULTI_RESULTS
    | PLUGIN_AUTH
    | CONNECT_ATTRS
    | PLUGIN_AUTH_LENENC
    | DEPRECATE_EOF;

/// What a server of ours offers, besides [`SSL`] and [`LONG_PASSWORD`], which depend on it. Result
/// sets end as they did before [`DEPRECATE_EOF`], which every client reads.
pub const SERVED: u32 = LONG_FLAG
    | CONNECT_WITH_DB
    | PROTOCOL_41
    | TRANSACTIONS
    | SECURE_CONNECTION
    | MULTI_RESULTS
    | PLUGIN_AUTH
    | CONNECT_ATTRS
    | PLUGIN_AUTH_LENENC;

/// The capabilities of a connection to a server that offers `offered`.
///
/// `LOCAL_FILES`, `MULTI_STATEMENTS` and compression are never among them.
pub fn agreed(offered: u32, with_database: bool, with_tls: bool) -> u32 {
    let mut flags = WANTED & offered | LONG_PASSWORD;
    if with_database {
        flags |= CONNECT_WITH_DB;
    }
    if with_tls {
        flags |= SSL;
    }
    flags
}
