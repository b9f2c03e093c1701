//! Reading a host's files, watching its process and killing it over a real sshd.
//!
//! sshd (package openssh-server) runs as an ordinary process on a free loopback port, with keys
//! and configuration of its own in a temporary folder. Where it is not installed the tests say
//! SKIPPED, which is a failure where `CI` or `PRIMACY_REQUIRE_SERVERS` is set.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod failures;
mod far_side;
mod fencing;
mod process;
mod reading;
mod starting;
mod transfers;
