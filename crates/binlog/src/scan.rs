//! What files hold: transactions, how they end, and whether they are whole.
//!
//! Two speeds: with every checksum computed, or hopping from header to header. Neither allocates
//! for an event.

mod file;
mod files;

pub(crate) use file::scan_watched;
pub use file::{Checksums, FileSummary, Incomplete, Thoroughness, scan};
pub use files::{FilesSummary, Holdings, first_needed, holdings, previous_of, scan_files};
