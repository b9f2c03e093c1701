//! The copy of what a returned server has and the primary has not: as a binary log, which can be
//! replayed, and as text, which can be read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use primacy_errant::{Chosen, ErrantError, Saved, States, Written, beside, find};
use primacy_plan::rejoin::{Beyond, History, Returned};
use primacy_replication::ReceiveError;
use primacy_types::{Address, BinlogPosition, MariaDbGtid};
use primacy_wire::{ConnectOptions, Session};

use super::history::failed;
use crate::Cluster;
use crate::error::StepError;

/// Errant transactions that were found.
pub(super) struct Found {
    /// Which, as people read them.
    pub(super) said: String,
    pub(super) which: Which,
}

pub(super) enum Which {
    Gtids(Chosen),
    /// Everything that it wrote from this place on.
    After(BinlogPosition),
}

/// Errant transactions that were saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// How many transactions.
    pub transactions: u64,
    /// The binary log; `None` if its binary logs hold none of them any more.
    pub binlog: Option<PathBuf>,
    /// Where the first of them begins in the server's own binary log.
    pub from: Option<BinlogPosition>,
    /// The text.
    pub text: Option<PathBuf>,
    /// Those that its binary logs no longer hold.
    pub unsaved: Option<String>,
}

impl Kept {
    pub(super) fn files(&self) -> Vec<String> {
        let files = self.binlog.iter().chain(&self.text);
        files.map(|path| path.display().to_string()).collect()
    }

    pub(super) fn said(&self) -> String {
        let mut said = match &self.binlog {
            Some(file) => format!(
                "has {} transaction(s) that the primary has not; saved as {} (and as text beside it)",
                self.transactions,
                file.display()
            ),
            None => "has transactions that the primary has not".to_owned(),
        };
        if let Some(unsaved) = &self.unsaved {
            said.push_str(&format!("; its binary logs no longer hold {unsaved}"));
        }
        said
    }
}

/// Where copies of a cluster's errant transactions are kept: `errant/CLUSTER` beside the history.
pub fn folder_of(cluster: &Cluster) -> PathBuf {
    let state = cluster.store.path().parent().map(PathBuf::from).unwrap_or_default();
    state.join("errant").join(&cluster.name)
}

/// The manager's account, and the one that replicas use.
fn logins(cluster: &Cluster, server: &Address) -> (ConnectOptions, ConnectOptions) {
    let manager = cluster.links.options(server);
    let replication = ConnectOptions {
        user: cluster.replication.user.clone(),
        password: cluster.replication.password.clone(),
        ..manager.clone()
    };
    (manager, replication)
}

/// The transactions themselves; `None` if there are none after all.
pub(super) async fn find(
    cluster: &Cluster,
    server: &Address,
    seen: &Returned,
    beyond: &Beyond,
) -> Result<Option<Found>, StepError> {
    let (manager, replication) = logins(cluster, server);
    let fails = |error| failed(server, error);
    let mut session = Session::connect(&manager)
        .await
        .map_err(StepError::at(server, "reading its binary logs"))?;
    let chosen = match (beyond, &seen.primary) {
        (Beyond::MySql(set), _) => find::of_mysql(&mut session, set).await.map_err(fails)?,
        (Beyond::MariaDb(last), History::MariaDb { last: theirs }) => {
            let known = States::of(theirs.iter().copied());
            let writers: BTreeSet<_> = last.iter().map(|g| (g.domain, g.server)).collect();
            // Of a writer that the primary has never heard of it may be history that everybody's
            // data began with: only the binary logs tell.
            let certain: Vec<MariaDbGtid> = last
                .iter()
                .filter(|gtid| known.get(gtid.domain, gtid.server).is_some())
                .copied()
                .collect();
            Box::pin(find::of_mariadb(&mut session, &replication, &writers, &known, &certain))
                .await
                .map_err(fails)?
        }
        (Beyond::MariaDb(_), History::MySql { .. }) => return Ok(None),
    };
    session.close().await;
    let there = (!chosen.gtids.is_empty()).then(|| chosen.gtids.to_string());
    let all: Vec<String> = there.into_iter().chain(chosen.lacking.clone()).collect();
    Ok((!all.is_empty()).then(|| Found { said: all.join(","), which: Which::Gtids(chosen) }))
}

