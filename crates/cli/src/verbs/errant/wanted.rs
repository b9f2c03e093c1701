//! Which transactions a person means.

use std::collections::BTreeSet;

use primacy_binlog::describe::WantedGtids;
use primacy_config::ClusterConfig;
use primacy_errant::{Chosen, States, find};
use primacy_plan::errant_of;
use primacy_types::{Address, ClusterSnapshot, MariaDbGtid, MySqlGtidSet, TransactionSet};
use primacy_wire::Session;

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::session::Asked;
use crate::verbs::binlog::login::{self, LoginAs};
use crate::verbs::with_session;

/// The cluster as it is.
pub(super) async fn seen(
    global: &Global,
    printer: &mut Printer,
    cluster: &str,
) -> Result<ClusterSnapshot, Failure> {
    with_session(global, printer, Some(cluster), Asked::Anyone, async |session, _| {
        Ok(session.service().explain(cluster).await?.snapshot)
    })
    .await
}

/// The errant transactions of the server, as `errant show` finds them; `None` if it has none.
pub(super) async fn found(
    cluster: &ClusterConfig,
    session: &mut Session,
    seen: &ClusterSnapshot,
    server: &Address,
) -> Result<Option<Chosen>, Failure> {
    let refused = |message: String| Failure::new(Exit::Refused, message);
    let named = "name the transactions with --gtids";
    let Some(primary) = &seen.primary else {
        return Err(refused("no primary is known to compare with".to_owned()).hint(named));
    };
    if primary == server {
        let message = format!("{server} is the primary: what it writes is not errant");
        return Err(refused(message).hint(named));
    }
    let Some(facts) = seen.live(server) else {
        let message = format!("what {server} has executed is not known yet");
        return Err(refused(message).hint("ask again in a moment"));
    };
    if matches!(facts.executed, TransactionSet::UpTo(_)) {
        let message = format!("the transactions of {server} have no GTIDs: none can be told apart");
        return Err(refused(message).hint("primacy binlog show --transactions shows all of them"));
    }
    let errant = errant_of(seen, primary, server);
    if errant.is_empty() {
        return Ok(None);
    }
    if !facts.version.is_mariadb() {
        let sets = errant.iter().filter_map(|text| text.parse::<MySqlGtidSet>().ok());
        let set = sets.reduce(|all, more| all.union(&more)).unwrap_or_default();
        return Ok(Some(find::of_mysql(session, &set).await?));
    }
    let last = errant.iter().filter_map(|text| text.parse::<MariaDbGtid>().ok());
    let last: Vec<MariaDbGtid> = last.collect();
    let writers: BTreeSet<(u32, u32)> = last
        .iter()
        .flat_map(|gtid| [(gtid.domain, gtid.server), (gtid.domain, facts.server_id)])
        .collect();
    let known = known_of(cluster, seen, primary).await;
    let login = login::of_cluster(cluster, LoginAs::Replication, server)?;
    Ok(Some(Box::pin(find::of_mariadb(session, &login, &writers, &known, &last)).await?))
}

/// The transactions that a person named.
pub(super) async fn named(
    cluster: &ClusterConfig,
    session: &mut Session,
    gtids: &WantedGtids,
) -> Result<Chosen, Failure> {
    let server = session.address().clone();
    let login = login::of_cluster(cluster, LoginAs::Replication, &server)?;
    Box::pin(find::named(session, &login, gtids)).await?.ok_or_else(|| {
        Failure::usage(format!("--gtids: {server} numbers its transactions otherwise"))
            .hint("UUID:1-5 is of MySQL, 0-1-100..105 of MariaDB")
    })
}

/// How far the primary knows each writer: what its binary logs ever held, and its position.
async fn known_of(cluster: &ClusterConfig, seen: &ClusterSnapshot, primary: &Address) -> States {
    let facts = seen.server(primary).and_then(|server| server.facts.as_ref());
    let position = facts.and_then(|facts| facts.executed.as_mariadb());
    let mut known = States::of(position.into_iter().flat_map(|position| position.iter()));
    // A primary that does not answer is judged by what was last seen of it.
    if let Ok(options) = login::of_cluster(cluster, LoginAs::Manager, primary)
        && let Ok(mut session) = login::connect(&options).await
    {
        if let Ok(states) = States::read(&mut session).await {
            known.add(states.iter());
        }
        session.close().await;
    }
    known
}
