//! `primacy list`: the tables that MaxScale's users know.

use primacy_api::{ClusterView, ServerView};

use super::status::broken;
use super::table::bordered;
use crate::look::Look;

/// One line for each server. The first column is what `--to` takes.
pub(crate) fn servers(views: &[ClusterView], look: &Look) -> String {
    if let [view] = views {
        let header = ["Server", "Address", "Port", "Connections", "Status", "Lag", "GTID"];
        return bordered(look, header, view.servers.iter().map(row).collect());
    }
    let header = ["Cluster", "Server", "Address", "Port", "Connections", "Status", "Lag", "GTID"];
    let of = |view: &ClusterView, server: &ServerView| {
        let [server, address, port, connections, status, lag, gtid] = row(server);
        [view.name.clone(), server, address, port, connections, status, lag, gtid]
    };
    let rows = views.iter().flat_map(|view| view.servers.iter().map(move |s| of(view, s)));
    bordered(look, header, rows.collect())
}

fn row(server: &ServerView) -> [String; 7] {
    let known = |value: Option<String>| value.unwrap_or_default();
    [
        server.address.to_string(),
        server.address.host().to_owned(),
        server.address.port().to_string(),
        known(server.connections.map(|n| n.to_string())),
        server.status.clone(),
        known(server.lag_seconds.map(|lag| format!("{lag} s"))),
        known(server.position.as_deref().map(broken)),
    ]
}

/// One line for each cluster.
pub(crate) fn clusters(views: &[ClusterView], look: &Look) -> String {
    let header = ["Cluster", "Health", "Primary", "Epoch", "Servers up", "Automatic", "Under way"];
    let rows = views.iter().map(|view| {
        let up = view.servers.iter().filter(|s| s.writable.is_some()).count();
        [
            view.name.clone(),
            view.health.clone(),
            view.primary.as_ref().map(ToString::to_string).unwrap_or_default(),
            view.epoch.to_string(),
            format!("{up} of {}", view.servers.len()),
            if view.paused { "paused" } else { "on" }.to_owned(),
            view.operation.as_ref().map(|o| o.kind.clone()).unwrap_or_default(),
        ]
    });
    bordered(look, header, rows.collect())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_plan::testing::cluster;
    use primacy_types::{ServerVersion, TransactionSet};

    use super::*;
    use crate::look::Charset;
    use crate::render::testing::{operation, view};

    #[test]
    fn servers_of_one_cluster() {
        let views = [view(&cluster(["a", "b", "c"]).primary_killed())];
        assert_snapshot!(servers(&views, &Look::plain()), @"
        ┌────────┬─────────┬──────┬─────────────┬──────────────────────────────────────┬─────┬─────────┐
        │ Server │ Address │ Port │ Connections │ Status                               │ Lag │ GTID    │
        ├────────┼─────────┼──────┼─────────────┼──────────────────────────────────────┼─────┼─────────┤
        │ a:3306 │ a       │ 3306 │             │ Down                                 │     │ 0-1-100 │
        │ b:3306 │ b       │ 3306 │ 3           │ Replica, Replication Broken, Running │     │ 0-1-100 │
        │ c:3306 │ c       │ 3306 │ 3           │ Replica, Replication Broken, Running │     │ 0-1-100 │
        └────────┴─────────┴──────┴─────────────┴──────────────────────────────────────┴─────┴─────────┘
        ");
    }

    #[test]
    fn servers_of_several_clusters_without_unicode() {
        let mut other = view(&cluster(["x", "y"]));
        other.name = "c2".into();
        let look = Look { charset: Charset::Ascii, ..Look::plain() };
        assert_snapshot!(servers(&[view(&cluster(["a", "b"])), other], &look), @"
        +---------+--------+---------+------+-------------+------------------+-----+---------+
        | Cluster | Server | Address | Port | Connections | Status           | Lag | GTID    |
        +---------+--------+---------+------+-------------+------------------+-----+---------+
        | c1      | a:3306 | a       | 3306 | 3           | Primary, Running |     | 0-1-100 |
        | c1      | b:3306 | b       | 3306 | 3           | Replica, Running | 0 s | 0-1-100 |
        | c2      | x:3306 | x       | 3306 | 3           | Primary, Running |     | 0-1-100 |
        | c2      | y:3306 | y       | 3306 | 3           | Replica, Running | 0 s | 0-1-100 |
        +---------+--------+---------+------+-------------+------------------+-----+---------+
        ");
    }

    #[test]
    fn mysql_positions_take_a_line_for_each_source() {
        let mut world = cluster(["a"]);
        world.facts("a").version = ServerVersion::mysql(9, 7, 0);
        let text = "11111111-1111-1111-1111-111111111111:1-100,\
                    22222222-2222-2222-2222-222222222222:1-3";
        world.facts("a").executed = TransactionSet::MySql(text.parse().unwrap());
        assert_snapshot!(servers(&[view(&world)], &Look::plain()), @"
        ┌────────┬─────────┬──────┬─────────────┬──────────────────┬─────┬─────────────────────────────────────────────┐
        │ Server │ Address │ Port │ Connections │ Status           │ Lag │ GTID                                        │
        ├────────┼─────────┼──────┼─────────────┼──────────────────┼─────┼─────────────────────────────────────────────┤
        │ a:3306 │ a       │ 3306 │ 3           │ Primary, Running │     │ 11111111-1111-1111-1111-111111111111:1-100, │
        │        │         │      │             │                  │     │ 22222222-2222-2222-2222-222222222222:1-3    │
        └────────┴─────────┴──────┴─────────────┴──────────────────┴─────┴─────────────────────────────────────────────┘
        ");
    }

    #[test]
    fn all_clusters() {
        let mut dead = view(&cluster(["x", "y"]).primary_killed());
        dead.name = "c2".into();
        dead.operation = Some(operation());
        let mut paused = view(&cluster(["a", "b"]));
        paused.paused = true;
        assert_snapshot!(clusters(&[paused, dead], &Look::plain()), @"
        ┌─────────┬──────────────┬─────────┬───────┬────────────┬───────────┬───────────┐
        │ Cluster │ Health       │ Primary │ Epoch │ Servers up │ Automatic │ Under way │
        ├─────────┼──────────────┼─────────┼───────┼────────────┼───────────┼───────────┤
        │ c1      │ healthy      │ a:3306  │ 1     │ 2 of 2     │ paused    │           │
        │ c2      │ primary-dead │ x:3306  │ 1     │ 1 of 2     │ on        │ failover  │
        └─────────┴──────────────┴─────────┴───────┴────────────┴───────────┴───────────┘
        ");
    }
}
