//! What servers leave out of their binary logs (`binlog_do_db`, `binlog_ignore_db`): one that logs less
//! than the others is no primary for them.

use std::collections::BTreeSet;
use std::time::Duration;

use primacy_probe::Dialect;
use primacy_types::{Address, ClusterSnapshot};
use primacy_wire::Session;

use crate::application::Application;

/// How long a server may take to say it.
const LIMIT: Duration = Duration::from_secs(5);

/// A server's lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    /// Only these databases are logged.
    only: BTreeSet<String>,
    /// These are not.
    without: BTreeSet<String>,
}

impl Logged {
    fn of(only: &str, without: &str) -> Self {
        Self { only: databases(only), without: databases(without) }
    }

    fn said(&self) -> String {
        let list = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(",");
        format!("binlog_do_db={}, binlog_ignore_db={}", list(&self.only), list(&self.without))
    }
}

fn databases(list: &str) -> BTreeSet<String> {
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Why these servers cannot take each other's place, one sentence for each reason; nothing if all of them
/// that log, log the same.
pub(crate) async fn differences(
    app: &Application,
    seen: &ClusterSnapshot,
    servers: &[Address],
) -> Vec<String> {
    let mut all = Vec::new();
    for server in servers {
        let Some(facts) = seen.live(server).filter(|facts| facts.log_bin) else { continue };
        let channel = facts.channel(&seen.policy.channel);
        let replicated = |name: &str| {
            let filters = channel.into_iter().flat_map(|channel| &channel.filters);
            let mut values = filters.filter_map(|filter| filter.strip_prefix(name));
            values.next().unwrap_or_default().to_owned()
        };
        let replicated =
            Logged::of(&replicated("Replicate_Do_DB="), &replicated("Replicate_Ignore_DB="));
        let sql = Dialect::of(facts.version).binlog_status();
        match asked(app, server, sql).await {
            Ok(logged) => all.push((app.shown(server), logged, replicated)),
            Err(why) => {
                return vec![format!("what {} logs cannot be seen: {why}", app.shown(server))];
            }
        }
    }
    compared(&all)
}

async fn asked(app: &Application, server: &Address, sql: &str) -> Result<Logged, String> {
    let options = app.connect(server).map_err(|error| error.to_string())?;
    let Some(options) = options else { return Ok(Logged::default()) };
    let mut session = Session::connect(&options).await.map_err(|error| error.to_string())?;
    let rows = session.query(sql, LIMIT).await.map_err(|error| error.to_string())?;
    session.close().await;
    Ok(rows.first().map_or_else(Logged::default, |row| {
        let list = |name| row.get(name).unwrap_or_default();
        Logged::of(list("Binlog_Do_DB"), list("Binlog_Ignore_DB"))
    }))
}

/// Each server with what it logs and what it replicates.
fn compared(all: &[(String, Logged, Logged)]) -> Vec<String> {
    let mut found = Vec::new();
    if all.windows(2).any(|pair| pair[0].1 != pair[1].1) {
        let each = all.iter().map(|(name, logged, _)| format!("{name}: {}", logged.said()));
        let each: Vec<String> = each.collect();
        found.push(format!("binary log filters are not the same everywhere: {}", each.join("; ")));
    }
    for (name, logged, replicated) in all {
        let differ =
            |a: &BTreeSet<String>, b: &BTreeSet<String>| !a.is_empty() && !b.is_empty() && a != b;
        if differ(&logged.only, &replicated.only) || differ(&logged.without, &replicated.without) {
            found.push(format!(
                "{name} logs other databases than it replicates: {}, while it replicates by \
                 {}",
                logged.said(),
                replicated.said().replace("binlog_", "replicate_")
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(
        name: &str,
        logged: (&str, &str),
        replicated: (&str, &str),
    ) -> (String, Logged, Logged) {
        let of = |(only, without): (&str, &str)| Logged::of(only, without);
        (name.to_owned(), of(logged), of(replicated))
    }

    #[test]
    fn servers_that_log_the_same_are_fine_in_whatever_order_they_say_it() {
        let all = [
            server("a", ("x,y", "z"), ("", "")),
            server("b", ("y,x", "z"), ("", "")),
            server("c", ("x,y", "z"), ("x,y", "")),
        ];
        assert_eq!(compared(&all), Vec::<String>::new());
        assert_eq!(compared(&[]), Vec::<String>::new());
    }

    #[test]
    fn one_that_logs_something_else_is_named_also_if_the_first_one_logs_everything() {
        for (only, without) in [("x", ""), ("", "x")] {
            let all = [server("a", ("", ""), ("", "")), server("b", (only, without), ("", ""))];
            let found = compared(&all);
            assert!(found.len() == 1 && found[0].contains("not the same"), "{found:?}");
        }
    }

    #[test]
    fn a_server_logs_what_it_replicates() {
        let all = [server("a", ("x", ""), ("y", "")), server("b", ("x", ""), ("", "y"))];
        let found = compared(&all);
        assert!(found.len() == 1 && found[0].starts_with("a logs other"), "{found:?}");
        let all = [server("a", ("", "x"), ("", "x,y"))];
        assert_eq!(compared(&all).len(), 1);
    }
}
