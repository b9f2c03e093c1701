//! Servers that do not answer, and links that lead out of the cluster or nowhere.

use primacy_types::{AbsenceState, Contact, ContactFailure, Positioning};

use super::view::{Hit, View};
use super::words::{Threads, Words, quote};
use crate::topology;

pub(super) fn unreachable(view: &View<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (address, server) in &view.snapshot().servers {
        let role = if view.is_primary(address) { "the primary" } else { "the server" };
        let (what, mend) = match &server.contact {
            Contact::Answering { .. } if server.facts.is_some() => continue,
            Contact::Answering { .. } | Contact::Untried => (
                "does not answer: it has not told its state yet".to_owned(),
                "wait for its first answer".to_owned(),
            ),
            Contact::Failing { last, .. } if last.proves_life() => {
                (format!("lives and is of no use to the manager: {last}"), cure(last))
            }
            Contact::Failing { last, .. } => (format!("does not answer: {last}"), cure(last)),
        };
        hits.push(Hit::on(address, format!("{role} {address} {what}"), mend));
    }
    hits
}

fn cure(failure: &ContactFailure) -> String {
    match failure {
        ContactFailure::Refused | ContactFailure::ShuttingDown | ContactFailure::Reset => {
            "start it (systemctl start mysql or mariadb); its error log says why it stopped"
        }
        ContactFailure::Silent => "look whether its machine lives and whether its process hangs",
        ContactFailure::Unreachable => "mend the network to its machine",
        ContactFailure::Unresolved => "correct its name in `servers`, or the name service",
        ContactFailure::AccessDenied(_) => {
            "give the manager's account its password and rights: `primacy grants` prints the SQL"
        }
        ContactFailure::TooManyConnections => {
            "end idle sessions or raise max_connections; `primacy grants` names the privilege \
             with which the manager gets in all the same"
        }
        ContactFailure::Tls(_) => "correct the cluster's `tls` section or the server's certificate",
        ContactFailure::Answered(_) | ContactFailure::Other(_) => "see the server's error log",
    }
    .to_owned()
}

pub(super) fn not_a_replica(view: &View<'_>) -> Vec<Hit> {
    let (Some(primary), snapshot) = (view.primary(), view.snapshot()) else {
        return Vec::new();
    };
    let mut hits = Vec::new();
    for (address, facts) in view.others() {
        let name = &view.policy().channel;
        let Some(channel) = facts.channel(name) else {
            let others: Vec<_> = facts.channels.iter().map(|c| quote(&c.name)).collect();
            let has = if others.is_empty() {
                "it replicates from nobody".to_owned()
            } else {
                format!(
                    "it has the channel {}, and Primacy manages {}",
                    others.join(", "),
                    quote(name)
                )
            };
            let sentence = format!("{address} is no replica: {has}");
            hits.push(Hit::on(address, sentence, attach(view, Words::of(facts))));
            continue;
        };
        let source = view.source_of(channel);
        if let Some(source) = source
            && !topology::descends_from(snapshot, address, primary)
        {
            let sentence = format!(
                "{address} replicates from {source}, which does not get its data from the primary"
            );
            hits.push(Hit::on(address, sentence, attach(view, Words::of(facts))));
        }
    }
    hits
}

pub(super) fn left_behind(view: &View<'_>) -> Vec<Hit> {
    let waiting = view.snapshot().absent.iter().filter(|(_, absence)| absence.needs_a_person());
    waiting
        .map(|(server, absence)| {
            let mend = match &absence.state {
                AbsenceState::Quarantined { .. } => format!(
                    "look at what was saved; then `primacy rejoin {server} --on-errant rewind` \
                     undoes it where that is provable, and `primacy rebuild {server}` replaces its \
                     data by a copy"
                ),
                AbsenceState::Unable { .. } => format!("`primacy rebuild {server}`"),
                _ => format!("`primacy rejoin {server}`"),
            };
            Hit::on(server, format!("{server} {}", absence.state), mend)
        })
        .collect()
}

pub(super) fn unknown_source(view: &View<'_>) -> Vec<Hit> {
    view.replicas()
        .filter(|(_, _, channel)| view.source_of(channel).is_none())
        .map(|(address, facts, channel)| {
            let source = &channel.source;
            Hit::on(
                address,
                format!("{address} replicates from {source}, which is no server of this cluster"),
                format!(
                    "add {source} to `servers` in the configuration, or point {address} to the \
                     primary: {}",
                    attach(view, Words::of(facts))
                ),
            )
        })
        .collect()
}

/// Makes a server a replica of the primary.
fn attach(view: &View<'_>, words: Words) -> String {
    let Some(primary) = view.primary() else {
        return "point it to the primary once that is known".to_owned();
    };
    let channel = &view.policy().channel;
    let user = view.replicas().map(|(_, _, c)| c.user.as_str()).find(|user| !user.is_empty());
    let clauses = [
        format!("{{}}_HOST = {}", quote(primary.host())),
        format!("{{}}_PORT = {}", primary.port()),
        format!("{{}}_USER = {}", quote(user.unwrap_or("the replication account"))),
        "{}_PASSWORD = '...'".to_owned(),
        gtid_clause(words),
    ];
    format!(
        "if its data is a copy of the primary's (otherwise rebuild it from a backup first): {}; \
         {}; {}",
        words.stop(Threads::Both, channel),
        words.change(channel, &clauses),
        words.start(Threads::Both, channel)
    )
}

/// Positions a channel by GTID.
pub(super) fn gtid_clause(words: Words) -> String {
    if words.is_mariadb() { "MASTER_USE_GTID = slave_pos" } else { "{}_AUTO_POSITION = 1" }
        .to_owned()
}

pub(super) fn unlisted_replica(view: &View<'_>) -> Vec<Hit> {
    let servers = &view.snapshot().servers;
    let known_id =
        |id| servers.values().any(|s| s.facts.as_ref().is_some_and(|f| f.server_id == id));
    let mut hits = Vec::new();
    for (source, facts) in view.snapshot().all_live() {
        for replica in facts.replicas.iter().filter(|r| !known_id(r.server_id)) {
            let id = replica.server_id;
            let (who, mend) = match &replica.address {
                Some(address) if servers.contains_key(address) => continue,
                Some(address) => (
                    format!("{address} (server_id {id})"),
                    format!("add {address} to `servers` in the configuration, unless it is a tool"),
                ),
                None => (
                    format!("a server with server_id {id} that does not report its address"),
                    "find it with SHOW PROCESSLIST and add it to `servers`, unless it is a tool; \
                     report_host in its option file makes it known"
                        .to_owned(),
                ),
            };
            hits.push(Hit::on(source, format!("{who} replicates from {source}"), mend));
        }
    }
    hits
}

pub(super) fn external_channel(view: &View<'_>) -> Vec<Hit> {
    let Some((primary, facts)) = view.live_primary() else {
        return Vec::new();
    };
    let words = Words::of(facts);
    facts
        .channels
        .iter()
        .filter(|channel| view.source_of(channel).is_none())
        .map(|channel| {
            let how = match channel.positioning {
                Positioning::FileAndPosition => "by file and position",
                _ => "by GTID",
            };
            let name = &channel.name;
            Hit::on(
                primary,
                format!(
                    "the primary {primary} itself replicates from {} (channel {}, {how}), which \
                     cannot be moved with the role",
                    channel.source,
                    quote(name)
                ),
                format!(
                    "before a switchover, on {primary}: {}; afterwards set the channel up on the \
                     new primary with its account and password",
                    words.detach(name)
                ),
            )
        })
        .collect()
}
