//! `primacy explain`: what is believed, who says so, what is done about it and why, who holds the
//! lock, and what was last seen of each server.

use primacy_api::Explanation;
use primacy_dcs::ServerLock;
use primacy_plan::{Decision, Diagnosis, Weight};
use primacy_types::ClusterSnapshot;

use super::{page, seen, status};
use crate::look::Look;
use crate::paint;

/// One cluster.
pub(crate) fn render(explanation: &Explanation, look: &Look) -> String {
    let Explanation { diagnosis, decision, snapshot, .. } = explanation;
    let mut heading = format!(
        "{}  {}  epoch {}\n  {}\n",
        paint::strong(&explanation.cluster),
        paint::health(diagnosis.word()),
        snapshot.epoch,
        diagnosis.sentence()
    );
    if let Some(operation) = &explanation.operation {
        heading.push_str(&format!("  {}\n", status::under_way(operation, look)));
    }
    page([
        heading,
        evidence(diagnosis, snapshot),
        self::decision(decision, &diagnosis.sentence()),
        lock(explanation),
        section("last seen", snapshot.servers.values().flat_map(|s| seen::lines(snapshot, s))),
    ])
}

fn section(title: &str, lines: impl IntoIterator<Item = String>) -> String {
    let lines: String = lines.into_iter().map(|line| format!("  {line}\n")).collect();
    if lines.is_empty() { lines } else { format!("{}\n{lines}", paint::strong(title)) }
}

fn evidence(diagnosis: &Diagnosis, snapshot: &ClusterSnapshot) -> String {
    let said = diagnosis.evidence().iter().map(|e| format!("{}  {e}", weight(e.weight)));
    let mut lines: Vec<_> = said.collect();
    let deadline = match diagnosis {
        Diagnosis::PrimaryStopped { dead_at, .. } => *dead_at,
        Diagnosis::PrimaryRestarting { dead_at, .. } => Some(*dead_at),
        _ => None,
    };
    if let Some(at) = deadline {
        lines.push(format!("it counts as dead in {}", at.since(snapshot.now)));
    }
    section("evidence", lines)
}

fn weight(weight: Weight) -> String {
    match weight {
        Weight::Confirms => paint::bad("confirms   "),
        Weight::Suggests => paint::doubtful("suggests   "),
        Weight::Pending => "pending    ".to_owned(),
        Weight::Nothing => paint::faint("no word    "),
        Weight::Contradicts => paint::good("contradicts"),
    }
}

/// The reason is not repeated where it is what the diagnosis says.
fn decision(decision: &Decision, diagnosis: &str) -> String {
    let sentence = match decision {
        Decision::Nothing { why, alarm } if why == diagnosis => match alarm {
            true => format!("{}; a person should know", paint::doubtful("do nothing")),
            false => "do nothing".to_owned(),
        },
        Decision::Nothing { why, alarm: true } => {
            format!("{}, and a person should know: {why}", paint::doubtful("do nothing"))
        }
        Decision::Nothing { why, alarm: false } => format!("do nothing: {why}"),
        Decision::FailOver => paint::bad("replace the dead primary now"),
        Decision::Reopen { primary } => {
            format!("make the restarted primary {primary} writable again")
        }
        Decision::CloseIntruders { servers } => {
            let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
            format!(
                "make {} read-only: only the primary on record may accept writes",
                servers.join(", ")
            )
        }
    };
    section("decision", [sentence])
}

