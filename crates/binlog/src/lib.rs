//! Binary logs and relay logs of MySQL 5.6 to 9.7 and MariaDB 10.5 to 11.8: read, searched, cut
//! and saved, byte for byte.
//!
//! A rescue reads what a dead primary left. So nothing in a file is believed: a torn tail is
//! told from damage, checksums are verified and never made anew, and no length from a file
//! decides how much memory is taken.
//!
//! From below: [`event`] knows one event's bytes, [`Reader`] lends the events of one file,
//! [`transaction`] finds where transactions begin and end, [`scan`] says what files hold,
//! [`relay`] reads relay logs in the coordinates of their source, [`cut`] takes out what is
//! missing, and an [`Archive`] keeps it. For people, [`describe`] puts events into words,
//! [`verify`] judges files, and [`copy`] keeps a copy of a server's files; [`pick`] takes some
//! transactions out of a stream, and [`undo`] turns them round.
//!
//! Not here: the network, decisions, and anything that applies events.

mod archive;
mod cursor;
mod error;
mod gtids;
mod place;
mod reader;

pub mod compare;
pub mod copy;
pub mod cut;
pub mod describe;
pub mod event;
pub mod index;
pub mod payload;
pub mod pick;
pub mod relay;
pub mod scan;
pub mod transaction;
pub mod undo;
pub mod verify;

pub use archive::{
    Archive, ArchiveError, ArchiveReader, ArchivedEvent, ArchivedFile, FileHead, IncompleteTail,
    Manifest, StartAt,
};
pub use cut::{CutError, CutFrom, CutReport, CutRequest, CutSource, CutUntil, cut};
pub use error::{BodyError, Corrupt, Damage, ReadError, Torn};
pub use event::{EventBody, EventHeader, EventKind, FormatDescription, GtidOf, RawEvent};
pub use reader::{FileKind, Polled, Reader};
pub use relay::{RelayReader, RelayedEvent, SourceHint};
pub use scan::{FileSummary, Thoroughness, scan, scan_files};
pub use transaction::{Grouper, Part, RowCounts, Summarizer, TransactionSummary};