/// Without GTID: everything that it wrote after this place; `None` if that is nothing.
pub(super) async fn find_after(
    cluster: &Cluster,
    server: &Address,
    place: &BinlogPosition,
) -> Result<Option<Found>, StepError> {
    let (_, replication) = logins(cluster, server);
    let path = beside(&prepare(cluster, server)?);
    let mut looked = Saved::begin(path).map_err(|error| failed(server, error))?;
    Box::pin(primacy_errant::save_from(&replication, place, &mut looked))
        .await
        .map_err(|error| failed(server, unreachable_place(error)))?;
    let counts = looked.counts();
    Ok((counts.transactions > 0).then(|| Found {
        said: format!("{} transaction(s) after {place} of its binary log", counts.transactions),
        which: Which::After(place.clone()),
    }))
}

/// A server that says that there is no such place has answered.
fn unreachable_place(error: ErrantError) -> ErrantError {
    match error {
        ErrantError::Receive(ReceiveError::Wire(error)) if error.code().is_none() => error.into(),
        ErrantError::Wire(error) if error.code().is_some() => ReceiveError::Wire(error).into(),
        other => other,
    }
}

/// Copies them.
pub(super) async fn save(
    cluster: &Cluster,
    server: &Address,
    found: &Found,
) -> Result<Kept, StepError> {
    let (_, replication) = logins(cluster, server);
    let to = prepare(cluster, server)?;
    let fails = |error| failed(server, error);
    let mut saved = Saved::begin(beside(&to)).map_err(fails)?;
    let unsaved = match &found.which {
        Which::Gtids(chosen) => {
            let came = Box::pin(primacy_errant::save(&replication, chosen, &mut saved)).await;
            let lacking = came.map_err(fails)?;
            let lacking = (!lacking.is_empty()).then(|| lacking.to_string());
            let all: Vec<String> = chosen.lacking.clone().into_iter().chain(lacking).collect();
            (!all.is_empty()).then(|| all.join(","))
        }
        Which::After(place) => {
            Box::pin(primacy_errant::save_from(&replication, place, &mut saved))
                .await
                .map_err(fails)?;
            None
        }
    };
    let transactions = saved.counts().transactions;
    if transactions == 0 {
        return Ok(Kept { transactions, binlog: None, from: None, text: None, unsaved });
    }
    // A large copy takes seconds to be read again and written to disk.
    let place = to.clone();
    let finish = move || {
        let written = saved.finish()?;
        let first = written.stretches().first();
        let from = first.map(|first| BinlogPosition::new(&*first.file, first.start));
        Ok::<_, ErrantError>((from, name_both(written, &place)?))
    };
    let finished = match tokio::task::spawn_blocking(finish).await {
        Ok(finished) => finished,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let (from, text) = finished.map_err(fails)?;
    Ok(Kept { transactions, binlog: Some(to), from, text: Some(text), unsaved })
}

/// The text first: a binary log without it would be taken for complete.
fn name_both(written: Written, to: &Path) -> Result<PathBuf, ErrantError> {
    let text = to.with_extension("txt");
    primacy_errant::describe(&written, &text)?;
    written.name(to, false)?;
    Ok(text)
}

/// A name that is free, in a folder that is there.
fn prepare(cluster: &Cluster, server: &Address) -> Result<PathBuf, StepError> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = folder_of(cluster);
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder).map_err(|source| {
        let why = format!("{} could not be made: {source}", folder.display());
        StepError::impossible(server, why)
    })?;
    // The folder itself is to outlive a loss of power, with what will be in it.
    for made in folder.ancestors().skip(1).take(2) {
        primacy_errant::sync_folder(made).map_err(|error| failed(server, error))?;
    }
    let server = server.to_string().replace([':', '/'], "-");
    let stamp = moment(cluster.clock.wall().0);
    Ok(folder.join(format!("{server}-{stamp}.binlog")))
}

/// A moment in UTC, as part of a file's name, to the millisecond.
fn moment(at: u64) -> String {
    let millis = i64::try_from(at).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y%m%dT%H%M%S.%3fZ").to_string()
}
