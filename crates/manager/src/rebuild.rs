//! Rebuilds: long work beside a cluster's operations. A rebuild takes no operation's place and keeps
//! none waiting: it touches nothing but the server that gets new data, which is not promoted from the
//! moment on at which its data is about to change.

mod copy;
mod live;
mod mark;
mod problem;
mod run;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use primacy_agent_api::{CopyTools, OfServer, paths};
use primacy_api::{ApiError, ErrorKind, RebuildAnswer, RebuildOrder, RebuildView};
use primacy_plan::{CopyMethod, RebuildPlan, RebuildRefusal, RebuildRequest, plan_rebuild};
use primacy_store::{Level, OperationRecord, Outcome};
use primacy_types::{Address, ClusterSnapshot, Millis};

use self::copy::ASK;
use self::live::Live;
pub(crate) use self::mark::unjoined;
use self::run::Run;
use crate::service::from_store;
use crate::setup::Watched;
use crate::supervisor::Handle;

/// The kind in the history.
const KIND: &str = "rebuild";
/// A donor is not further behind than this if nobody says.
const MAX_LAG: Millis = Millis::from_secs(60);
/// How long the end of a rebuild is waited for when its cluster is watched no more.
const FINISH: Duration = Duration::from_secs(20);

/// The rebuilds of a manager.
#[derive(Default)]
pub(crate) struct Rebuilds {
    all: Mutex<BTreeMap<(String, Address), Arc<Live>>>,
}

impl Rebuilds {
    fn all(&self) -> MutexGuard<'_, BTreeMap<(String, Address), Arc<Live>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of a cluster, as they stand.
    pub(crate) fn views(&self, cluster: &str) -> Vec<RebuildView> {
        let all = self.all();
        let of = all.iter().filter(|((name, _), _)| name == cluster);
        of.map(|(_, live)| live.view()).collect()
    }

    /// Servers that give or get data now.
    fn busy(&self, cluster: &str) -> BTreeSet<Address> {
        let views = self.views(cluster).into_iter().filter(|view| view.outcome.is_none());
        views.flat_map(|view| [view.server, view.donor]).collect()
    }

    /// Plans a rebuild and begins it.
    pub(crate) async fn begin(
        &self,
        watched: &Arc<Watched>,
        handle: &Handle,
        order: &RebuildOrder,
    ) -> Result<RebuildAnswer, ApiError> {
        let cluster = &watched.cluster;
        if let Err(error) = cluster.lock.permits() {
            return Err(ApiError::new(ErrorKind::Busy, error.to_string()));
        }
        let snapshot = fresh(watched).await;
        let plan = planned(watched, &snapshot, order, &self.busy(&cluster.name)).await?;
        let (name, page, at) = (cluster.name.clone(), page(&plan), cluster.clock.wall());
        let begun = from_store(&cluster.store, move |store| {
            let id = store.begin_beside(&name, KIND, &page, at)?;
            store.operation(id.as_str())
        });
        let record = begun.await?;
        let id = record.id.to_string();
        let what = format!(
            "rebuild of {} from {} begins ({})",
            plan.request.server,
            plan.donor,
            plan.method.word()
        );
        cluster.chronicle.tell(&cluster.name, Some(&record.id), Level::Notice, what);
        for note in &plan.notes {
            cluster.chronicle.tell(&cluster.name, Some(&record.id), Level::Notice, note.clone());
        }
        self.start(watched, handle, plan.clone(), &record, false);
        Ok(RebuildAnswer::Begun { operation: id, plan: Box::new(plan) })
    }

    fn start(
        &self,
        watched: &Arc<Watched>,
        handle: &Handle,
        plan: RebuildPlan,
        record: &OperationRecord,
        resumed: bool,
    ) {
        let live = Arc::new(Live::new(&plan, record));
        let key = (watched.cluster.name.clone(), plan.request.server.clone());
        let run = Run {
            watched: Arc::clone(watched),
            handle: handle.clone(),
            live: Arc::clone(&live),
            plan,
            id: record.id.clone(),
        };
        let task = tokio::spawn(Box::pin(run.through(resumed)));
        live.set_task(task);
        self.all().insert(key, live);
    }

