//! Certificates with which managers and agents know each other: a small authority of one's own,
//! and TLS in which both sides must show a certificate that names their role.
//!
//! A certificate carries its role as a URI among its alternative names: `urn:primacy:manager` or
//! `urn:primacy:agent`. Certificates of another authority serve as well if they carry it. Who has
//! no certificate, an expired one, one of another authority or one of the wrong role gets a TLS
//! alert and nothing else.
//!
//! Not here: sockets, and what may be asked over them.

mod authority;
mod error;
mod files;
mod identity;
mod peer;
mod verify;

pub use authority::{Authority, Issued, Request, Validity};
pub use error::CertError;
pub use files::{AUTHORITY_CERTIFICATE, AUTHORITY_KEY, write_new};
pub use identity::{Identity, Paths};
pub use peer::{Peer, Role};
