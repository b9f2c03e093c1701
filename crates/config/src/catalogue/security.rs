//! The keys of accounts and of TLS.

use super::key;
use crate::schema::Preset::{Is, Required, Unset};
use crate::schema::{Key, Kind};
use crate::words::{TlsMode, words_of};

pub(super) const ACCOUNT: &[Key] = &[
    key("user", Kind::Text { min: 1, max: 128 }, Required, "The user name on the servers."),
    key(
        "password_file",
        Kind::Path,
        Unset("another key names the source"),
        "A file that holds the password and nothing else. A relative path is taken from the \
         folder of this file.",
    ),
    key(
        "password_env",
        Kind::EnvName,
        Unset("another key names the source"),
        "The name of a variable in the manager's environment that holds the password.",
    ),
    key(
        "password_credential",
        Kind::CredentialName,
        Unset("another key names the source"),
        "The name of a systemd credential (`LoadCredential=`): the file of this name in \
         `$CREDENTIALS_DIRECTORY`.",
    ),
];

pub(super) const TLS: &[Key] = &[
    key(
        "mode",
        Kind::Word(words_of::<TlsMode>),
        Is("off"),
        "`required`: TLS with any certificate; `verify-ca`: the certificate comes from an \
         authority in `ca_file`; `full`: it also names the host; `pinned`: it is the one of \
         `fingerprint`. There is no mode that falls back to no TLS.",
    ),
    key(
        "ca_file",
        Kind::Path,
        Unset("none"),
        "PEM file of the authorities that `verify-ca` and `full` trust. A relative path is taken \
         from the folder of this file.",
    ),
    key(
        "fingerprint",
        Kind::Fingerprint,
        Unset("none"),
        "SHA-256 of the server's certificate for `pinned`, as `openssl x509 -noout -fingerprint \
         -sha256` prints it.",
    ),
];
