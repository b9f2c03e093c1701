//! Empty transactions in the place of errant ones.
//!
//! With them every server of the cluster knows the GTIDs, so that a server that has the errant
//! transactions can be a source again: nobody asks it for what it may no longer have. The rows
//! stay where they are.

use std::time::Duration;

use primacy_api::{ApiError, ErrorKind, InjectOrder, Injection};
use primacy_plan::{Reason, diagnose, errant_of};
use primacy_probe::EmptyTransaction;
use primacy_store::Level;
use primacy_types::{Address, ClusterSnapshot, GtidMode, MySqlGtidSet, ServerFacts};
use primacy_wire::{Session, WireError};

use crate::setup::Watched;

/// No more than this: so many errant transactions are no accident, but another primary.
const MOST: u64 = 10_000;

/// After so many transactions it is looked again whether the primary still is one.
const LOOK_AGAIN: usize = 50;

/// Which transactions an order would inject, or why not.
pub(crate) async fn planned(watched: &Watched, order: &InjectOrder) -> Result<Injection, ApiError> {
    let limit = watched.cluster.policy.timing.statement_limit.as_duration();
    chosen(&watched.cluster.eyes.look(limit).await, order)
}

fn chosen(snapshot: &ClusterSnapshot, order: &InjectOrder) -> Result<Injection, ApiError> {
    let (primary, facts) = able(snapshot)?;
    if let Some(server) = &order.server
        && snapshot.live(server).is_none()
    {
        return Err(refused(
            format!("{server} does not answer, or is none of the cluster's servers"),
            "primacy status names the servers",
        ));
    }
    let asked = |server: &Address| order.server.as_ref().is_none_or(|only| only == server);
    let mut transactions = MySqlGtidSet::default();
    let mut servers = Vec::new();
    for (server, _) in snapshot.all_live().filter(|(s, _)| *s != primary && asked(s)) {
        let errant = errant_of(snapshot, primary, server);
        let read = errant.iter().filter_map(|text| text.parse::<MySqlGtidSet>().ok());
        if let Some(set) = read.reduce(|all, more| all.union(&more)).filter(|set| !set.is_empty()) {
            transactions = transactions.union(&set);
            servers.push(server.clone());
        }
    }
    if let Some(known) = facts.executed.as_mysql() {
        transactions = transactions.minus(known);
    }
    if transactions.count() > MOST {
        return Err(refused(
            format!(
                "{} errant transactions are more than {MOST}: that is no slip, somebody wrote \
                 there for a while",
                transactions.count()
            ),
            "find out who, and rebuild the server from a copy of the primary",
        ));
    }
    Ok(Injection { primary: primary.clone(), transactions, servers, done: false })
}

/// The primary, if it can take empty transactions now.
fn able(snapshot: &ClusterSnapshot) -> Result<(&Address, &ServerFacts), ApiError> {
    let diagnosis = diagnose(snapshot);
    let serving = snapshot.primary.as_ref().filter(|_| diagnosis.is_serving());
    let Some((primary, facts)) = serving.and_then(|p| Some((p, snapshot.live(p)?))) else {
        return Err(refused(
            format!("the cluster has no primary that serves now: {}", diagnosis.sentence()),
            "wait until primacy status says that one does",
        ));
    };
    if facts.version.is_mariadb() {
        return Err(refused(
            "MariaDB has no set of executed GTIDs that an empty transaction could complete: its \
             position names the last transaction of each domain, and an errant one has put the \
             server on a way of its own",
            "where its rows are known to be right, while its source answers, on that server: copy \
             its binary logs away; STOP SLAVE; RESET MASTER; START SLAVE (gtid_slave_pos still says \
             what it replicated). Else rebuild it from a copy of the primary",
        ));
    }
    if facts.gtid_mode == GtidMode::Off {
        return Err(refused(
            format!("gtid_mode of {primary} is not ON, so transactions have no GTIDs"),
            "nothing has to be done: errant transactions exist with GTIDs only",
        ));
    }
    if !facts.writable() {
        return Err(refused(format!("{primary} is read-only"), "see primacy check"));
    }
    Ok((primary, facts))
}

/// Injects what was planned.
pub(crate) async fn inject(watched: &Watched, order: &InjectOrder) -> Result<Injection, ApiError> {
    let mut injection = planned(watched, order).await?;
    let cluster = &watched.cluster;
    if injection.transactions.is_empty() {
        return Ok(injection);
    }
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let primary = &injection.primary;
    // A session of its own: a failover in the meantime must not wait for the control connection.
    let mut session = Session::connect(&cluster.links.options(primary))
        .await
        .map_err(|error| half_way(primary, 0, &injection.transactions, &error))?;
    for (n, transaction) in EmptyTransaction::of(&injection.transactions).enumerate() {
        if n % LOOK_AGAIN == 0 {
            still_the_primary(watched, primary)?;
        }
        if let Err(error) = commit(&mut session, &transaction, limit).await {
            return Err(half_way(primary, n, &injection.transactions, &error));
        }
    }
    // Only a courtesy: the session ends here.
    drop(session.execute(EmptyTransaction::AFTERWARDS, limit).await);
    let seen = cluster.eyes.look(limit).await;
    let executed = seen.live(primary).and_then(|facts| facts.executed.as_mysql());
    if !executed.is_some_and(|executed| executed.covers(&injection.transactions)) {
        let text = format!("{primary} does not say yet that it has executed them; look again");
        return Err(ApiError::new(ErrorKind::Failed, text));
    }
    let text = format!(
        "empty transactions were committed on {primary} in the place of {} errant ones: {}",
        injection.transactions.count(),
        injection.transactions
    );
    cluster.chronicle.tell(&cluster.name, None, Level::Notice, text);
    injection.done = true;
    Ok(injection)
}