fn lock(explanation: &Explanation) -> String {
    let line = |(server, lock): (_, &ServerLock)| {
        let state = match lock {
            ServerLock::Untried => "not tried".to_owned(),
            ServerLock::Held { connection } => format!("held from here (connection {connection})"),
            ServerLock::HeldByOther { who } => format!("held by {who}"),
            ServerLock::Unreachable { why, refused: true } => {
                format!("nobody can hold it ({why})")
            }
            ServerLock::Unreachable { why, refused: false } => format!("out of reach ({why})"),
        };
        format!("{server}: {state}")
    };
    let mut lines: Vec<_> = explanation.lock.servers.iter().map(line).collect();
    if lines.is_empty() {
        return String::new();
    }
    lines.push(match explanation.lock.permits(&explanation.cluster) {
        Ok(()) => "so this manager may act".to_owned(),
        // A command that only looks takes no lock.
        Err(_) if !explanation.lock.settled() => "so nothing may be changed from here".to_owned(),
        Err(error) => format!("so it may not act: {error}"),
    });
    section("lock", lines)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_plan::testing::{addr, cluster};
    use primacy_types::{ContactFailure, Millis, ProcessState};

    use super::*;
    use crate::render::testing::{explanation, operation, stripped};

    fn shown(explanation: &Explanation) -> String {
        stripped(&render(explanation, &Look::plain()))
    }

    #[test]
    fn a_healthy_cluster() {
        assert_snapshot!(shown(&explanation(&cluster(["a", "b"]))), @"
        c1  healthy  epoch 1
          Healthy; a:3306 is the primary

        decision
          do nothing: all is well

        lock
          a:3306: held from here (connection 12)
          b:3306: held from here (connection 12)
          so this manager may act

        last seen
          a:3306: answered 0 ms ago
            seen 0 ms ago: MariaDB 10.11.6, server_id 1, writable, 3 of 100 connections, up for 5000 s
            executed: 0-1-100
          b:3306: answered 0 ms ago
            seen 0 ms ago: MariaDB 10.11.6, server_id 2, read-only, 3 of 100 connections, up for 5000 s
            reads from a:3306: receiver connected, applier idle
            held: 0-1-100; last event or heartbeat 0 ms ago
        ");
    }

    #[test]
    fn a_dead_primary_that_another_manager_looks_after() {
        let mut world = cluster(["a", "b", "c"]).local("a").semi_sync(1).primary_killed();
        world.server("a").process = Some(ProcessState::Exited { clean: Some(false) });
        let mut explanation = explanation(&world);
        let who = "m2 (pid 99 on host2)".to_owned();
        explanation.lock.servers.insert(addr("b"), ServerLock::HeldByOther { who });
        let refused = ServerLock::Unreachable { why: "connection refused".into(), refused: true };
        explanation.lock.servers.insert(addr("a"), refused);
        explanation.operation = Some(operation());
        assert_snapshot!(shown(&explanation), @"
        c1  primary-dead  epoch 1
          The primary a:3306 is dead: its process is gone
          failover under way since 21:12:03.045 (019aa2d6-5c85-7000-8000-000000000001)

        evidence
          suggests     manager: connection refused, 1 failed probe(s) in 50 ms
          confirms     its host: the process is gone and did not close its binary log (crash or kill)
          confirms     replica b:3306: lost its connection to it
          confirms     replica c:3306: lost its connection to it

        decision
          replace the dead primary now

        lock
          a:3306: nobody can hold it (connection refused)
          b:3306: held by m2 (pid 99 on host2)
          c:3306: held from here (connection 12)
          so it may not act: another manager holds the lock of cluster c1 on b:3306: m2 (pid 99 on host2)

        last seen
          a:3306: does not answer (connection refused; 1 probes since 50 ms ago; last answer 50 ms ago)
            its host: the process crashed
            seen 0 ms ago: MariaDB 10.11.6, server_id 1, writable, 3 of 100 connections, up for 5000 s
            executed: 0-1-100
            semi-sync in force: 2 acknowledging, commits wait for 1, 0 went through without
            can be fenced: local
          b:3306: answered 0 ms ago
            seen 0 ms ago: MariaDB 10.11.6, server_id 2, read-only, 3 of 100 connections, up for 5000 s
            reads from a:3306: receiver connecting, applier idle
            held: 0-1-100; last event or heartbeat 400 ms ago
            semi-sync: acknowledges
          c:3306: answered 0 ms ago
            seen 0 ms ago: MariaDB 10.11.6, server_id 3, read-only, 3 of 100 connections, up for 5000 s
            reads from a:3306: receiver connecting, applier idle
            held: 0-1-100; last event or heartbeat 400 ms ago
            semi-sync: acknowledges
        ");
    }

    #[test]
    fn only_the_path_from_here_is_cut() {
        let mut world = cluster(["a", "b", "c"]).failing("a", ContactFailure::Silent, 4000, 8);
        world.server("c").facts_at = Some(world.snapshot.now - Millis(9000));
        let mut explanation = explanation(&world);
        for server in explanation.lock.servers.values_mut() {
            *server = ServerLock::Untried;
        }
        assert_snapshot!(shown(&explanation), @"
        c1  primary-cut-off-from-here  epoch 1
          The primary a:3306 does not answer the manager, but it lives: others still hear from it. Only the path from here is broken, so nothing is done

        evidence
          suggests     manager: no answer in time, 8 failed probe(s) in 4 s
          contradicts  replica b:3306: received an event or heartbeat from it 0 ms ago
          pending      replica c:3306: not asked yet since the first failed probe

        decision
          do nothing; a person should know

        lock
          a:3306: not tried
          b:3306: not tried
          c:3306: not tried
          so nothing may be changed from here

        last seen
          a:3306: does not answer (no answer in time; 8 probes since 4 s ago; last answer 4 s ago)
            seen 0 ms ago: MariaDB 10.11.6, server_id 1, writable, 3 of 100 connections, up for 5000 s
            executed: 0-1-100
          b:3306: answered 0 ms ago
            seen 0 ms ago: MariaDB 10.11.6, server_id 2, read-only, 3 of 100 connections, up for 5000 s
            reads from a:3306: receiver connected, applier idle
            held: 0-1-100; last event or heartbeat 0 ms ago
          c:3306: answered 0 ms ago
            seen 9 s ago: MariaDB 10.11.6, server_id 3, read-only, 3 of 100 connections, up for 5000 s
            reads from a:3306: receiver connected, applier idle
            held: 0-1-100; last event or heartbeat 0 ms ago
        ");
    }

    #[test]
    fn a_clean_shutdown_has_a_deadline() {
        let mut world = cluster(["a", "b"]).primary_killed();
        world.server("a").process = Some(ProcessState::Exited { clean: Some(true) });
        let text = shown(&explanation(&world));
        assert!(text.contains("it counts as dead in 29 s"), "{text}");
    }
}
