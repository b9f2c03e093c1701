//! What a replica receives, applies, leaves out, or has of its own.

use std::collections::BTreeSet;

use primacy_types::{ReceiverState, ReplicationError};

use super::view::{Hit, Replica, View, and};
use super::words::{Threads, Words, quote};
use crate::{Exclusion, errant_of, filters};

fn because(error: Option<&ReplicationError>) -> String {
    error.map_or(String::new(), |e| format!(": error {}, {}", e.code, e.message))
}

/// MariaDB with GTID starts a channel whose threads are both stopped with an empty relay log.
fn start_drops_relay_log((_, facts, channel): &Replica<'_>) -> bool {
    Words::of(facts).is_mariadb()
        && channel.positioning.is_gtid()
        && channel.receiver == ReceiverState::Stopped
        && !channel.applier_running
        && !channel.received.as_ref().is_some_and(|received| facts.executed.covers(received))
}

const REFETCHED: &str = "only while its source answers, because MariaDB drops what the relay log \
                         holds unapplied and fetches it again: ";

pub(super) fn receiver_stopped(view: &View<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for replica in view.replicas() {
        let (address, facts, channel) = replica;
        let words = Words::of(facts);
        let source = &channel.source;
        let why = because(channel.receiver_error.as_ref());
        let (state, mend) = match channel.receiver {
            ReceiverState::Running => continue,
            ReceiverState::Connecting => {
                let ours = view.source_of(channel);
                let mend = if ours.is_some_and(|s| view.snapshot().live(&s).is_none()) {
                    format!("bring {source} back; it connects again by itself")
                } else {
                    format!(
                        "mend what the error says (address, account, password, TLS); look with {}",
                        words.show_status()
                    )
                };
                ("does not reach", mend)
            }
            ReceiverState::Stopped => {
                let lost = channel.receiver_error.as_ref().is_some_and(|e| e.code == GONE);
                let careful = if start_drops_relay_log(&replica) { REFETCHED } else { "" };
                let mend = if lost {
                    format!("its source cannot give what it needs next: rebuild {address}")
                } else {
                    format!("{careful}{}", words.start(Threads::Receiver, &channel.name))
                };
                ("is stopped and does not read from", mend)
            }
        };
        let sentence = format!("the receiver of {address} {state} {source}{why}");
        hits.push(Hit::on(address, sentence, mend));
    }
    hits
}

/// `ER_MASTER_FATAL_ERROR_READING_BINLOG`: what the replica needs was purged, or it has more than
/// its source.
const GONE: u32 = 1236;

pub(super) fn applier_stopped(view: &View<'_>) -> Vec<Hit> {
    view.replicas()
        .filter(|(_, _, channel)| !channel.applier_running && channel.applier_error.is_none())
        .map(|replica| {
            let address = replica.0;
            let sentence = format!("the applier of {address} does not run");
            Hit::on(address, sentence, start_applier(&replica))
        })
        .collect()
}

pub(super) fn applier_broken(view: &View<'_>) -> Vec<Hit> {
    view.replicas()
        .filter(|(_, _, channel)| !channel.applier_running && channel.applier_error.is_some())
        .map(|replica| {
            let (address, _, channel) = replica;
            let why = because(channel.applier_error.as_ref());
            let start = start_applier(&replica);
            Hit::on(
                address,
                format!("the applier of {address} stopped{why}"),
                format!("mend what the error names, or rebuild {address}; then {start}"),
            )
        })
        .collect()
}

fn start_applier(replica: &Replica<'_>) -> String {
    let (_, facts, channel) = replica;
    let careful = if start_drops_relay_log(replica) { REFETCHED } else { "" };
    format!("{careful}{}", Words::of(facts).start(Threads::Applier, &channel.name))
}

pub(super) fn errant(view: &View<'_>) -> Vec<Hit> {
    let Some(primary) = view.primary() else {
        return Vec::new();
    };
    let mut hits = Vec::new();
    for (address, facts, _) in view.replicas() {
        let errant = errant_of(view.snapshot(), primary, address);
        if errant.is_empty() {
            continue;
        }
        let gtids = errant.join(",");
        let mend = if Words::of(facts).is_mariadb() {
            format!(
                "look at them in its binary log (mariadb-binlog); then rebuild {address} from \
                 {primary}, or accept them with allow_errant = true in `policy`"
            )
        } else {
            format!(
                "look at them with mysqlbinlog --include-gtids={}; if {primary} can do without \
                 what they changed, on {primary} for each of them: SET gtid_next = 'uuid:number'; \
                 BEGIN; COMMIT; SET gtid_next = 'AUTOMATIC'; otherwise rebuild {address}, or \
                 accept them with allow_errant = true in `policy`",
                quote(&gtids)
            )
        };
        let sentence = format!("{address} has transactions that no primary gave it: {gtids}");
        hits.push(Hit::on(address, sentence, mend));
    }
    hits
}

