//! Connections to MySQL and MariaDB servers, with a deadline on every call and errors that tell a
//! dead server from a silent network from a server that says no.
//!
//! [`Session`] is the client, [`server`] the other end. What is said, and how it is cut, is
//! `primacy-protocol`'s; its modules are named here too. Nothing here decides anything about a
//! cluster, retries, or pools.

mod command;
mod error;
mod login;
mod options;
mod quote;
mod raw;
mod rows;
pub mod server;
mod session;
mod socket;
mod stream;
mod tls;

pub use primacy_protocol::{auth, capability, frame, packet};

pub use error::{Meaning, WireError, meaning};
pub use options::{ConnectOptions, TlsMode};
pub use quote::{quote, quote_identifier, quote_plain};
pub use raw::{RawPacket, RawPackets};
pub use rows::{Done, Row, Rows};
pub use session::Session;
