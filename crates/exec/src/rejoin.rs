//! A server that is back becomes a replica again, or is left alone with its transactions on file.
//!
//! This goes on beside the cluster's operations: a failover never waits for it, and ends it where
//! it stands. So every part of it can be begun again.

mod absence;
mod history;
mod keep;
mod own_past;
mod undo;

use primacy_hooks::HookEvent;
use primacy_plan::rejoin::Standing;
use primacy_store::{Level, OperationId, Outcome};
use primacy_types::{
    Absence, AbsenceState, Address, ClusterSnapshot, GtidMode, Millis, OnErrant, TransactionSet,
};
use serde_json::json;

use crate::error::StepError;
use crate::journal::blocking;
use crate::shared::{Pair, of_earlier};
use crate::steps::{self, Course, point};
use crate::{Cluster, look};

pub use absence::{absences, mark_replaced};
pub use keep::{Kept, folder_of};
pub use own_past::finish_relearning;

/// The kind of these operations in the history.
pub const REJOIN: &str = "rejoin";

/// What became of a server that is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejoined {
    /// The operation in the history; `None` if there was nothing to do.
    pub operation: Option<OperationId>,
    /// It is not in its place yet, or left alone; `None` if it replicates.
    pub absence: Option<Absence>,
    /// The same as a sentence.
    pub sentence: String,
}

/// What a look at a returned server showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It can follow.
    Able {
        /// It may lack what it wrote itself.
        may_lack_its_own: bool,
    },
    /// It has these, and the primary has not.
    Errant(String),
    /// It cannot follow.
    Unable(String),
}

/// Looks whether a server that is back could follow the primary; nothing is changed.
///
/// # Errors
/// If one of the two cannot be asked.
pub async fn judge(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Result<Judged, StepError> {
    let mut case = Case::new(cluster, snapshot, server, primary).await?;
    Ok(match case.verdict().await? {
        Verdict::Able { may_lack_its_own } => Judged::Able { may_lack_its_own },
        Verdict::Errant(found) => Judged::Errant(found.said),
        Verdict::Unable(why) => Judged::Unable(why),
    })
}

/// Who wants a server back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Policy: what was tried in vain is not tried again while nothing has changed.
    ByPolicy,
    /// A person, who may have changed something that is not seen here (a privilege, a table).
    ByPerson,
}

/// Makes a server that is back a replica of the primary. What it has and the primary has not is
/// saved first, and then dealt with as `on_errant` says.
///
/// # Errors
/// Why it stays as it is; it is tried again.
pub async fn rejoin(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
    on_errant: OnErrant,
    asked: Asked,
) -> Result<Rejoined, StepError> {
    cluster.lock.permits()?;
    if snapshot.live(server).is_some_and(|facts| facts.writable()) {
        steps::close_by_sql(cluster, server).await?;
    }
    let mut case = Case::new(cluster, snapshot, server, primary).await?;
    case.finish_rewind().await?;
    let verdict = case.verdict().await?;
    if let Some(known) = case.is_known(&verdict, on_errant, asked) {
        return Ok(known);
    }
    let id = case.begin().await?;
    let done = case.settle(verdict, on_errant, &id).await;
    case.end(&id, &done).await?;
    let (absence, sentence) = done?;
    Ok(Rejoined { operation: Some(id), absence, sentence })
}

/// One server that is back.
struct Case<'a> {
    cluster: &'a Cluster,
    snapshot: &'a ClusterSnapshot,
    server: &'a Address,
    primary: &'a Address,
    limit: Millis,
    /// Without GTID: where the primary's log continues that of this server.
    pair: Option<Pair>,
    by_place: bool,
}

/// What is to be done with it.
enum Verdict {
    Able { may_lack_its_own: bool },
    Errant(keep::Found),
    Unable(String),
}

impl<'a> Case<'a> {
    async fn new(
        cluster: &'a Cluster,
        snapshot: &'a ClusterSnapshot,
        server: &'a Address,
        primary: &'a Address,
    ) -> Result<Self, StepError> {
        let pair = of_earlier(cluster, server, primary).await?.and_then(|shared| shared.pair());
        let without_gtid = |facts: &primacy_types::ServerFacts| facts.gtid_mode == GtidMode::Off;
        let by_place = pair.is_some() || snapshot.live(primary).is_some_and(without_gtid);
        let limit = cluster.policy.timing.statement_limit;
        Ok(Self { cluster, snapshot, server, primary, limit, pair, by_place })
    }

