//! What managers and agents say to each other: typed requests and answers as JSON over HTTP, inside
//! TLS in which both sides show a certificate. There is no request that carries a command, a
//! program or SQL.
//!
//! [`AgentClient`] asks; the `agent` crate answers. File contents travel as bytes with their CRC32.

mod client;
mod connection;
mod error;
mod messages;
pub mod pieces;
mod rebuild;
mod stream;
mod tls;

pub use client::AgentClient;
pub use error::{AgentError, Fault, FaultKind};
pub use messages::{
    AbilitySaid, CHECKSUM, Capabilities, DEFAULT_PORT, ExtendOrder, Fenced, FileEntry, FileOrder,
    GrantOrder, LARGEST_PIECE, LeaseState, ListOrder, OfServer, Opened, Path, Probe, Probed,
    RangeOrder, Release, ServedServer, Standing, StandingOrder, WatchOrder, Watched, WhoAmI, paths,
};
pub use rebuild::{
    BackupOrder, BuildOrder, CopyTools, DataSource, JobAct, JobId, JobOrder, JobPhase, JobState,
    OfferOrder, Offered, Ticket, Transfer,
};
pub use stream::PieceStream;
pub use tls::Credentials;
