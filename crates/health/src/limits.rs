//! How much strangers may take.

use std::time::Duration;

/// Limits of a health address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many connections may be open at once; further ones are closed unread.
    pub connections: usize,
    /// So many of them may come from one address, so that one who keeps them open without a word
    /// does not shut out the others.
    pub of_one_peer: usize,
    /// A connection lasts no longer than this, from its beginning to the last byte of its answer.
    pub connection: Duration,
    /// Whoever answers has so long to do it; then the answer is no.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            of_one_peer: 64,
            connection: Duration::from_secs(3),
            answer: Duration::from_millis(900),
        }
    }
}

/// The head of a request may not be larger (hyper's smallest limit).
pub(crate) const LARGEST_HEAD: usize = 8 << 10;

/// A request may not have more header lines.
pub(crate) const HEADERS: usize = 64;

/// An answer that is read may not be larger.
pub(crate) const LARGEST_ANSWER: usize = 64 << 10;