    async fn verdict(&mut self) -> Result<Verdict, StepError> {
        if self.by_place {
            return self.verdict_by_place().await;
        }
        let seen = history::read(self.cluster, self.snapshot, self.server, self.primary).await?;
        Ok(match primacy_plan::rejoin::standing(&seen) {
            Standing::Behind { may_lack_its_own } => Verdict::Able { may_lack_its_own },
            Standing::Ahead(beyond) => {
                match keep::find(self.cluster, self.server, &seen, &beyond).await? {
                    Some(found) => Verdict::Errant(found),
                    None => Verdict::Able { may_lack_its_own: false },
                }
            }
            Standing::TooOld { lacking } => Verdict::Unable(format!(
                "{} no longer has {lacking}, which it lacks (purged): `primacy rebuild {}`",
                self.primary, self.server
            )),
            Standing::Unlike => Verdict::Unable(format!(
                "it numbers its transactions otherwise than {}",
                self.primary
            )),
        })
    }

    /// Without GTID only the operation that replaced it knows where its successor went on.
    async fn verdict_by_place(&mut self) -> Result<Verdict, StepError> {
        let Some(pair) = &self.pair else {
            return Ok(Verdict::Unable(format!(
                "it is not on record which place in the binary log of {} continues its own: \
                 `primacy rebuild {}`",
                self.primary, self.server
            )));
        };
        let found = keep::find_after(self.cluster, self.server, &pair.end).await;
        Ok(match found {
            Ok(Some(found)) => Verdict::Errant(found),
            Ok(None) => Verdict::Able { may_lack_its_own: false },
            Err(StepError::Impossible { why, .. }) => Verdict::Unable(format!(
                "its binary log does not go as far as {}, where {} went on ({why}): it lost what \
                 it had written; `primacy rebuild {}`",
                pair.end, self.primary, self.server
            )),
            Err(error) => return Err(error),
        })
    }

    /// A server whose errant transactions are saved already, or that is no better than it was, is
    /// not told of again.
    fn is_known(&self, verdict: &Verdict, on_errant: OnErrant, asked: Asked) -> Option<Rejoined> {
        let absence = self.snapshot.absent.get(self.server)?;
        let same = match (&absence.state, verdict) {
            (
                AbsenceState::Quarantined { errant, files, kept_because, .. },
                Verdict::Errant(found),
            ) => {
                *errant == found.said
                    && files.iter().all(|file| std::path::Path::new(file).exists())
                    // A rewind that was refused stays so; one that was not asked for was not tried.
                    && match on_errant {
                        OnErrant::Quarantine => true,
                        _ => kept_because.is_some() && asked == Asked::ByPolicy,
                    }
            }
            (AbsenceState::Unable { why }, Verdict::Unable(now)) => why == now,
            _ => false,
        };
        same.then(|| Rejoined {
            operation: None,
            absence: Some(absence.clone()),
            sentence: format!("{} {}", self.server, absence.state),
        })
    }

    async fn begin(&self) -> Result<OperationId, StepError> {
        let (store, name, now) =
            (self.cluster.store.clone(), self.cluster.name.clone(), self.cluster.clock.wall());
        let plan = json!({ "server": self.server, "primary": self.primary });
        let id = blocking(move || store.begin_beside(&name, REJOIN, &plan, now)).await?;
        self.tell(&id, Level::Notice, format!("{} is back", self.server));
        Ok(id)
    }

    async fn settle(
        &mut self,
        verdict: Verdict,
        on_errant: OnErrant,
        id: &OperationId,
    ) -> Result<(Option<Absence>, String), StepError> {
        let state = match verdict {
            Verdict::Able { may_lack_its_own } => {
                return self.follow(may_lack_its_own, id).await;
            }
            Verdict::Unable(why) => AbsenceState::Unable { why },
            Verdict::Errant(found) => {
                let kept = keep::save(self.cluster, self.server, &found).await?;
                self.tell(id, Level::Warning, format!("{} {}", self.server, kept.said()));
                let kept_because = match on_errant {
                    OnErrant::Quarantine => None,
                    OnErrant::Rewind => match Box::pin(self.rewind(&found, &kept, id)).await? {
                        None => return self.follow(false, id).await,
                        Some(reasons) => Some(reasons),
                    },
                    // Whoever asked begins it: it takes long, and goes on beside everything else.
                    OnErrant::Rebuild => Some("its data is to be replaced".to_owned()),
                };
                AbsenceState::Quarantined {
                    errant: found.said,
                    transactions: kept.transactions,
                    files: kept.files(),
                    unsaved: kept.unsaved,
                    kept_because,
                }
            }
        };
        let absence = self.left(state).await?;
        let sentence = format!("{} {}", self.server, absence.state);
        Ok((Some(absence), sentence))
    }

