//! An account that may log in, and how its proof is checked.

use std::fmt;

use mysql_common::auth::plugins::caching_sha2_password::scramble_sha256;
use mysql_common::auth::plugins::mysql_native_password::scramble_native;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::{Choice, ConstantTimeEq as _};

use crate::auth::Plugin;

/// The plugins with which a client can prove that it knows the password, without sending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginPlugin {
    /// `mysql_native_password`: every MariaDB, MySQL up to 8.4.
    Native,
    /// `caching_sha2_password`, always its fast way: MySQL 8.0 and later.
    CachingSha2,
}

impl LoginPlugin {
    /// Its name in packets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => Plugin::Native.name(),
            Self::CachingSha2 => Plugin::CachingSha2.name(),
        }
    }
}

/// An account: its name, its password, and the plugin that it logs in with.
#[derive(Clone)]
pub struct Account {
    /// Account name.
    pub user: String,
    /// Its password. An empty one lets nobody in.
    pub password: SecretString,
    /// The plugin; a client that begins with another is asked to switch.
    pub plugin: LoginPlugin,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Whether `proof` answers `challenge` for this account. Takes the same time for a wrong user
    /// and for a wrong password.
    pub(super) fn accepts(&self, user: &str, proof: &[u8], challenge: &[u8; 20]) -> bool {
        let password = self.password.expose_secret().as_bytes();
        let expected = match self.plugin {
            LoginPlugin::Native => scramble_native(challenge, password).map(Vec::from),
            LoginPlugin::CachingSha2 => scramble_sha256(challenge, password).map(Vec::from),
        };
        let known = expected.is_some();
        let proven = expected.unwrap_or_default().ct_eq(proof);
        let named = self.user.as_bytes().ct_eq(user.as_bytes());
        (proven & named & Choice::from(u8::from(known))).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Channel, Exchange};

    const CHALLENGE: &[u8; 20] = b"abcdefghijklmnopqrst";

    fn account(plugin: LoginPlugin, password: &str) -> Account {
        Account { user: "repl".to_owned(), password: password.into(), plugin }
    }

    #[test]
    fn only_the_right_proof_of_the_right_user_is_taken() {
        for (plugin, same) in
            [(LoginPlugin::Native, Plugin::Native), (LoginPlugin::CachingSha2, Plugin::CachingSha2)]
        {
            let proof = |password: &[u8]| {
                Exchange::new(same, password, Channel::Plain, CHALLENGE).first().unwrap()
            };
            let account = account(plugin, "secret");
            assert!(account.accepts("repl", &proof(b"secret"), CHALLENGE));
            assert!(!account.accepts("root", &proof(b"secret"), CHALLENGE));
            assert!(!account.accepts("repl", &proof(b"Secret"), CHALLENGE));
            assert!(!account.accepts("repl", &proof(b"secret"), b"another challenge..."));
            assert!(!account.accepts("repl", b"", CHALLENGE));
            assert!(!account.accepts("repl", b"secret", CHALLENGE));
        }
    }

    #[test]
    fn an_empty_password_lets_nobody_in() {
        for plugin in [LoginPlugin::Native, LoginPlugin::CachingSha2] {
            assert!(!account(plugin, "").accepts("repl", b"", CHALLENGE));
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let account = account(LoginPlugin::Native, "geheim");
        assert!(!format!("{account:?}").contains("geheim"));
    }
}
