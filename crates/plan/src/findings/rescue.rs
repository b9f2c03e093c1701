//! What of a dead server could be had from its files.

use primacy_types::{FileAccess, HostAccessKind};

use super::crash::by_position;
use super::view::{Hit, View};
use super::words::Words;

pub(super) fn relay_logs_purged(view: &View<'_>) -> Vec<Hit> {
    // A lone replica has no sibling that could lack anything.
    if by_position(view).count() < 2 {
        return Vec::new();
    }
    by_position(view)
        .filter(|(_, facts, _)| facts.safety.relay_log_purge == Some(true))
        .map(|(address, facts, _)| {
            Hit::on(
                address,
                format!(
                    "{address} removes relay logs as soon as they are applied (relay_log_purge), \
                     so that its siblings could not be levelled from them"
                ),
                format!(
                    "{}; the files then grow until somebody removes those that all replicas have \
                     applied",
                    Words::of(facts).set("relay_log_purge", "OFF")
                ),
            )
        })
        .collect()
}

pub(super) fn relay_log_recovery(view: &View<'_>) -> Vec<Hit> {
    by_position(view)
        .filter(|(_, facts, _)| facts.safety.relay_log_recovery == Some(true))
        .map(|(address, _, _)| {
            Hit::on(
                address,
                format!(
                    "{address} throws away what it received and did not apply when it restarts \
                     (relay_log_recovery)"
                ),
                "relay_log_recovery = OFF in its option file, and restart it when it has applied \
                 everything",
            )
        })
        .collect()
}

pub(super) fn binlog_encrypted(view: &View<'_>) -> Vec<Hit> {
    view.promotable()
        .filter(|(_, facts)| facts.safety.binlog_encrypted == Some(true))
        .map(|(address, facts)| {
            let variable =
                if facts.version.is_mariadb() { "encrypt_binlog" } else { "binlog_encryption" };
            Hit::on(
                address,
                format!("the binary logs of {address} are encrypted ({variable}): nothing can be rescued from its files"),
                format!(
                    "let replicas acknowledge every commit (semi_sync_wait_count), or encrypt the \
                     file system in place of {variable}"
                ),
            )
        })
        .collect()
}

pub(super) fn no_file_access(view: &View<'_>) -> Vec<Hit> {
    let Some(primary) = view.primary() else { return Vec::new() };
    let Some(server) = view.snapshot().server(primary) else { return Vec::new() };
    let over_ssh = view.policy().server(primary).host_access == HostAccessKind::Ssh;
    let (why, mend) = match &server.files {
        Some(FileAccess::Readable) => return Vec::new(),
        Some(FileAccess::Unreadable(reason)) => (
            format!("cannot be read: {}", reason.trim_end_matches('.')),
            "mend what is said there, so that the manager can read its binary logs",
        ),
        None if over_ssh => (
            "have not been seen over ssh yet".to_owned(),
            "see that its host answers ssh; the manager's log says what was tried",
        ),
        None => (
            "cannot be reached".to_owned(),
            "host_access = \"ssh\" for it in the configuration: then what it wrote and nobody \
             received is rescued from its disk",
        ),
    };
    vec![Hit::on(
        primary,
        format!(
            "the files of the primary {primary} {why}; if it dies, what nobody received is not \
             rescued"
        ),
        mend,
    )]
}
