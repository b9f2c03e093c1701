//! `primacy status`: a cluster's health, what is under way, and its servers.

use primacy_api::{ClusterView, LeaseView, OperationView, ServerView};
use primacy_plan::lease::Hold;

use super::table;
use crate::look::Look;
use crate::paint;

/// One cluster.
pub(crate) fn render(view: &ClusterView, look: &Look) -> String {
    let mut text = heading(view, look);
    let known = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let rows = view.servers.iter().map(|server| {
        [
            server.address.to_string(),
            server.status.clone(),
            known(server.lag_seconds.map(|lag| format!("{lag} s"))),
            known(server.version.clone()),
            known(server.position.as_deref().map(broken)),
        ]
    });
    text.push('\n');
    text.push_str(&if view.servers.iter().any(|server| server.lease.is_some()) {
        let rows = view.servers.iter().zip(rows).map(|(server, row)| {
            let [address, status, lag, version, position] = row;
            let [lease, addresses] = lease(server.lease.as_ref());
            [address, status, lag, lease, addresses, version, position]
        });
        let header = ["Server", "Status", "Lag", "Lease", "Addresses", "Version", "Position"];
        table::plain(header, rows.collect())
    } else {
        table::plain(["Server", "Status", "Lag", "Version", "Position"], rows.collect())
    });
    let troubles: Vec<_> = view.servers.iter().flat_map(troubles).collect();
    if !troubles.is_empty() {
        text.push_str(&format!("\n{}", troubles.concat()));
    }
    text
}

/// Name, health and what is under way.
pub(crate) fn heading(view: &ClusterView, look: &Look) -> String {
    let mut text = format!(
        "{}  {}  epoch {}\n  {}\n",
        paint::strong(&view.name),
        paint::health(&view.health),
        view.epoch,
        view.sentence
    );
    if let Some(operation) = &view.operation {
        text.push_str(&format!("  {}\n", paint::strong(under_way(operation, look))));
    }
    if view.paused {
        let reason = view.paused_reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        let word = paint::doubtful("paused");
        text.push_str(&format!("  {word}{reason} (`primacy resume {}` ends it)\n", view.name));
    }
    text
}

/// `failover since 21:12:03.123 (019aa3f1-7c2e-…)`
pub(crate) fn under_way(operation: &OperationView, look: &Look) -> String {
    format!(
        "{} under way since {} ({})",
        operation.kind,
        look.time_of_day(operation.started),
        operation.id
    )
}

/// Positions that name many sources, one source a line.
pub(crate) fn broken(position: &str) -> String {
    if position.len() > 40 { position.replace(',', ",\n") } else { position.to_owned() }
}

/// The lease of a server and the addresses of its host, in few words.
fn lease(lease: Option<&LeaseView>) -> [String; 2] {
    let nothing = || "-".to_owned();
    let Some(lease) = lease else { return [nothing(), nothing()] };
    let addresses: Vec<_> = lease.addresses.iter().map(|one| one.ip().to_string()).collect();
    let held = if addresses.is_empty() { nothing() } else { addresses.join(", ") };
    let word = match lease.hold {
        _ if !lease.answers => "agent silent",
        Hold::Without => "-",
        Hold::Good if !lease.guarded => "held, no guard",
        Hold::Good if lease.by_voters => "held by votes",
        Hold::Good => "held",
        Hold::Close | Hold::Kill => "run out",
    };
    // What a silent agent said of its addresses may be over.
    let held = if lease.answers { held } else { nothing() };
    [word.to_owned(), held]
}

