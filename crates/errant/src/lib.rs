//! Transactions that a server has and its primary has not: which they are, as its binary logs tell,
//! and a copy of them as a binary log.
//!
//! - [`Live`] reads a running server's binary logs over the replication protocol;
//! - [`find`] says which transactions are wanted, which of them the binary logs no longer hold, and
//!   where the server has to begin to send;
//! - [`save`] writes them into a [`Saved`] file.
//!
//! What becomes of the server is decided elsewhere.

mod describe;
mod error;
pub mod find;
mod live;
mod runs;
mod save;
mod saved;

use std::time::Duration;

pub use describe::describe;
pub use error::ErrantError;
pub use find::{Chosen, States};
pub use live::{Came, Live, head_of, list_of};
pub use save::{save, save_from};
pub use saved::{Counts, Saved, Stretch, Written, beside, name, private, sync_folder};

/// Limit of each question to a server.
pub const LIMIT: Duration = Duration::from_secs(30);