pub(super) fn outside(view: &View<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for judged in &view.judged {
        let address = &judged.server;
        let Some(facts) = view.snapshot().live(address) else {
            continue;
        };
        let ends: Vec<_> = facts
            .channels
            .iter()
            .filter(|channel| channel.name != view.policy().channel)
            .map(|channel| Words::of(facts).detach(&channel.name))
            .collect();
        for exclusion in &judged.exclusions {
            let Exclusion::OutsideSource(gtids) = exclusion else {
                continue;
            };
            hits.push(Hit::on(
                address,
                format!(
                    "{address} has transactions of a source outside the cluster: {}",
                    gtids.join(",")
                ),
                format!(
                    "keep it so with promotion = \"never\" in the configuration; or let the \
                     primary replicate from that source instead, end it here ({}) and rebuild \
                     {address}",
                    ends.join("; ")
                ),
            ));
        }
    }
    hits
}

pub(super) fn filters(view: &View<'_>) -> Vec<Hit> {
    view.replicas()
        .filter(|(address, _, _)| filters::stand_against(view.snapshot(), address))
        .map(|replica| {
            let (address, _, channel) = replica;
            let list: Vec<_> = channel.filters.iter().map(String::as_str).collect();
            Hit::on(
                address,
                format!("{address} filters replication ({})", list.join(", ")),
                format!(
                    "{}; then rebuild {address}, because what was left out is missing; or keep \
                     it as it is with promotion = \"never\" in the configuration",
                    without_filters(&replica)
                ),
            )
        })
        .collect()
}

/// Where a filter is switched off.
enum Place {
    /// `CHANGE REPLICATION FILTER`, or a variable on MariaDB.
    Filter,
    /// `CHANGE MASTER TO ... = ()`.
    Source,
    /// Only the option file.
    OptionFile,
}

fn without_filters((_, facts, channel): &Replica<'_>) -> String {
    let words = Words::of(facts);
    let (mut filters, mut clauses, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for filter in &channel.filters {
        let name = filter.split('=').next().unwrap_or_default();
        match place(words, name) {
            Place::Filter if words.is_mariadb() => {
                filters.push(format!("SET GLOBAL {} = ''", name.to_ascii_lowercase()));
            }
            Place::Filter => filters.push(format!("{} = ()", name.to_ascii_uppercase())),
            Place::Source => {
                let keyword = name.trim_start_matches("Replicate_").to_ascii_uppercase();
                clauses.push(format!("{keyword} = ()"));
            }
            Place::OptionFile => options.push(name.to_ascii_lowercase()),
        }
    }
    let name = &channel.name;
    let mut ways = Vec::new();
    if !filters.is_empty() {
        let threads = if words.is_mariadb() { Threads::Both } else { Threads::Applier };
        let statement = if words.is_mariadb() {
            if !name.is_empty() {
                filters.insert(0, format!("SET default_master_connection = {}", quote(name)));
            }
            filters.join("; ")
        } else {
            let own =
                if words.mysql_since(8, 0, 1) { words.for_channel(name) } else { String::new() };
            format!("CHANGE REPLICATION FILTER {}{own}", filters.join(", "))
        };
        ways.push(format!(
            "when it has caught up: {}; {statement}; {}, and take the filters out of its option \
             file",
            words.stop(threads, name),
            words.start(threads, name)
        ));
    }
    if !clauses.is_empty() {
        ways.push(words.change_settings(name, &clauses));
    }
    if !options.is_empty() {
        ways.push(format!("take {} out of its option file and restart it", options.join(", ")));
    }
    ways.join("; ")
}

fn place(words: Words, filter: &str) -> Place {
    match filter {
        "Replicate_Ignore_Server_Ids"
        | "Replicate_Do_Domain_Ids"
        | "Replicate_Ignore_Domain_Ids" => Place::Source,
        "Replicate_Rewrite_DB" if words.is_mariadb() && !words.version().at_least(10, 11, 0) => {
            Place::OptionFile
        }
        _ if words.is_mariadb() || words.mysql_since(5, 7, 3) => Place::Filter,
        _ => Place::OptionFile,
    }
}

pub(super) fn filters_differ(view: &View<'_>) -> Vec<Hit> {
    let filtering: Vec<_> = view
        .replicas()
        .filter(|(_, _, channel)| !channel.filters.is_empty())
        .map(|(address, _, channel)| (address.clone(), &channel.filters))
        .collect();
    if !view.policy().check_filters {
        return Vec::new();
    }
    let different: BTreeSet<_> = filtering.iter().map(|(_, filters)| *filters).collect();
    if different.len() < 2 {
        return Vec::new();
    }
    let servers: Vec<_> = filtering.into_iter().map(|(address, _)| address).collect();
    vec![Hit::cluster(
        format!("{} filter replication in different ways", and(&servers)),
        "give all replicas the same filters, or none, as replication-filters says",
    )]
}
