//! Accounts and TLS: the two sections in which a key is right or wrong because of another one.

use std::ops::Range;

use crate::error::Problems;
use crate::fields::Lookup;
use crate::model::{Account, SecretSource, TlsConfig};
use crate::tree::{Found, Table};
use crate::value::Value;
use crate::words::{TlsMode, Words};

/// The keys of which an account has exactly one.
const SOURCES: [&str; 3] = ["password_file", "password_env", "password_credential"];

/// The keys of which a webhook has at most one.
const SECRETS: [&str; 3] = ["secret_file", "secret_env", "secret_credential"];

/// Whose account or TLS settings are read, in the words of messages.
pub(crate) struct Owner<'o> {
    /// "the cluster `main`".
    pub(crate) called: String,
    /// "the account `manager`".
    pub(crate) account: String,
    /// The sections in which it may be written: "[agent.account]".
    pub(crate) sections: String,
    /// Where a problem is shown if there is no table of it.
    pub(crate) span: &'o Range<usize>,
}

/// Reads an account.
pub(crate) fn read_account(
    at: &Lookup<'_>,
    owner: &Owner<'_>,
    problems: &mut Problems<'_>,
) -> Option<Account> {
    let Owner { called, account, sections, span } = owner;
    let Some(table) = at.own.or(at.defaults) else {
        let bare = account.strip_prefix("the ").unwrap_or(account);
        problems.add(
            span,
            format!("{called} has no {bare}"),
            format!("write {sections} with user and password_file"),
        );
        return None;
    };
    if at.found("user").is_none() {
        problems.add(
            &table.span,
            format!("{account} of {called} has no `user`"),
            "write user = \"primacy\" (or another name)",
        );
    }
    // A cluster that names a source of its own does not look at the one of the defaults.
    let tables = [at.own, at.defaults].into_iter().flatten();
    let written = tables.map(|table| sources(table, SOURCES)).find(|s| !s.is_empty());
    // A refused `password = …` was complained about already.
    let refused = table.values.contains_key("password");
    match written.as_deref() {
        None if refused => None,
        None => {
            problems.add(
                &table.span,
                format!("{account} of {called} has no password"),
                "write exactly one of password_file, password_env and password_credential",
            );
            None
        }
        Some(written) => {
            let password = only_source(written, "password", problems)?;
            Some(Account { user: at.text("user")?, password })
        }
    }
}

/// Reads where the secret of a webhook is found: nowhere, or at one place.
pub(crate) fn read_secret(
    table: &Table,
    problems: &mut Problems<'_>,
) -> Option<Option<SecretSource>> {
    match sources(table, SECRETS).as_slice() {
        [] => Some(None),
        written => only_source(written, "secret", problems).map(Some),
    }
}

/// The one source that is written; several are a problem.
fn only_source(
    written: &[(&'static str, &Found)],
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<SecretSource> {
    if let [(name, found)] = written {
        return secret_source(name, found.value.as_ref()?);
    }
    let mut places: Vec<_> = written.iter().map(|(name, f)| (&f.key_span, *name)).collect();
    places.sort_by_key(|(span, _)| span.start);
    if let [(first, name), (second, again), ..] = places.as_slice() {
        let place = problems.source.place(first.start);
        problems.add(
            second,
            format!("`{again}`, but the {what} already comes from `{name}` ({place})"),
            "keep one of them",
        );
    }
    None
}

/// The sources that a table names.
fn sources<'t>(table: &'t Table, names: [&'static str; 3]) -> Vec<(&'static str, &'t Found)> {
    names.iter().filter_map(|name| Some((*name, table.values.get(name)?))).collect()
}

fn secret_source(name: &str, value: &Value) -> Option<SecretSource> {
    match (name.rsplit('_').next()?, value) {
        ("file", Value::Path(path)) => Some(SecretSource::File(path.clone())),
        ("env", Value::Text(name)) => Some(SecretSource::Env(name.clone())),
        ("credential", Value::Text(name)) => Some(SecretSource::Credential(name.clone())),
        _ => None,
    }
}

/// Reads how connections are protected. A key that the mode does not use is an error: who wrote
/// it believes in a protection that is not there.
pub(crate) fn read_tls(
    at: &Lookup<'_>,
    owner: &Owner<'_>,
    problems: &mut Problems<'_>,
) -> Option<TlsConfig> {
    let Owner { called, sections, .. } = owner;
    let mode = at.word("mode").unwrap_or(TlsMode::Off);
    let mode_is_bad = at.found("mode").is_some_and(|(found, _)| found.value.is_none());
    let mode_is_shared = at.found("mode").is_none_or(|(_, shared)| shared);
    let uses_ca = matches!(mode, TlsMode::VerifyCa | TlsMode::Full);
    for (name, used, modes) in [
        ("ca_file", uses_ca, "\"verify-ca\" or \"full\""),
        ("fingerprint", mode == TlsMode::Pinned, "\"pinned\""),
    ] {
        match at.found(name) {
            // A cluster with a mode of its own simply does not use what all may use.
            Some((found, shared)) if !used && !mode_is_bad && (!shared || mode_is_shared) => {
                problems.add(
                    &found.key_span,
                    format!("`{name}` is not used with TLS mode \"{}\"", mode.word()),
                    format!("write mode = {modes}, or remove the key"),
                );
            }
            None if used => {
                let span = match (at.found("mode"), at.own) {
                    (Some((found, _)), _) => &found.value_span,
                    (None, Some(table)) => &table.span,
                    (None, None) => owner.span,
                };
                problems.add(
                    span,
                    format!("TLS mode \"{}\" of {called} needs `{name}`", mode.word()),
                    format!("write {name} = … in {sections}"),
                );
            }
            _ => {}
        }
    }
    let fingerprint = match at.value("fingerprint") {
        Some(Value::Fingerprint(fingerprint)) => Some(fingerprint),
        _ => None,
    };
    Some(match mode {
        TlsMode::Off => TlsConfig::Off,
        TlsMode::Required => TlsConfig::Required,
        TlsMode::VerifyCa => TlsConfig::VerifyCa { ca_file: at.path("ca_file")? },
        TlsMode::Full => TlsConfig::Full { ca_file: at.path("ca_file")? },
        TlsMode::Pinned => TlsConfig::Pinned { fingerprint: fingerprint? },
    })
}
