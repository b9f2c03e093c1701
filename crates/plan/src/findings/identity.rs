//! Servers that cannot be told apart.

use std::collections::BTreeSet;

use primacy_types::{Address, ServerFacts};

use super::view::{Hit, View};
use super::words::Words;

/// What two servers have in common that they must not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Twins {
    /// They are one server under two addresses.
    Same,
    /// `server_uuid`.
    Uuid,
    /// `server_id`.
    Id,
}

fn twins(a: &ServerFacts, b: &ServerFacts) -> Option<Twins> {
    let same_id = a.server_id == b.server_id;
    let same_uuid = a.server_uuid == b.server_uuid;
    let same_place = a.host_name == b.host_name && a.data_dir == b.data_dir;
    match (same_id, same_uuid) {
        (true, true) if same_place => Some(Twins::Same),
        (_, true) if a.server_uuid.is_some() => Some(Twins::Uuid),
        (true, _) => Some(Twins::Id),
        _ => None,
    }
}

/// Every server that has such a twin among those before it, with the first of them.
fn pairs<'v>(view: &'v View<'_>, kind: Twins) -> Vec<(&'v Address, &'v Address, &'v ServerFacts)> {
    let known = || view.snapshot().servers.iter().filter_map(|(a, s)| Some((a, s.facts.as_ref()?)));
    let mut found = Vec::new();
    for (address, facts) in known() {
        let earlier = known()
            .take_while(|(other, _)| *other < address)
            .find(|(_, other)| twins(other, facts) == Some(kind));
        if let Some((first, _)) = earlier {
            found.push((first, address, facts));
        }
    }
    found
}

pub(super) fn listed_twice(view: &View<'_>) -> Vec<Hit> {
    pairs(view, Twins::Same)
        .into_iter()
        .map(|(first, address, facts)| {
            let id = facts.server_id;
            Hit::on(
                address,
                format!("{first} and {address} are the same server (server_id {id})"),
                format!("remove {first} or {address} from `servers` in the configuration"),
            )
        })
        .collect()
}

pub(super) fn duplicate_uuid(view: &View<'_>) -> Vec<Hit> {
    pairs(view, Twins::Uuid)
        .into_iter()
        .map(|(first, address, facts)| {
            let uuid = facts.server_uuid.as_deref().unwrap_or_default();
            let file = match facts.data_dir.trim_end_matches('/') {
                "" => "auto.cnf in its data directory".to_owned(),
                folder => format!("{folder}/auto.cnf"),
            };
            Hit::on(
                address,
                format!("{first} and {address} have the same server_uuid {uuid}"),
                format!("stop {address}, delete {file}, start it: it makes a new one"),
            )
        })
        .collect()
}

pub(super) fn duplicate_id(view: &View<'_>) -> Vec<Hit> {
    let servers = view.snapshot().servers.values();
    let mut taken: BTreeSet<u32> =
        servers.filter_map(|s| s.facts.as_ref()).map(|f| f.server_id).collect();
    let mut hits = Vec::new();
    for (first, address, facts) in pairs(view, Twins::Id) {
        let free = (1..).find(|id| !taken.contains(id)).unwrap_or(u32::MAX);
        taken.insert(free);
        let words = Words::of(facts);
        let restart: Vec<_> = facts
            .channels
            .iter()
            .map(|c| words.restart(super::words::Threads::Receiver, &c.name))
            .collect();
        let then = if restart.is_empty() {
            String::new()
        } else {
            format!("; then {}", restart.join("; "))
        };
        hits.push(Hit::on(
            address,
            format!("{first} and {address} have the same server_id {}", facts.server_id),
            format!("on {address}: {}{then}", words.set("server_id", &free.to_string())),
        ));
    }
    hits
}
