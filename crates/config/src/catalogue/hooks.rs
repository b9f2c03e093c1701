//! The keys of hooks and webhooks.

use primacy_types::Millis;

use super::{HOUR, duration, key};
use crate::model::OnFailure;
use crate::schema::Preset::{Is, Required, Unset};
use crate::schema::{Key, Kind};
use crate::words::words_of;

const AT: Key = key(
    "at",
    Kind::Moments,
    Unset("all moments"),
    "When: a list of `before_failover`, `after_failover`, `before_switchover`, \
     `after_switchover`, `before_fence`, `after_fence` and `alarm` (something needs a person). \
     `before_rejoin` and `after_rejoin` are known, but this version does not call them yet.",
);

pub(super) const HOOK: &[Key] = &[
    key(
        "program",
        Kind::Program,
        Unset("`command` says what is run"),
        "The executable, as an absolute path. No shell is involved.",
    ),
    key(
        "arguments",
        Kind::Arguments,
        Unset("none"),
        "What `program` is given. `{cluster}`, `{event}`, `{operation}`, `{old_primary}`, \
         `{new_primary}` and `{epoch}` are replaced; `{{` and `}}` are plain braces.",
    ),
    key(
        "command",
        Kind::Text { min: 1, max: 4096 },
        Unset("`program` says what is run"),
        "A line for `/bin/sh -c`. Nothing is put into it: what happens is in its environment \
         (`$PRIMACY_NEW_PRIMARY` and others).",
    ),
    AT,
    key(
        "timeout",
        duration(Millis(100), HOUR),
        Is("10s"),
        "How long one call may take; then the program and all that it has started are ended. A \
         failover waits for its `before_failover` and `before_fence` hooks so long at the most.",
    ),
    key(
        "on_failure",
        Kind::Word(words_of::<OnFailure>),
        Is("go-on"),
        "What it means if the program fails at `before_failover`. `go-on`: it is reported; \
         `refuse`: the failover is not begun. At `before_switchover` a failure always refuses; at \
         all other moments it is only reported.",
    ),
];

pub(super) const WEBHOOK: &[Key] = &[
    key(
        "url",
        Kind::Url,
        Required,
        "Where: `https://host/path`. Its path and query are shown by `primacy config show` only.",
    ),
    key(
        "secret_file",
        Kind::Path,
        Unset("another key names the source, or nothing is signed"),
        "A file that holds the secret with which documents are signed, and nothing else. A \
         relative path is taken from the folder of this file.",
    ),
    key(
        "secret_env",
        Kind::EnvName,
        Unset("another key names the source, or nothing is signed"),
        "The name of a variable in the manager's environment that holds the secret.",
    ),
    key(
        "secret_credential",
        Kind::CredentialName,
        Unset("another key names the source, or nothing is signed"),
        "The name of a systemd credential (`LoadCredential=`) that holds the secret.",
    ),
    AT,
    key(
        "ca_file",
        Kind::Path,
        Unset("the authorities of the operating system"),
        "PEM file of the authorities whose certificates are accepted. A relative path is taken \
         from the folder of this file.",
    ),
    key(
        "allow_plain",
        Kind::Bool,
        Is("false"),
        "`true`: the URL may be `http://` although its host is another machine, and everybody on \
         the way can read what is told.",
    ),
];
