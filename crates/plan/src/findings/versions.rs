//! Servers of different flavours and series under one primary.

use primacy_types::ServerFacts;

use super::view::{Hit, View};

/// What replication compatibility is promised by: `8.4`, `10.11`.
fn series(facts: &ServerFacts) -> (u16, u16) {
    (facts.version.number.0, facts.version.number.1)
}

pub(super) fn other_flavour(view: &View<'_>) -> Vec<Hit> {
    let Some((primary, of_primary)) = view.live_primary() else {
        return Vec::new();
    };
    let foreign = view.replicas().filter(|(_, f, _)| f.version.flavor != of_primary.version.flavor);
    foreign
        .map(|(address, facts, _)| {
            Hit::on(
                address,
                format!(
                    "{address} is {} and the primary {primary} is {}",
                    facts.version, of_primary.version
                ),
                format!(
                    "rebuild {address} as {}, or keep it out with promotion = \"never\" in the \
                     configuration",
                    of_primary.version.flavor
                ),
            )
        })
        .collect()
}

pub(super) fn older_than_source(view: &View<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (address, facts, channel) in view.replicas() {
        let source = view.source_of(channel);
        let Some((source, theirs)) = source
            .and_then(|s| Some((view.snapshot().live(&s)?, s)))
            .map(|(facts, address)| (address, facts))
            .filter(|(_, theirs)| theirs.version.flavor == facts.version.flavor)
            .filter(|(_, theirs)| series(theirs) > series(facts))
        else {
            continue;
        };
        hits.push(Hit::on(
            address,
            format!("{address} is {} and its source {source} is {}", facts.version, theirs.version),
            format!("upgrade {address} to the series of {source}: replicas go first"),
        ));
    }
    hits
}

pub(super) fn newer_than_primary(view: &View<'_>) -> Vec<Hit> {
    let Some((primary, of_primary)) = view.live_primary() else {
        return Vec::new();
    };
    view.replicas()
        .filter(|(_, f, _)| f.version.flavor == of_primary.version.flavor)
        .filter(|(_, f, _)| series(f) > series(of_primary))
        .map(|(address, facts, _)| {
            Hit::on(
                address,
                format!(
                    "{address} is {}; once it is promoted, {primary} ({}) cannot safely follow it",
                    facts.version, of_primary.version
                ),
                "finish the upgrade: the other replicas, then a switchover, then the old primary",
            )
        })
        .collect()
}
