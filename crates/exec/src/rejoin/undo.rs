//! Undoing what a returned server alone has, where that is proved to be right.

use std::path::Path;
use std::time::Duration;

use primacy_binlog::Reader;
use primacy_binlog::describe::WantedGtids;
use primacy_binlog::undo::{Undo, UndoLimits, undo};
use primacy_store::{Level, OperationId};
use primacy_types::{AbsenceState, BinlogPosition, TransactionSet};

use tokio::time::Instant;

use super::keep::{Found, Kept, Which};
use super::{Case, executed};
use crate::error::StepError;
use crate::links::Link;
use crate::rewind::{Rewind, RewindError, prove, rewind, statement_limit};
use crate::steps::POLL;

/// Limit of the whole of it: as many rows as people write in the minutes of a split brain.
const LIMIT: Duration = Duration::from_secs(600);

/// How long a session that read the binary log may take to end.
const ALONE: Duration = Duration::from_secs(5);

impl Case<'_> {
    /// Undoes them; what comes back is why they are kept, if they are.
    pub(super) async fn rewind(
        &self,
        found: &Found,
        kept: &Kept,
        id: &OperationId,
    ) -> Result<Option<String>, StepError> {
        if let Some(unsaved) = &kept.unsaved {
            return Ok(Some(format!("{unsaved} could not be saved")));
        }
        let (Some(file), Some(from)) = (&kept.binlog, &kept.from) else {
            return Ok(Some("none of them could be saved".to_owned()));
        };
        let without = match self.without(found, from).await? {
            Ok(without) => without,
            Err(why) => return Ok(Some(why)),
        };
        let mut link = self.link().await?;
        let undo = match self.turned_round(&mut link, file).await? {
            Ok(undo) => undo,
            Err(why) => return Ok(Some(why)),
        };
        let plan = Rewind {
            undo: &undo,
            from: from.clone(),
            kept: without.clone(),
            manager_user: &self.cluster.manager_user,
        };
        match proved(&mut link, &plan).await {
            Ok(without_key) if without_key.is_empty() => {}
            Ok(without_key) => self.tell(
                id,
                Level::Info,
                format!("rows of {} are found by all of their values", without_key.join(", ")),
            ),
            Err(RewindError::Refused { reasons, .. }) => return Ok(Some(reasons.join("; "))),
            Err(error @ (RewindError::Privileges { .. } | RewindError::HalfDone { .. })) => {
                return Ok(Some(error.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
        // From here on its history may say less than it has: that is on record first.
        self.left(AbsenceState::Rewinding {
            errant: found.said.clone(),
            file: file.display().to_string(),
            from: from.clone(),
            kept: without,
        })
        .await?;
        let done = rewind(link, &plan, LIMIT).await;
        let done = match done {
            Ok(done) => done,
            // Nothing was changed: it is as if it had not been begun.
            Err(error @ (RewindError::Refused { .. } | RewindError::NotApplied { .. })) => {
                self.left(AbsenceState::Replaced).await?;
                return Ok(Some(error.to_string()));
            }
            // What was begun stays on record: nobody undoes these transactions twice.
            Err(error) => return Err(error.into()),
        };
        self.left(AbsenceState::Replaced).await?;
        let text = format!(
            "{} transaction(s) of {} are undone: {} row(s) are as they were before",
            done.transactions, self.server, done.rows
        );
        self.tell(id, Level::Notice, text);
        Ok(None)
    }

    /// Goes on with a rewind that was interrupted, before the server is looked at.
    pub(super) async fn finish_rewind(&self) -> Result<(), StepError> {
        let state = self.snapshot.absent.get(self.server).map(|absence| &absence.state);
        let Some(AbsenceState::Rewinding { errant, file, from, kept }) = state else {
            return Ok(());
        };
        let mut link = self.link().await?;
        let undo = self.turned_round(&mut link, Path::new(file)).await?.map_err(|why| {
            let why = format!(
                "undoing {errant} was interrupted and cannot go on: {why}. `primacy rebuild {}`",
                self.server
            );
            StepError::impossible(self.server, why)
        })?;
        let (from, kept) = (from.clone(), kept.clone());
        let manager_user = &self.cluster.manager_user;
        rewind(link, &Rewind { undo: &undo, from, kept, manager_user }, LIMIT).await?;
        self.left(AbsenceState::Replaced).await?;
        let cluster = self.cluster;
        let text = format!("{}: undoing {errant} was interrupted, and is finished", self.server);
        cluster.chronicle.tell(&cluster.name, None, Level::Notice, text);
        Ok(())
    }

    async fn link(&self) -> Result<Link, StepError> {
        let limit = self.limit.as_duration();
        let link = self.cluster.links.to(self.server, limit).await;
        link.map_err(StepError::at(self.server, "undoing what it alone has"))
    }

    /// The copy turned round, or why it cannot be.
    async fn turned_round(
        &self,
        link: &mut Link,
        file: &Path,
    ) -> Result<Result<Undo, String>, StepError> {
        let packet = statement_limit(link, self.limit.as_duration()).await;
        let packet = packet.map_err(StepError::at(self.server, "undoing what it alone has"))?;
        let (file, limits) =
            (file.to_owned(), UndoLimits { statement: packet, ..UndoLimits::default() });
        let read = tokio::task::spawn_blocking(move || {
            let mut reader = Reader::open(&file).map_err(|error| error.to_string())?;
            undo(&mut reader, &limits).map_err(|error| error.to_string())
        });
        read.await.map_err(|error| StepError::impossible(self.server, error.to_string()))
    }

    /// What the server has without them, or why that cannot be said.
    async fn without(
        &self,
        found: &Found,
        from: &BinlogPosition,
    ) -> Result<Result<TransactionSet, String>, StepError> {
        let Which::Gtids(chosen) = &found.which else {
            return Ok(Ok(TransactionSet::UpTo(None)));
        };
        match &chosen.gtids {
            WantedGtids::MySql(errant) => {
                match executed(self.cluster, self.server, self.limit).await? {
                    TransactionSet::MySql(all) => Ok(Ok(TransactionSet::MySql(all.minus(errant)))),
                    _ => Ok(Err("it numbers its transactions otherwise now".to_owned())),
                }
            }
            WantedGtids::MariaDb(_) => {
                let at = || StepError::at(self.server, "asking what it had before");
                let mut link = self.link().await?;
                let sql = format!("SELECT BINLOG_GTID_POS('{}', {})", from.file, from.offset);
                let rows = link.query(&sql, self.limit.as_duration()).await.map_err(at())?;
                let text = rows.first().and_then(|row| row.at(0)).unwrap_or_default();
                let set = link.dialect().gtid_set(text);
                Ok(set.map_err(|_| format!("what it had at {from} cannot be read: {text:?}")))
            }
        }
    }
}

/// Asks for every reason against it. The session that has just read the binary log may not have
/// noticed yet that nobody listens any more, and counts as a replica.
async fn proved(link: &mut Link, plan: &Rewind<'_>) -> Result<Vec<String>, RewindError> {
    let end = Instant::now() + ALONE;
    loop {
        match prove(link, plan, LIMIT).await {
            Err(RewindError::Refused { .. }) if Instant::now() < end => {
                tokio::time::sleep(POLL * 10).await;
            }
            other => return other,
        }
    }
}
