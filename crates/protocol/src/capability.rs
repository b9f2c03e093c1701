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
/// `UPDATE` counts the rows that were found, not those that were changed.
pub const FOUND_ROWS: u32 = 1 << 1;
/// Packets travel compressed by zlib.
pub const COMPRESS: u32 = 1 << 5;
/// The client lets the server ask for its files (`LOAD DATA LOCAL`).
pub const LOCAL_FILES: u32 = 1 << 7;
/// A blank may stand between a function's name and its parenthesis.
pub const IGNORE_SPACE: u32 = 1 << 8;
/// `interactive_timeout` counts, not `wait_timeout`.
pub const INTERACTIVE: u32 = 1 << 10;
/// A text may hold more than one statement.
pub const MULTI_STATEMENTS: u32 = 1 << 16;
/// A prepared statement may answer with more than one result.
pub const PS_MULTI_RESULTS: u32 = 1 << 18;
/// A session with an expired password is let in, to set a new one.
pub const EXPIRED_PASSWORDS: u32 = 1 << 22;
/// OK packets tell what changed of the session's state.
pub const SESSION_TRACK: u32 = 1 << 23;
/// Column definitions may be left out (MySQL 8.0).
pub const OPTIONAL_METADATA: u32 = 1 << 25;
/// Packets travel compressed by Zstandard (MySQL 8.0.18).
pub const ZSTD: u32 = 1 << 26;
/// Statements may carry attributes (MySQL 8.0.23).
pub const QUERY_ATTRIBUTES: u32 = 1 << 27;
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

/// MariaDB's own, in the upper half of 64 bits: reports of progress while a statement runs.
pub const MARIADB_PROGRESS: u64 = 1 << 32;
/// `COM_STMT_BULK_EXECUTE`.
pub const MARIADB_BULK: u64 = 1 << 34;
/// Column definitions say more of their types.
pub const MARIADB_EXTENDED_TYPES: u64 = 1 << 35;
/// The column definitions of a prepared statement that did not change are left out.
pub const MARIADB_CACHE_METADATA: u64 = 1 << 36;
/// A bulk execution may answer with a row for each of its parts (11.5).
pub const MARIADB_BULK_UNITS: u64 = 1 << 37;

/// Status: a transaction is open.
pub const STATUS_IN_TRANSACTION: u16 = 0x0001;
/// Status: autocommit is on.
pub const STATUS_AUTOCOMMIT: u16 = 0x0002;
/// Status: a cursor was opened; no rows follow the columns.
pub const STATUS_CURSOR_EXISTS: u16 = 0x0040;
/// Status: a cursor gave its last row.
pub const STATUS_LAST_ROW_SENT: u16 = 0x0080;
/// Status: this result has the OUT parameters of a procedure.
pub const STATUS_OUT_PARAMETERS: u16 = 0x1000;
/// Status: the open transaction is read-only.
pub const STATUS_IN_READ_ONLY_TRANSACTION: u16 = 0x2000;
/// Status: the session's state changed, and the OK packet says how.
pub const STATUS_STATE_CHANGED: u16 = 0x4000;

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
