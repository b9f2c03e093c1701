//! Where a source gets its events from.
//!
//! A finished rescue archive and the growing archive of a binlog server look alike: both give
//! events until there is nothing more for now, and can be waited for.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use primacy_types::{BinlogPosition, MariaDbGtidPos, MySqlGtidSet};

/// Where a replica wants to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the first event there is.
    Beginning,
    /// At this place.
    Position(BinlogPosition),
    /// With everything but these transactions, which it has (MySQL's auto-position).
    MySqlGtids(MySqlGtidSet),
    /// With everything after these, in each domain (MariaDB's `slave_pos` and `current_pos`).
    MariaDbGtids(MariaDbGtidPos),
}

impl std::fmt::Display for StartAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Beginning => f.write_str("the first event"),
            Self::Position(place) => place.fmt(f),
            Self::MySqlGtids(set) if set.is_empty() => f.write_str("everything"),
            Self::MySqlGtids(set) => write!(f, "what is not in {set}"),
            Self::MariaDbGtids(pos) if pos.is_empty() => f.write_str("everything"),
            Self::MariaDbGtids(pos) => write!(f, "what is after {pos}"),
        }
    }
}

/// One event of a feed.
#[derive(Clone, Debug)]
pub struct FeedItem {
    /// Base name of the file that it stands in.
    pub file: Arc<str>,
    /// Where it begins in that file.
    pub start: u64,
    /// Where the next one begins.
    pub end: u64,
    /// The event: header, body and checksum, as they were written.
    pub bytes: Bytes,
}

/// Why a feed gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// It does not have what was asked for. The sentence is told to the replica.
    #[error("{0}")]
    NotAvailable(String),
    /// What it has is damaged.
    #[error("the saved events are damaged: {0}")]
    Damaged(String),
    /// It could not be read.
    #[error("the saved events cannot be read: {0}")]
    Unreadable(String),
}

/// Events of one or more binary log files, in their order.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// Begins to read. The first item is the format description of the file that the start is in,
    /// wherever in the file that is; then come all events from the start on, or from an earlier
    /// place, if the start is a set of GTIDs. Each later file begins with its format description.
    async fn open(&self, start: &StartAt) -> Result<Box<dyn FeedStream>, FeedError>;

    /// MySQL: whether its transactions are known to have GTIDs. The source then says that its
    /// `gtid_mode` is ON, whatever its options say. Asked once; may read a little.
    fn has_gtids(&self) -> bool {
        false
    }
}

/// An open feed.
#[async_trait]
pub trait FeedStream: Send {
    /// The next event; `None` if there is nothing more for now. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Option<FeedItem>, FeedError>;

    /// Waits until there may be more; for ever, if nothing will come any more. Dropping the
    /// future loses nothing.
    async fn more(&mut self);
}
