//! `primacy rejoin`: a person wants a server back.

use primacy_api::{ApiError, ErrorKind, RebuildView, RejoinOrder, Rejoining};
use primacy_exec::{Judged, Rejoined, StepError, judge};
use primacy_plan::{Reason, is_fed_by};
use primacy_types::{Address, ClusterSnapshot};

use crate::setup::Watched;

/// The primary that the server could follow, or why the order is refused.
pub(crate) fn primary_for(
    snapshot: &ClusterSnapshot,
    order: &RejoinOrder,
) -> Result<Address, ApiError> {
    let server = &order.server;
    if !snapshot.servers.contains_key(server) {
        let known: Vec<_> = snapshot.servers.keys().map(ToString::to_string).collect();
        return Err(refused(
            format!("{server} is none of the cluster's servers: {}", known.join(", ")),
            "a new server comes with `primacy add-replica`",
        ));
    }
    let Some(primary) = &snapshot.primary else {
        return Err(refused("no primary is known".to_owned(), "see `primacy explain`"));
    };
    if primary == server {
        return Err(refused(
            format!("{server} is the primary"),
            "`primacy switchover` gives the role to another one first",
        ));
    }
    if snapshot.live(primary).is_none() {
        return Err(refused(
            format!("the primary {primary} does not answer"),
            "wait until `primacy status` says that one serves",
        ));
    }
    if snapshot.live(server).is_none() {
        return Err(refused(format!("{server} does not answer"), "start it first"));
    }
    Ok(primary.clone())
}

/// The data of a server is brought into its place by the rebuild that made it, and by nothing else.
pub(crate) fn not_being_rebuilt(
    watched: &Watched,
    rebuilds: &[RebuildView],
    server: &Address,
) -> Result<(), ApiError> {
    let under_way = |view: &RebuildView| view.outcome.is_none() && view.server == *server;
    if rebuilds.iter().any(under_way) {
        let remedy = "wait for its end (`primacy history`), or end it: `primacy rebuild --cancel`";
        return Err(refused(format!("{server} gets new data in a rebuild now"), remedy));
    }
    if watched.observatory.record().rebuilt.contains(server) {
        return Err(refused(
            format!(
                "{server} is being restarted, or a rebuild of it failed half way and where its data \
                 stands is not known"
            ),
            "wait for the restart (`primacy history`), or `primacy rebuild` it again",
        ));
    }
    Ok(())
}

/// What would be done.
pub(crate) async fn planned(watched: &Watched, order: &RejoinOrder) -> Result<Rejoining, ApiError> {
    let cluster = &watched.cluster;
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let snapshot = cluster.eyes.look(limit).await;
    let primary = primary_for(&snapshot, order)?;
    let server = order.server.clone();
    if is_fed_by(&snapshot, &server, &primary) {
        let sentence = format!("{server} replicates from {primary} already");
        let absence = snapshot.absent.get(&server).cloned();
        let operation = None;
        return Ok(Rejoining {
            server,
            primary,
            operation,
            done: true,
            able: true,
            absence,
            sentence,
        });
    }
    let judged =
        judge(cluster, &snapshot, &server, &primary).await.map_err(|error| failed(&error))?;
    let (able, sentence) = match judged {
        Judged::Able { may_lack_its_own: false } => {
            (true, format!("{server} can follow {primary}: the primary has all that it has"))
        }
        Judged::Able { may_lack_its_own: true } => (
            true,
            format!(
                "{server} can follow {primary}; it lost what it had written itself, and gets it \
                 back under another server_id"
            ),
        ),
        Judged::Errant(which) => (
            false,
            format!("{server} has {which}, which the primary has not; they would be saved first"),
        ),
        Judged::Unable(why) => (false, format!("{server} cannot follow {primary}: {why}")),
    };
    let absence = snapshot.absent.get(&server).cloned();
    Ok(Rejoining { server, primary, operation: None, done: false, able, absence, sentence })
}

/// What was done, as a command wants it.
pub(crate) fn answer(
    order: &RejoinOrder,
    primary: Address,
    done: Result<Rejoined, StepError>,
) -> Result<Rejoining, ApiError> {
    let Rejoined { operation, absence, sentence } = done.map_err(|error| failed(&error))?;
    let home = absence.as_ref().is_none_or(|absence| !absence.needs_a_person());
    Ok(Rejoining {
        server: order.server.clone(),
        primary,
        operation: operation.map(|id| id.to_string()),
        done: home,
        able: home,
        absence,
        sentence,
    })
}

fn failed(error: &StepError) -> ApiError {
    let kind = match error {
        StepError::Lock(_) => ErrorKind::Busy,
        _ => ErrorKind::Failed,
    };
    ApiError::new(kind, error.to_string())
}

fn refused(why: String, remedy: &str) -> ApiError {
    ApiError {
        kind: ErrorKind::Refused,
        message: "rejoin refused; nothing was touched".to_owned(),
        reasons: vec![Reason::new(why, remedy)],
    }
}