    /// Puts on record that the server is not in its place.
    async fn left(&self, state: AbsenceState) -> Result<Absence, StepError> {
        let before = self.snapshot.absent.get(self.server).map(|absence| absence.since);
        let since = before.unwrap_or_else(|| self.cluster.clock.wall());
        let absence = Absence { since, state };
        absence::set(self.cluster, self.server, &absence).await?;
        Ok(absence)
    }

    async fn follow(
        &mut self,
        may_lack_its_own: bool,
        id: &OperationId,
    ) -> Result<(Option<Absence>, String), StepError> {
        self.ask_hooks(id).await?;
        let (cluster, server, primary) = (self.cluster, self.server, self.primary);
        steps::silence_events(cluster, server, self.limit).await?;
        let mut absence = None;
        if may_lack_its_own {
            let state =
                own_past::forget_its_number(cluster, self.snapshot, server, primary).await?;
            absence = Some(self.left(state).await?);
        }
        let course = match self.pair.take() {
            Some(pair) => Course::at(pair.start),
            None => Course::default(),
        };
        point(cluster, server, primary, cluster.policy.timing.repoint_limit, &course).await?;
        if absence.is_none() {
            absence::end(cluster, server).await?;
        }
        let mut sentence = format!("{server} replicates from {primary}");
        if let Some(absence) = &absence {
            sentence.push_str(&format!("; it {}", absence.state));
        }
        Ok((absence, sentence))
    }

    /// Programs that are asked before a server becomes a replica.
    async fn ask_hooks(&self, id: &OperationId) -> Result<(), StepError> {
        let (hooks, server, primary) = (&self.cluster.hooks, self.server, self.primary);
        let reason = format!("{server} is back and is to replicate from {primary}");
        let mut notice = hooks.notice(HookEvent::BeforeRejoin, reason);
        notice.operation = Some(id.to_string());
        notice.new_primary = Some(primary.clone());
        notice.details = json!({ "server": server });
        hooks.before(id, notice).await.map(drop).map_err(|failure| {
            let why = format!("hook {}: {}", failure.event, failure.outcome);
            StepError::impossible(server, why)
        })
    }

    async fn end(
        &self,
        id: &OperationId,
        done: &Result<(Option<Absence>, String), StepError>,
    ) -> Result<(), StepError> {
        let (outcome, sentence) = match done {
            Ok((None, sentence)) => (Outcome::Done, sentence.clone()),
            Ok((Some(absence), sentence)) if !absence.needs_a_person() => {
                (Outcome::Done, sentence.clone())
            }
            Ok((Some(_), sentence)) => (Outcome::Failed, sentence.clone()),
            Err(error) => (Outcome::Failed, error.to_string()),
        };
        let level = if outcome == Outcome::Done { Level::Notice } else { Level::Alarm };
        self.tell(id, level, sentence.clone());
        let mut notice = self.cluster.hooks.notice(HookEvent::AfterRejoin, sentence.clone());
        notice.operation = Some(id.to_string());
        notice.new_primary = Some(self.primary.clone());
        notice.details = json!({ "server": self.server, "outcome": outcome });
        self.cluster.hooks.tell(id, notice);
        let (store, id, now) = (self.cluster.store.clone(), id.clone(), self.cluster.clock.wall());
        blocking(move || store.finish(&id, outcome, &sentence, now)).await?;
        Ok(())
    }

    fn tell(&self, id: &OperationId, level: Level, text: String) {
        self.cluster.chronicle.tell(&self.cluster.name, Some(id), level, text);
    }
}

/// Everything that the server has now.
async fn executed(
    cluster: &Cluster,
    server: &Address,
    limit: Millis,
) -> Result<TransactionSet, StepError> {
    let at = || StepError::at(server, "asking what it has");
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at())?;
    look::executed(&mut link, limit).await.map_err(at())
}
