//! The replication protocol, both ends of it.
//!
//! - [`Source`] is what a replica connects to: it presents itself as a server and sends events of
//!   a [`Feed`], byte for byte, to real MySQL and MariaDB replicas;
//! - [`Receiver`] is what connects to a real primary as a replica does, and hands out its events,
//!   byte for byte, to whoever writes them down;
//! - [`event`] makes the events that a source makes up (rotations, heartbeats), and
//!   [`gtid_set`] the binary form in which MySQL asks for transactions.
//!
//! Nothing here reads binary log files (that is `primacy-binlog`), decides what a replica should
//! be sent, or tells a replica to connect.

pub mod event;
pub mod gtid_set;
pub mod receiver;
pub mod source;

#[doc(hidden)]
pub use source::fuzzed;

pub use receiver::{ReceiveError, Received, ReceivedEvent, Receiver, ReceiverOptions, SourceFacts};
pub use source::{
    ArchiveFeed, Desk, Feed, FeedError, FeedItem, FeedStream, Presented, Question, ReplicaReport,
    Reply, Report, Source, SourceError, SourceOptions, StartAt,
};