async fn commit(
    session: &mut Session,
    transaction: &EmptyTransaction,
    limit: Duration,
) -> Result<(), WireError> {
    for statement in transaction.statements() {
        session.execute(&statement, limit).await?;
    }
    Ok(())
}

/// The lock is ours and nothing has moved the role.
fn still_the_primary(watched: &Watched, primary: &Address) -> Result<(), ApiError> {
    let cluster = &watched.cluster;
    cluster.lock.permits().map_err(|e| ApiError::new(ErrorKind::Busy, e.to_string()))?;
    let seen = cluster.eyes.remembered();
    let writable = seen.live(primary).is_some_and(ServerFacts::writable);
    if seen.primary.as_ref() == Some(primary) && writable {
        return Ok(());
    }
    let text = format!("{primary} is no writable primary any more; the rest was not injected");
    Err(ApiError::new(ErrorKind::Failed, text))
}

fn half_way(primary: &Address, done: usize, all: &MySqlGtidSet, error: &WireError) -> ApiError {
    let text = format!(
        "{done} of {} empty transactions were committed on {primary}, then: {error}. Once that is \
         mended the same command does the rest",
        all.count()
    );
    ApiError::new(ErrorKind::Failed, text)
}

fn refused(why: impl Into<String>, remedy: impl Into<String>) -> ApiError {
    ApiError {
        kind: ErrorKind::Refused,
        message: "empty transactions refused; nothing was touched".to_owned(),
        reasons: vec![Reason::new(why, remedy)],
    }
}

#[cfg(test)]
mod tests {
    use primacy_plan::testing::{World, addr, cluster, gtids, uuid};
    use primacy_types::{Positioning, ServerVersion};

    use super::*;

    fn mysql(errant: &str) -> World {
        let mut world = cluster(["a", "b", "c"]);
        for (id, name) in [(1, "a"), (2, "b"), (3, "c")] {
            let facts = world.facts(name);
            facts.version = ServerVersion::mysql(8, 4, 0);
            facts.server_uuid = Some(uuid(id));
            facts.executed = gtids("1:1-100");
            facts.logged = facts.executed.clone();
            facts.gtid_strict = None;
        }
        for name in ["b", "c"] {
            world.channel(name).received = Some(gtids("1:1-100"));
            world.channel(name).positioning = Positioning::AutoPosition;
            world.channel(name).source_uuid = Some(uuid(1));
        }
        world.facts("b").executed = gtids(&format!("1:1-100,{errant}"));
        world
    }

    fn why(refusal: &ApiError) -> &str {
        assert_eq!(refusal.kind, ErrorKind::Refused);
        &refusal.reasons[0].why
    }

    #[test]
    fn errant_transactions_of_all_servers_or_of_one_are_chosen() {
        let mut world = mysql("2:1-3");
        world.facts("c").executed = gtids("1:1-100,3:7");
        let all = chosen(&world.snapshot, &InjectOrder::default()).unwrap();
        assert_eq!(all.servers, [addr("b"), addr("c")]);
        assert_eq!((all.primary, all.transactions.count()), (addr("a"), 4));
        let order = InjectOrder { server: Some(addr("c")), dry_run: true };
        assert_eq!(chosen(&world.snapshot, &order).unwrap().transactions.count(), 1);
        let nobody = InjectOrder { server: Some(addr("z")), dry_run: true };
        assert!(why(&chosen(&world.snapshot, &nobody).unwrap_err()).contains("does not answer"));
    }

    #[test]
    fn too_many_are_somebody_elses_reign() {
        let most = chosen(&mysql("2:1-10000").snapshot, &InjectOrder::default());
        assert_eq!(most.unwrap().transactions.count(), MOST);
        let refusal = chosen(&mysql("2:1-10001").snapshot, &InjectOrder::default()).unwrap_err();
        assert!(why(&refusal).contains("10001 errant transactions"));
    }

    #[test]
    fn mariadb_is_refused_with_the_way_out() {
        let refusal = chosen(&cluster(["a", "b"]).snapshot, &InjectOrder::default()).unwrap_err();
        assert!(why(&refusal).starts_with("MariaDB"));
        assert!(refusal.reasons[0].remedy.contains("RESET MASTER"));
    }

    #[test]
    fn a_primary_that_does_not_serve_takes_none() {
        let mut world = mysql("2:1");
        world.facts("a").read_only = true;
        assert!(chosen(&world.snapshot, &InjectOrder::default()).is_err());
        let dead = mysql("2:1").primary_killed();
        assert!(chosen(&dead.snapshot, &InjectOrder::default()).is_err());
    }
}
