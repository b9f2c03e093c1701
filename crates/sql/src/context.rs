//! What a statement's meaning depends on beside its bytes: the servers, the session's settings,
//! and what the session has made so far.

use primacy_types::{Flavor, ServerVersion};

/// What to know of a session and its servers before its statements are read.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// The oldest server that the statement may run on: what `/*!NNNNN */` has depends on it.
    pub oldest: ServerVersion,
    /// The newest one. Where the two disagree about an executable comment, nothing is proven.
    pub newest: ServerVersion,
    /// The modes that change how bytes are cut into words.
    pub sql_mode: SqlMode,
    /// The client's character set, as far as bytes are concerned.
    pub charset: Charset,
    /// What the session has made, and what its administrator allows.
    pub session: &'c dyn Session,
}

impl Context<'static> {
    /// A fresh session on servers of one version: default modes, UTF-8, nothing made.
    pub fn new(server: ServerVersion) -> Self {
        Self {
            oldest: server,
            newest: server,
            sql_mode: SqlMode::default(),
            charset: Charset::Utf8,
            session: &Fresh,
        }
    }
}

impl Context<'_> {
    /// The family of the servers.
    pub fn flavor(&self) -> Flavor {
        self.oldest.flavor
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("oldest", &self.oldest)
            .field("newest", &self.newest)
            .field("sql_mode", &self.sql_mode)
            .field("charset", &self.charset)
            .finish_non_exhaustive()
    }
}

/// The modes of `sql_mode` that change how a statement is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqlMode {
    /// `ANSI_QUOTES`: `"x"` is an identifier, not a string.
    pub ansi_quotes: bool,
    /// `NO_BACKSLASH_ESCAPES`: a backslash in a string is itself. The servers say it in the status
    /// flags of every answer.
    pub no_backslash_escapes: bool,
    /// `IGNORE_SPACE`: `now ()` is the built-in function and not a stored one of that name.
    pub ignore_space: bool,
    /// MariaDB's `ORACLE`, `MSSQL` and the like: another grammar, of which nothing is proven.
    pub foreign: bool,
}

impl SqlMode {
    /// Reads the value of `@@sql_mode` as a server gives it; combined modes count as what they
    /// stand for, also where a server does not write them out.
    pub fn parse(value: &str) -> Self {
        let mut mode = Self::default();
        for name in value.split(',') {
            let name = name.trim().to_ascii_uppercase();
            match name.as_str() {
                "ANSI_QUOTES" => mode.ansi_quotes = true,
                "NO_BACKSLASH_ESCAPES" => mode.no_backslash_escapes = true,
                "IGNORE_SPACE" => mode.ignore_space = true,
                "ANSI" => {
                    mode.ansi_quotes = true;
                    mode.ignore_space = true;
                }
                "ORACLE" | "MSSQL" | "DB2" | "MAXDB" | "POSTGRESQL" => {
                    mode.ansi_quotes = true;
                    mode.ignore_space = true;
                    mode.foreign = true;
                }
                _ => {}
            }
        }
        mode
    }
}

/// What bytes of 128 and above can be in the client's character set (`character_set_client`).
///
/// In some of them the second byte of a character can be a backslash, a backtick, or what looks
/// like a letter, and in single-byte ones a high byte can be a space (`0xA0` in latin1). Where such
/// a byte could change what the server reads, nothing is proven and the primary gets the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// `utf8mb3`, `utf8mb4`: no byte of a longer character is below 128.
    Utf8,
    /// latin1, ascii, cp1251 and all others of one byte; `binary`.
    SingleByte,
    /// gbk, gb18030, big5, sjis, cp932, euckr, gb2312, ujis, eucjpms.
    MultiByte,
}

impl Charset {
    /// By the server's name of a character set; an unknown one is read with most care.
    pub fn named(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "utf8" | "utf8mb3" | "utf8mb4" => Self::Utf8,
            "latin1" | "latin2" | "latin5" | "latin7" | "ascii" | "binary" | "cp1250"
            | "cp1251" | "cp1256" | "cp1257" | "cp850" | "cp852" | "cp866" | "koi8r" | "koi8u"
            | "greek" | "hebrew" | "armscii8" | "geostd8" | "dec8" | "hp8" | "swe7" | "keybcs2"
            | "macce" | "macroman" | "tis620" => Self::SingleByte,
            _ => Self::MultiByte,
        }
    }
}

/// Where the value of a user variable is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariableState {
    /// Nothing was ever assigned: it is NULL everywhere.
    Unset,
    /// Its value is known as text, and follows the session to any server.
    Carried,
    /// Only the connection to the primary has it.
    OnPrimary,
}

/// What is known of a named prepared statement (`PREPARE name FROM ...`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// Not prepared in this session as far as is known, or what it is was not text.
    Unknown,
    /// Its text is a statement that may run on a replica, and changes nothing of the session.
    Replica,
    /// Its text must run on the primary, and changes nothing of the session.
    Primary,
}

/// What a session has made so far, and what is allowed to it. Names come as the statement has
/// them, without quotes; who answers compares them without regard to case.
pub trait Session {
    /// Whether there is any temporary table: only then are names asked for.
    fn has_temporary_tables(&self) -> bool {
        false
    }

    /// Whether a temporary table has this name.
    fn is_temporary(&self, _table: &[u8]) -> bool {
        false
    }

    /// Whether there are views that call stored functions: only then are names asked for. A
    /// statement does not show what is in a view; `information_schema.views` does.
    fn has_views_that_may_write(&self) -> bool {
        false
    }

    /// Whether a view of this name calls a stored function that is not known to only read.
    fn is_view_that_may_write(&self, _name: &[u8]) -> bool {
        false
    }

    /// Where the value of a user variable is known.
    fn user_variable(&self, _name: &[u8]) -> VariableState {
        VariableState::Unset
    }

    /// Whether a stored or loadable function only reads, as its administrator said or the servers'
    /// `information_schema.routines` says.
    fn function_only_reads(&self, _schema: Option<&[u8]>, _name: &[u8]) -> bool {
        false
    }

    /// Whether a procedure leaves nothing behind in the session that calls it: no variables,
    /// temporary tables or locks.
    fn procedure_leaves_nothing(&self, _name: &[u8]) -> bool {
        false
    }

    /// What a prepared statement is.
    fn prepared(&self, _name: &[u8]) -> Prepared {
        Prepared::Unknown
    }

    /// Whether the default schema is one of the server's own (`information_schema`, `mysql`,
    /// `performance_schema`, `sys`): names without a schema then mean what only that server knows.
    fn is_in_system_schema(&self) -> bool {
        false
    }
}

/// A session that has made nothing yet, and to which nothing special is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fresh;

impl Session for Fresh {}