fn troubles(server: &ServerView) -> Vec<String> {
    let problem = server.lease.as_ref().filter(|lease| lease.answers);
    server
        .failure
        .iter()
        .chain(&server.errors)
        .chain(problem.and_then(|lease| lease.problem.as_ref()))
        .map(|what| format!("  {} {}: {what}\n", paint::bad("!"), server.address))
        .collect()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_plan::testing::cluster;
    use primacy_types::{ContactFailure, ReplicationError};

    use super::*;
    use crate::render::testing::{operation, stripped, view};

    fn shown(view: &ClusterView) -> String {
        stripped(&render(view, &Look::plain()))
    }

    #[test]
    fn a_healthy_cluster() {
        assert_snapshot!(shown(&view(&cluster(["a", "b", "c"]))), @"
        c1  healthy  epoch 1
          Healthy; a:3306 is the primary

          Server  Status            Lag  Version          Position
          a:3306  Primary, Running  -    MariaDB 10.11.6  0-1-100
          b:3306  Replica, Running  0 s  MariaDB 10.11.6  0-1-100
          c:3306  Replica, Running  0 s  MariaDB 10.11.6  0-1-100
        ");
    }

    #[test]
    fn a_dead_primary_under_replacement() {
        let mut view = view(&cluster(["a", "b", "c"]).primary_killed());
        view.operation = Some(operation());
        assert_snapshot!(shown(&view), @"
        c1  primary-dead  epoch 1
          The primary a:3306 is dead: nothing listens there and its replicas lost it
          failover under way since 21:12:03.045 (019aa2d6-5c85-7000-8000-000000000001)

          Server  Status                                Lag  Version          Position
          a:3306  Down                                  -    MariaDB 10.11.6  0-1-100
          b:3306  Replica, Replication Broken, Running  -    MariaDB 10.11.6  0-1-100
          c:3306  Replica, Replication Broken, Running  -    MariaDB 10.11.6  0-1-100

          ! a:3306: connection refused
        ");
    }

    #[test]
    fn a_paused_cluster_with_a_broken_replica() {
        let mut world = cluster(["a", "b", "c"]).failing("c", ContactFailure::Silent, 4000, 8);
        world.channel("b").applier_running = false;
        world.channel("b").applier_error =
            Some(ReplicationError { code: 1062, message: "Duplicate entry '7'".into() });
        let mut view = view(&world);
        view.paused = true;
        view.paused_reason = Some("kernel upgrade, Jo".into());
        assert_snapshot!(shown(&view), @"
        c1  degraded  epoch 1
          a:3306 is the primary; the applier of b:3306 does not run: Duplicate entry '7'; c:3306 does not answer (no answer in time)
          paused: kernel upgrade, Jo (`primacy resume c1` ends it)

          Server  Status                                Lag  Version          Position
          a:3306  Primary, Running                      -    MariaDB 10.11.6  0-1-100
          b:3306  Replica, Replication Broken, Running  -    MariaDB 10.11.6  0-1-100
          c:3306  Down                                  -    MariaDB 10.11.6  0-1-100

          ! b:3306: applier: error 1062: Duplicate entry '7'
          ! c:3306: no answer in time
        ");
    }

    #[test]
    fn leases_and_addresses_are_shown_where_they_are_in_force() {
        let mut view = view(&cluster(["a", "b", "c"]));
        let lease = |hold, addresses: &[&str]| LeaseView {
            answers: true,
            hold,
            epoch: None,
            by_voters: false,
            guarded: true,
            addresses: addresses.iter().map(|one| one.parse().unwrap()).collect(),
            problem: None,
        };
        view.servers[0].lease = Some(lease(Hold::Good, &["10.0.0.100", "fd00::100"]));
        view.servers[1].lease = Some(LeaseView {
            problem: Some("10.0.0.101 is in use: 02:00:00:00:00:05 answers for it".into()),
            ..lease(Hold::Without, &[])
        });
        view.servers[2].lease =
            Some(LeaseView { answers: false, ..lease(Hold::Without, &["10.0.0.102"]) });
        assert_snapshot!(shown(&view), @"
        c1  healthy  epoch 1
          Healthy; a:3306 is the primary

          Server  Status            Lag  Lease         Addresses              Version          Position
          a:3306  Primary, Running  -    held          10.0.0.100, fd00::100  MariaDB 10.11.6  0-1-100
          b:3306  Replica, Running  0 s  -             -                      MariaDB 10.11.6  0-1-100
          c:3306  Replica, Running  0 s  agent silent  -                      MariaDB 10.11.6  0-1-100

          ! b:3306: 10.0.0.101 is in use: 02:00:00:00:00:05 answers for it
        ");
    }

    #[test]
    fn colours_are_only_added_to_words() {
        let coloured = render(&view(&cluster(["a", "b"])), &Look::plain());
        assert!(coloured.contains("\u{1b}[32mhealthy\u{1b}"), "{coloured}");
    }
}
