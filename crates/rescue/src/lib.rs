//! Finding what only files hold, saving it, and serving it to replicas.
//!
//! [`read_to_the_end`] says what a dead server's binary logs hold. [`save`] cuts out what is
//! missing, from binary logs or from a replica's relay logs, on this machine or on another.
//! [`Served`] is a source of our own from which replicas fetch it with their own receivers.
//!
//! What is missing, who needs it and when is decided elsewhere.

mod bring;
mod disk;
mod error;
mod files;
mod save;
mod serve;

pub use disk::{Numbering, read_to_the_end};
pub use error::RescueError;
pub use files::LogFiles;
pub use save::{Saved, save};
pub use serve::{OneTimeAccount, ServeAs, Served, address_towards, is_account};
