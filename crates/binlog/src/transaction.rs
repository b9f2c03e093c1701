//! Where transactions begin and end among the events, and what one does, in words for people.

mod grouper;
mod summary;

pub use grouper::{Fed, Grouper, OpenGroup, Part};
pub use summary::{RowCounts, Summarizer, TransactionSummary};
