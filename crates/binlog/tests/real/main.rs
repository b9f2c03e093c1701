//! The crate against binary logs and relay logs of real servers: see `tests/data/README.md`.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod archives;
mod cuts;
mod damage;
mod events;
mod fixtures;
mod relays;
mod scans;
mod summaries;
