//! MHA's commands by their names: what can be written on their command lines, and what each is.
//!
//! [`COMMANDS`] is the table that option parsing, help texts and man pages are made from.
//! [`command`] finds a command by the name that it was called by, [`main`] runs it, and
//! [`install_links`] makes the names. How a command line is read ([`parse`]) is how Perl's
//! `Getopt::Long` reads it, which MHA's commands use.
//!
//! [`application::Application`] is what the manager's commands begin with: the configuration that
//! `--conf` names, and the one engine on it in this process.
//!
//! Not here: how MHA's configuration is read, how servers are watched and what is done about them, and
//! what the node commands do with files and servers.

pub mod application;
mod asking;
mod beside;
mod binlog_filters;
mod command;
mod commands;
mod early;
pub mod flags;
mod front;
mod getopt;
mod given;
mod held;
mod links;
pub mod locks;
pub mod log;
mod manage;
mod monitor;
mod never_seen;
mod node;
mod orders;
mod page;
pub mod places;
pub mod preflight;
mod process;
mod replication_login;
pub mod roles;
mod run;
pub mod runtime;
mod secondary_check;
mod secrets;
mod ssh;
pub mod status;
mod switch;

pub use command::{Command, Kind, Opt, Run, Streams, Unknown};
pub use commands::{COMMANDS, command};
pub use front::main;
pub use getopt::{GetoptError, Parsed, parse};
pub use given::Given;
pub use links::{InstalledLink, LinkError, LinkState, install_links};
pub use page::{help, man_page};

/// The version of MHA whose command lines and output these are.
pub const COMPATIBLE_WITH: &str = "0.58";
