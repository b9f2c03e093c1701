//! Connections to MySQL and MariaDB servers, with a deadline on every call and errors that tell a
//! dead server from a silent network from a server that says no.
//!
//! [`Session`] is the client, [`server`] the other end. Below both, and free of sockets: [`packet`]
//! (what is said), [`frame`] (how it is cut), [`capability`], [`auth`] (who is asking). Nothing here decides anything about a cluster, retries, or pools.

pub mod auth;
pub mod capability;
mod command;
mod error;
pub mod frame;
mod login;
mod options;
pub mod packet;
mod quote;
mod raw;
mod rows;
pub mod server;
mod session;
mod socket;
mod stream;
mod tls;

pub use error::{Meaning, WireError, meaning};
pub use options::{ConnectOptions, TlsMode};
pub use quote::{quote, quote_identifier, quote_plain};
pub use raw::{RawPacket, RawPackets};
pub use rows::{Done, Row, Rows};
pub use session::Session;