    /// Goes on with what a restart of the manager interrupted: a server with new data is brought to
    /// replicate; a copy that is not in place yet is given up.
    pub(crate) fn go_on(&self, watched: &Arc<Watched>, handle: &Handle) {
        let cluster = &watched.cluster;
        let Ok(records) = cluster.store.unfinished_beside(&cluster.name, KIND) else { return };
        for record in records {
            match serde_json::from_value::<RebuildPlan>(record.plan.clone()) {
                Ok(plan) => self.start(watched, handle, plan, &record, true),
                Err(error) => {
                    let sentence = format!("its plan cannot be read by this version: {error}");
                    let now = cluster.clock.wall();
                    drop(cluster.store.finish(&record.id, Outcome::Failed, &sentence, now));
                }
            }
        }
    }

    /// Ends a rebuild before its data is put in place.
    pub(crate) async fn cancel(
        &self,
        cluster: &str,
        server: &Address,
    ) -> Result<RebuildView, ApiError> {
        let live = self.all().get(&(cluster.to_owned(), server.clone())).cloned();
        let Some(live) = live.filter(|live| live.view().outcome.is_none()) else {
            let text = format!("no rebuild of {server} is under way");
            return Err(ApiError::new(ErrorKind::NotFound, text));
        };
        if !live.cancel() {
            let text = format!(
                "the data of {server} is being put in place, or is: the rebuild is finished, or put \
                 back by itself"
            );
            return Err(ApiError::new(ErrorKind::Refused, text));
        }
        live.ended(FINISH).await;
        Ok(live.view())
    }

    /// The cluster is watched no more, or anew: its rebuilds end, and are gone on with by whoever
    /// watches it next.
    pub(crate) async fn stop(&self, cluster: &str) {
        let of: Vec<_> = {
            let all = self.all();
            let of = all.iter().filter(|((name, _), _)| name == cluster);
            of.map(|(_, live)| Arc::clone(live)).collect()
        };
        for live in of {
            live.stop().await;
        }
    }
}

/// What would be done.
pub(crate) async fn dry_run(
    watched: &Watched,
    order: &RebuildOrder,
) -> Result<RebuildAnswer, ApiError> {
    let plan = planned(watched, &fresh(watched).await, order, &BTreeSet::new()).await?;
    Ok(RebuildAnswer::Plan { steps: plan.steps(), plan: Box::new(plan) })
}

async fn fresh(watched: &Watched) -> ClusterSnapshot {
    let limit = watched.cluster.policy.timing.statement_limit.as_duration();
    watched.cluster.eyes.look(limit).await
}

/// Plans it, and plans it anew if the hosts lack what the first plan takes.
async fn planned(
    watched: &Watched,
    snapshot: &ClusterSnapshot,
    order: &RebuildOrder,
    busy: &BTreeSet<Address>,
) -> Result<RebuildPlan, ApiError> {
    let mut request = RebuildRequest {
        server: order.server.clone(),
        from: order.from.clone(),
        rate: order.rate,
        max_lag: order.max_lag.unwrap_or(MAX_LAG),
        remove_old: order.remove_old,
        method: order.method,
        no_physical: None,
    };
    let plan = |request: &RebuildRequest| {
        plan_rebuild(snapshot, request, busy).map_err(|RebuildRefusal { reasons }| ApiError {
            kind: ErrorKind::Refused,
            message: "rebuild refused; nothing was touched".to_owned(),
            reasons,
        })
    };
    let first = plan(&request)?;
    if first.method == CopyMethod::Backup {
        for server in [&first.donor, &first.request.server] {
            if let Some(lacks) = no_backup(watched, server).await {
                request.no_physical = Some(format!("{server}: {lacks}"));
                return plan(&request);
            }
        }
    }
    Ok(first)
}

/// Why mariadb-backup cannot be used on the host of a server, if its agent says so.
async fn no_backup(watched: &Watched, server: &Address) -> Option<String> {
    let agent = watched.agents.get(server)?;
    let order = OfServer { server: server.clone(), limit: Millis::from(ASK) };
    match agent.ask::<CopyTools>(paths::COPY_TOOLS, &order, ASK).await {
        Ok(tools) => tools.no_backup,
        // An older agent, or one that is not reached: the rebuild itself finds out.
        Err(error) => {
            tracing::debug!(%server, %error, "its tools are not known");
            None
        }
    }
}

fn page(plan: &RebuildPlan) -> serde_json::Value {
    serde_json::to_value(plan).unwrap_or_default()
}
