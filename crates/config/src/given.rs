//! A secret that a file of another format holds itself. Native files never do.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// A secret that was read together with the configuration, and the file that it stands in.
#[derive(Clone)]
pub struct GivenSecret {
    secret: SecretString,
    file: String,
}

impl GivenSecret {
    /// A secret from this file; an empty one is one.
    pub fn new(secret: SecretString, file: impl Into<String>) -> Self {
        Self { secret, file: file.into() }
    }

    /// The secret.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The file that it stands in.
    pub fn file(&self) -> &str {
        &self.file
    }
}

impl PartialEq for GivenSecret {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.secret.expose_secret() == other.secret.expose_secret()
    }
}

impl Eq for GivenSecret {}

impl fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GivenSecret({})", self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_the_secret() {
        let given = GivenSecret::new("hunter2".to_owned().into(), "app1.cnf");
        assert!(!format!("{given:?}").contains("hunter2"));
    }
}
