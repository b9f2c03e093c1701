//! Answers beyond what replicas ask, for a source that is more than one: a binlog server, which its
//! cluster's manager watches and commands.

use async_trait::async_trait;
use primacy_types::ServerVersion;
use primacy_wire::packet::ErrPacket;
use secrecy::SecretString;

/// As what a source presents itself to a connection that begins now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Flavour and version.
    pub version: ServerVersion,
    /// The same as the server that wrote the events writes it.
    pub version_text: String,
    /// MySQL: `gtid_mode` is ON.
    pub gtid_mode: bool,
}

/// A statement, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The account that asks.
    pub user: &'a str,
    /// The number of its connection.
    pub connection: u32,
    /// The statement.
    pub statement: &'a str,
}

/// The answer to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Ok,
    /// A result set; each row has a cell for each column.
    Rows(Vec<String>, Vec<Vec<Option<String>>>),
    /// Refused.
    Err(ErrPacket),
}

/// Who answers.
#[async_trait]
pub trait Desk: Send + Sync + 'static {
    /// As what the source presents itself now.
    fn presented(&self) -> Presented;

    /// Accounts that may log in beside the source's own, with their passwords.
    fn accounts(&self) -> Vec<(String, SecretString)>;

    /// Answers a statement; `None` leaves it to what every source answers.
    async fn answer(&self, question: Question<'_>) -> Option<Reply>;
}
