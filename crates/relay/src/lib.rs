//! The MySQL protocol of one who stands between a client and a server: pure state machines that any
//! loop over sockets can drive. No tokio, no clock, no network; randomness is a parameter.
//!
//! On the hot path bytes stay where they were read: [`Inlet`] cuts what a client sends into commands,
//! [`Walker`] goes from packet header to packet header of a server's answer and tells where it ends,
//! and [`rewrite`] changes numbers in place. Before that, [`door`] takes a client through its login
//! against the servers' own [`accounts`]. Nothing here decides where a statement goes.

pub mod accounts;
mod answer;
mod attributes;
mod command;
pub mod compression;
pub mod credential;
pub mod door;
mod ending;
mod inlet;
pub mod proxy_header;
pub mod rewrite;
mod session_state;
mod walker;

pub use answer::{Answers, Done};
pub use attributes::statement_text;
pub use command::{COMMANDS, CommandKind, Cursor, Expected, Refusal, command};
pub use ending::{Ending, Failure, Progress};
pub use inlet::{Command, CommandError, Inlet, Passed, Taken};
pub use session_state::{Change, Changes};
pub use walker::{Agreed, Event, HELD_LIMIT, Prepared, WalkError, Walked, Walker};
