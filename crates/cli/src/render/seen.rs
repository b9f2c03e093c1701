//! What was last seen of a server, and how long ago.

use primacy_types::{
    ChannelStatus, ClusterSnapshot, Contact, Moment, ProcessState, ReceiverState, ServerFacts,
    ServerObservation, TransactionSet,
};

use crate::paint;

/// A heading with the contact, then what the server and its host said.
pub(crate) fn lines(snapshot: &ClusterSnapshot, server: &ServerObservation) -> Vec<String> {
    let ago = |at: Moment| format!("{} ago", snapshot.now.since(at));
    let mut lines =
        vec![format!("{}: {}", paint::strong(&server.address), contact(&server.contact, &ago))];
    let mut add = |line: String| lines.push(format!("  {line}"));
    if let Some(process) = server.process {
        add(format!("its host: {}", self::process(process)));
    }
    match (&server.facts, server.facts_at) {
        (Some(facts), Some(at)) => {
            add(format!("seen {}: {}", ago(at), facts_line(facts)));
            if let Some(channel) = facts.channel(&snapshot.policy.channel) {
                add(channel_line(channel));
                add(format!(
                    "held: {}; last event or heartbeat {}",
                    gtids(&facts.holds(&channel.name)),
                    server.received_at.map_or_else(|| "never seen".to_owned(), ago)
                ));
                let errors = [&channel.receiver_error, &channel.applier_error];
                for error in errors.into_iter().flatten() {
                    add(format!("{} {}: {}", paint::bad("error"), error.code, error.message));
                }
            } else {
                add(format!("executed: {}", gtids(&facts.executed)));
            }
            if let Some(line) = semi_sync_line(facts) {
                add(line);
            }
        }
        _ => add("nothing is known of it yet".to_owned()),
    }
    if !server.fences.is_empty() {
        let fences: Vec<_> = server.fences.iter().map(ToString::to_string).collect();
        add(format!("can be fenced: {}", fences.join(", ")));
    }
    lines
}

fn gtids(set: &TransactionSet) -> String {
    if set.is_empty() { "no transaction yet".to_owned() } else { set.to_string() }
}

fn contact(contact: &Contact, ago: &impl Fn(Moment) -> String) -> String {
    match contact {
        Contact::Untried => "not tried yet".to_owned(),
        Contact::Answering { at } => format!("answered {}", ago(*at)),
        Contact::Failing { since, failures, last, last_answer } => {
            let answered = last_answer.map_or_else(
                || "never answered".to_owned(),
                |at| format!("last answer {}", ago(at)),
            );
            format!(
                "{} ({last}; {failures} probes since {}; {answered})",
                paint::bad("does not answer"),
                ago(*since)
            )
        }
    }
}

fn process(process: ProcessState) -> String {
    match process {
        ProcessState::Running { pid } => format!("the process runs (pid {pid})"),
        ProcessState::Frozen { pid } => format!("the process is frozen (pid {pid})"),
        ProcessState::Exited { clean: Some(true) } => "the process ended cleanly".to_owned(),
        ProcessState::Exited { clean: Some(false) } => "the process crashed".to_owned(),
        ProcessState::Exited { clean: None } => "the process is gone".to_owned(),
    }
}

fn facts_line(facts: &ServerFacts) -> String {
    format!(
        "{}, server_id {}, {}, {} of {} connections, up for {} s",
        facts.version,
        facts.server_id,
        if facts.writable() { "writable" } else { "read-only" },
        facts.connections,
        facts.max_connections,
        facts.uptime_seconds
    )
}

fn channel_line(channel: &ChannelStatus) -> String {
    let receiver = match channel.receiver {
        ReceiverState::Running => "connected",
        ReceiverState::Connecting => "connecting",
        ReceiverState::Stopped => "stopped",
    };
    let applier = match (channel.applier_running, channel.applier_idle) {
        (false, _) => "stopped",
        (true, true) => "idle",
        (true, false) => "busy",
    };
    let delay = match channel.delay_seconds {
        0 => String::new(),
        delay => format!(", delayed by {delay} s"),
    };
    format!("reads from {}: receiver {receiver}, applier {applier}{delay}", channel.source)
}

fn semi_sync_line(facts: &ServerFacts) -> Option<String> {
    let semi = &facts.semi_sync;
    if semi.source_enabled {
        let state = if semi.source_active { "in force" } else { "enabled and not in force" };
        Some(format!(
            "semi-sync {state}: {} acknowledging, commits wait for {}, {} went through without",
            semi.clients, semi.wait_count, semi.unacknowledged
        ))
    } else if semi.replica_enabled {
        let state = if semi.replica_active { "acknowledges" } else { "does not acknowledge now" };
        Some(format!("semi-sync: {state}"))
    } else {
        None
    }
}
