//! What MHA's node commands do on a database host: [`save`] what a dead server's binary logs hold
//! after a place, cut the [`relay_diff`] between two replicas out of relay logs, [`apply`] such
//! files, [`purge`] relay logs, and [`filter`] text of `mysqlbinlog`.
//!
//! Files are read with Primacy's own parser and applied over a connection of its own: no client
//! program is needed. Names and contents of files are as MHA's, so that a host with these commands
//! works with one that has MHA's Perl package.
//!
//! Not here: command lines, and decisions about clusters.

pub mod apply;
mod error;
pub mod filter;
pub mod logs;
pub mod option_file;
mod output;
pub mod purge;
pub mod relay_diff;
mod relay_info;
pub mod save;
pub mod ship;
pub mod statements;

pub use error::NodeError;
pub use relay_info::relay_log_of;

/// Tells whoever called the command what goes on, a line at a time.
pub type Say<'a> = &'a mut dyn FnMut(&str);
