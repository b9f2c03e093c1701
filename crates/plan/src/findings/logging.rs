//! Binary logs and GTIDs: without them nobody can follow a new primary.

use primacy_types::{GtidMode, ServerFacts};

use super::links::gtid_clause;
use super::view::{Hit, View};
use super::words::Words;

pub(super) fn log_bin_off(view: &View<'_>) -> Vec<Hit> {
    let silent = view.snapshot().all_live().filter(|(_, f)| !f.log_bin);
    silent
        .map(|(address, facts)| {
            let option = if Words::of(facts).mysql_since(8, 0, 0) {
                "take skip_log_bin or disable_log_bin out of its option file"
            } else {
                "log_bin = binlog in its option file"
            };
            Hit::on(
                address,
                format!("{address} writes no binary log (log_bin is off)"),
                format!("{option}, and restart it"),
            )
        })
        .collect()
}

pub(super) fn log_replica_updates_off(view: &View<'_>) -> Vec<Hit> {
    // Without GTID all are brought to one place before the winner's own log begins.
    let by_place = view.is_by_place();
    let deaf = view.promotable().filter(|(_, f)| !by_place && f.log_bin && !f.log_replica_updates);
    deaf.map(|(address, facts)| {
        let variable = Words::of(facts).log_replica_updates();
        Hit::on(
            address,
            format!("{address} does not log what it replicates ({variable} is off)"),
            format!("{variable} = ON in its option file, and restart it"),
        )
    })
    .collect()
}

pub(super) fn gtid_off(view: &View<'_>) -> Vec<Hit> {
    let by_place = view.is_by_place();
    let without =
        view.snapshot().all_live().filter(|(_, f)| !by_place && f.gtid_mode == GtidMode::Off);
    without
        .map(|(address, facts)| {
            let sentence = format!("gtid_mode of {address} is not ON, as it is on other servers");
            Hit::on(address, sentence, switch_gtid_on(facts))
        })
        .collect()
}

fn switch_gtid_on(facts: &ServerFacts) -> String {
    let words = Words::of(facts);
    if !words.mysql_since(5, 7, 6) {
        return format!(
            "gtid_mode = ON, enforce_gtid_consistency = ON, log_bin and {} in the option files; \
             then close the primary (SET GLOBAL read_only = ON), wait until all replicas have \
             caught up, and restart all servers together",
            words.log_replica_updates()
        );
    }
    let set = |value| words.set("gtid_mode", value);
    format!(
        "each on every server before the next: {}; {}; {}; when SHOW GLOBAL STATUS LIKE \
         'Ongoing_anonymous_transaction_count' says 0 and all replicas have caught up: {}",
        words.set("enforce_gtid_consistency", "ON"),
        set("OFF_PERMISSIVE"),
        set("ON_PERMISSIVE"),
        set("ON")
    )
}

pub(super) fn channel_by_position(view: &View<'_>) -> Vec<Hit> {
    let by_place = view.is_by_place();
    view.replicas()
        .filter(|(_, _, channel)| !by_place && !channel.positioning.is_gtid())
        .map(|(address, facts, channel)| {
            let words = Words::of(facts);
            let first = if facts.gtid_mode == GtidMode::Off {
                "after gtid-off is mended, and "
            } else {
                ""
            };
            Hit::on(
                address,
                format!(
                    "{address} replicates by file and position while others do by GTID, so it \
                     cannot be promoted"
                ),
                format!(
                    "{first}{}",
                    words.change_when_caught_up(&channel.name, &[gtid_clause(words)])
                ),
            )
        })
        .collect()
}

pub(super) fn file_and_position(view: &View<'_>) -> Vec<Hit> {
    let Some((_, facts)) = view.live_primary().filter(|_| view.is_by_place()) else {
        return Vec::new();
    };
    let mend = if facts.gtid_mode == GtidMode::Off {
        format!("GTIDs, if the application can do with them: {}", switch_gtid_on(facts))
    } else {
        let words = Words::of(facts);
        let channel = &view.policy().channel;
        let change = words.change_when_caught_up(channel, &[gtid_clause(words)]);
        format!("on each replica, {change}")
    };
    vec![Hit::cluster("all replicas find their place by file and position", mend)]
}

pub(super) fn gtid_strict_off(view: &View<'_>) -> Vec<Hit> {
    let lax = view.snapshot().all_live().filter(|(_, f)| f.gtid_strict == Some(false));
    lax.map(|(address, facts)| {
        Hit::on(
            address,
            format!("gtid_strict_mode of {address} is off"),
            Words::of(facts).set("gtid_strict_mode", "ON"),
        )
    })
    .collect()
}
