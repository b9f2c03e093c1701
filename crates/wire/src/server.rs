//! The server's side of a connection: greets, puts TLS on, checks the account, and then takes
//! commands and answers them.
//!
//! For what Primacy offers to database servers themselves (events for replicas, later the proxy).
//! It knows few accounts, no databases and no statements: what a command means is its user's
//! affair. Whatever a stranger sends ends in a [`ServerError`], never in a panic, and before the
//! login no more than 64 KiB of it are kept.

mod account;
mod connection;
mod error;
mod handshake;
mod prefixed;
mod tls;

pub use account::{Account, LoginPlugin};
pub use connection::{Command, Connection};
pub use error::ServerError;
pub use handshake::{Identity, accept, turn_away};
pub use tls::ServerTls;
