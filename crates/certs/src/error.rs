//! What can be wrong with a certificate, a key or the files that hold them.

use std::path::PathBuf;

/// Why a certificate was not made, read or believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// A file exists that must not be overwritten.
    #[error(
        "{} exists and is not overwritten: whoever trusts it would lose it; remove it yourself, or \
         choose another folder with --dir", path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A key is readable by everybody.
    #[error(
        "{} is a private key that others may read (mode {mode:o}): run chmod 600 on it, and issue \
         a new one if others had access", path.display()
    )]
    KeyIsOpen {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A certificate of a peer cannot be used.
    #[error("the certificate of the other side cannot be used: {0}")]
    Peer(String),
    /// A certificate could not be made.
    #[error("the certificate could not be made: {0}")]
    Make(String),
    /// A name that cannot stand in a certificate.
    #[error(
        "{name:?} cannot stand in a certificate: write the name (letters, digits, `-`, `.`) or the \
         IP address under which the host is reached"
    )]
    Name {
        /// What was given.
        name: String,
    },
}
