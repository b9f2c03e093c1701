//! What a crash of a server or of its host takes with it.

use primacy_types::{Address, ChannelStatus, Repository, ServerFacts};

use super::view::{Hit, View};
use super::words::{Threads, Words};

pub(super) fn log_not_synced(view: &View<'_>) -> Vec<Hit> {
    let lax = view.promotable().filter_map(|(address, facts)| {
        let safety = &facts.safety;
        let settings = [
            ("sync_binlog", safety.sync_binlog.filter(|_| facts.log_bin)),
            ("innodb_flush_log_at_trx_commit", safety.flush_log_at_commit),
        ];
        let wrong: Vec<(&str, u64)> = settings
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.filter(|value| *value != 1)?)))
            .collect();
        (!wrong.is_empty()).then_some((address, facts, wrong))
    });
    lax.map(|(address, facts, wrong)| {
        let said: Vec<_> = wrong.iter().map(|(name, value)| format!("{name} is {value}")).collect();
        let words = Words::of(facts);
        let mend: Vec<_> = wrong.iter().map(|(name, _)| words.set(name, "1")).collect();
        Hit::on(
            address,
            format!("{}: a crash of its host loses commits of {address}", said.join(" and ")),
            mend.join("; "),
        )
    })
    .collect()
}

pub(super) fn positions_in_files(view: &View<'_>) -> Vec<Hit> {
    by_position(view)
        .filter_map(|(address, facts, channel)| {
            let safety = &facts.safety;
            let variables: Vec<&str> = [
                ("relay_log_info_repository", safety.applier_place),
                ("master_info_repository", safety.receiver_place),
            ]
            .into_iter()
            .filter(|(_, place)| *place == Some(Repository::File))
            .map(|(name, _)| name)
            .collect();
            if variables.is_empty() {
                return None;
            }
            let words = Words::of(facts);
            let set: Vec<_> = variables.iter().map(|name| words.set(name, "'TABLE'")).collect();
            Some(Hit::on(
                address,
                format!("{address} keeps its place in files ({} is FILE)", variables.join(", ")),
                format!(
                    "{}; {}; {}",
                    words.stop(Threads::Both, &channel.name),
                    set.join("; "),
                    words.start(Threads::Both, &channel.name)
                ),
            ))
        })
        .collect()
}

pub(super) fn parallel_without_order(view: &View<'_>) -> Vec<Hit> {
    // MariaDB's parallel appliers commit in order, always.
    let loose = view.replicas().filter(|(_, facts, _)| {
        facts.version.is_mysql()
            && facts.safety.parallel_workers.is_some_and(|workers| workers > 1)
            && facts.safety.preserve_commit_order != Some(true)
    });
    loose
        .map(|(address, facts, channel)| {
            let words = Words::of(facts);
            let workers = facts.safety.parallel_workers.unwrap_or_default();
            let set = match facts.safety.preserve_commit_order {
                Some(_) => words.set(words.preserve_commit_order(), "ON"),
                // MySQL 5.6 knows no order.
                None => words.set("slave_parallel_workers", "0"),
            };
            Hit::on(
                address,
                format!("{workers} appliers of {address} commit in any order"),
                format!(
                    "{}; {set}; {}",
                    words.stop(Threads::Applier, &channel.name),
                    words.start(Threads::Applier, &channel.name)
                ),
            )
        })
        .collect()
}

/// Told of the primary alone: its replicas have the same tables.
pub(super) fn unsafe_tables(view: &View<'_>) -> Vec<Hit> {
    let Some((address, facts)) = view.live_primary() else { return Vec::new() };
    let Some(tables) = facts.safety.unsafe_tables.as_ref().filter(|t| t.count > 0) else {
        return Vec::new();
    };
    let more = (tables.count as usize).saturating_sub(tables.examples.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    vec![Hit::on(
        address,
        format!(
            "{address} has tables that no crash leaves whole: {}{more}",
            tables.examples.join(", ")
        ),
        "ALTER TABLE ... ENGINE = InnoDB for each of them, on the primary",
    )]
}

/// Replicas that find their place by file and position.
pub(super) fn by_position<'v>(
    view: &'v View<'_>,
) -> impl Iterator<Item = (&'v Address, &'v ServerFacts, &'v ChannelStatus)> {
    view.replicas().filter(|(_, _, channel)| !channel.positioning.is_gtid())
}
