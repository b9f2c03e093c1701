//! Who the other side is: its role and name, as its certificate says.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::CertError;

/// What the holder of a certificate may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It may give orders to agents.
    Manager,
    /// It answers managers, and may ask other agents whether they hear one.
    Agent,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::Manager, Self::Agent];

    /// The URI that stands in the certificate.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Manager => "urn:primacy:manager",
            Self::Agent => "urn:primacy:agent",
        }
    }

    /// The role as a word of the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.word() == text)
            .ok_or_else(|| format!("{text:?} is no role; the roles are manager and agent"))
    }
}

/// What a certificate says of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it may be.
    pub role: Role,
    /// Its common name; empty if it has none.
    pub name: String,
    /// The end of its validity, in seconds since 1970.
    pub expires_at: i64,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

impl Peer {
    /// Reads the first certificate of a file in PEM.
    ///
    /// # Errors
    /// If there is none, or as [`of`](Self::of).
    pub fn of_file(path: &std::path::Path) -> Result<Self, CertError> {
        use rustls_pki_types::pem::PemObject as _;
        let text = crate::files::read_certificate(path)?;
        let content = |reason: String| CertError::Content { path: path.to_owned(), reason };
        let certificate = CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|_| content("there is no certificate in it".to_owned()))?;
        Self::of(&certificate).map_err(|error| content(error.to_string()))
    }

    /// Reads a certificate. Whether it is to be believed is not asked here.
    ///
    /// # Errors
    /// If it cannot be read, or does not name exactly one role.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, CertError> {
        let bad = |reason: String| CertError::Peer(reason);
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| bad(format!("it cannot be read ({error})")))?;
        let name = parsed
            .subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok())
            .unwrap_or_default()
            .to_owned();
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| bad(format!("its alternative names cannot be read ({error})")))?;
        let mut roles: Vec<Role> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Role::ALL.into_iter().find(|role| role.uri() == *uri),
                _ => None,
            })
            .collect();
        roles.sort_unstable();
        roles.dedup();
        let role = match roles.as_slice() {
            [role] => *role,
            [] => {
                return Err(bad(format!(
                    "it names no role; {} or {} must stand among its alternative names",
                    Role::Manager.uri(),
                    Role::Agent.uri()
                )));
            }
            _ => return Err(bad("it names more than one role".to_owned())),
        };
        let expires_at = parsed.validity().not_after.timestamp();
        Ok(Self {
            role,
            name,
            expires_at,
            fingerprint: Sha256::digest(certificate.as_ref()).into(),
        })
    }
}
