//! MHA's commands by their names: what can be written on their command lines, and what each is.
//!
//! [`COMMANDS`] is the table that option parsing, help texts and man pages are made from.
//! [`command`] finds a command by the name that it was called by, [`main`] runs it, and
//! [`install_links`] makes the names. How a command line is read ([`parse`]) is how Perl's
//! `Getopt::Long` reads it, which MHA's commands use.
//!
//! Not here: MHA's configuration, and what the node commands do with files and servers.

mod command;
mod commands;
mod front;
mod getopt;
mod given;
mod links;
mod node;
mod page;
mod secrets;

pub use command::{Command, Kind, Opt, Run, Streams, Unknown};
pub use commands::{COMMANDS, command};
pub use front::main;
pub use getopt::{GetoptError, Parsed, parse};
pub use given::Given;
pub use links::{InstalledLink, LinkError, LinkState, install_links};
pub use page::{help, man_page};

/// The version of MHA whose command lines and output these are.
pub const COMPATIBLE_WITH: &str = "0.58";
