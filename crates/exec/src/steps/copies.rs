//! Copies of the old primary's binary logs on other hosts, for when its own disk cannot be read. Only
//! on MySQL with GTID: there the names of transactions tell who wrote them.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use primacy_plan::{held_by_all, managed_source};
use primacy_rescue::{LogFiles, Numbering, Saved};
use primacy_types::{
    Address, BinlogsOnDisk, ClusterSnapshot, Millis, MySqlGtidSet, TransactionSet,
};

use super::rescue::{LOOK, scratch_of_copy};
use crate::error::StepError;
use crate::shared::Shared;
use crate::{BinlogCopy, Cluster};

/// What one of them was found to hold.
enum Looked {
    /// So many transactions that no replica has, all by the old primary.
    More(u64, BinlogsOnDisk),
    /// Nothing of use, for this reason.
    Nothing(String),
}

/// What all copies together came to.
pub(super) struct Copied {
    /// The one that holds most of what no replica has.
    best: Option<(u64, BinlogsOnDisk, ReadCopy)>,
    /// Why the others, or all, are of no use.
    reasons: Vec<String>,
}

/// Reads all copies at once. A host that does not give its files within the limit is not waited for
/// longer: what the others and the replicas have counts.
pub(super) async fn read(
    cluster: &Cluster,
    shared: &Shared,
    old: &Address,
    seen: &ClusterSnapshot,
) -> Copied {
    let mut copied = Copied { best: None, reasons: Vec::new() };
    let writer = match (Writer::known(seen, old), held_by_all(seen, old)) {
        _ if shared.by_place => Err("by file and position nothing tells whose events they hold"),
        (Some(writer), Some(TransactionSet::MySql(held))) => Ok((writer, held)),
        (_, Some(TransactionSet::MariaDb(_))) => Err("only the GTIDs of MySQL tell who wrote what"),
        _ => Err("too little is known of it"),
    };
    let (writer, held) = match writer {
        Ok(known) => known,
        Err(why) => {
            copied.reasons.push(format!("copies of them are not read: {why}"));
            return copied;
        }
    };
    let copies = cluster.hosts.copies();
    let looks = copies.iter().map(async |copy| look(cluster, shared, copy, &writer, &held).await);
    for (copy, looked) in copies.iter().zip(join_all(looks).await) {
        match looked {
            Looked::More(count, found) => {
                if copied.best.as_ref().is_none_or(|(most, ..)| count > *most) {
                    let (copy, writer, held) = (Arc::clone(copy), writer.clone(), held.clone());
                    copied.best = Some((count, found, ReadCopy { copy, writer, held }));
                }
            }
            Looked::Nothing(why) => copied.reasons.push(format!("the copy in {copy}: {why}")),
        }
    }
    copied
}

impl Copied {
    /// The best of them, where the server's own could not be read.
    pub(super) fn in_place_of(self, own: Option<BinlogsOnDisk>, shared: &Shared) -> BinlogsOnDisk {
        let (why, passing) = match own {
            Some(BinlogsOnDisk::Unreadable { reason, passing }) => (reason, passing),
            Some(read) => return read,
            None => ("there is no access to its host".to_owned(), false),
        };
        let reason = std::iter::once(why).chain(self.reasons).collect::<Vec<_>>().join("; ");
        match self.best {
            Some((_, BinlogsOnDisk::Read { holds, length, .. }, copy)) => {
                let place = copy.copy.to_string();
                shared.set_disk_copy(Some(copy));
                BinlogsOnDisk::Copied { holds, length, place, reason, passing }
            }
            _ => BinlogsOnDisk::Unreadable { reason, passing },
        }
    }
}

/// A copy that was read, and by what its transactions were judged.
#[derive(Debug)]
pub(crate) struct ReadCopy {
    copy: Arc<BinlogCopy>,
    writer: Writer,
    held: MySqlGtidSet,
}

impl ReadCopy {
    /// Cuts out of it what is complete beyond `since`. One that cannot give it is not read again in this
    /// operation.
    pub(super) async fn save(
        &self,
        cluster: &Cluster,
        shared: &Shared,
        old: &Address,
        since: &TransactionSet,
        to: &Path,
        limit: Millis,
    ) -> Result<Saved, StepError> {
        let copy = &self.copy;
        let files = self.writer.files(copy);
        let scratch = scratch_of_copy(cluster, shared, copy);
        let stall = limit.as_duration();
        let saved = primacy_rescue::save(copy.host.as_ref(), &files, since, &scratch, to, stall);
        let (why, useless) = match saved.await {
            Ok(saved) => match self.writer.wrote(saved.transactions(), &self.known(since)) {
                Ok(()) => return Ok(saved),
                Err(why) => (why, true),
            },
            Err(error) => (error.to_string(), !error.is_passing() || error.is_damage()),
        };
        if useless {
            shared.give_up_copy(copy.number, why.clone());
        }
        Err(StepError::impossible(old, format!("the copy of its binary logs in {copy}: {why}")))
    }

    fn known(&self, since: &TransactionSet) -> MySqlGtidSet {
        match since {
            TransactionSet::MySql(since) => self.held.union(since),
            _ => self.held.clone(),
        }
    }
}

/// The dead server, as far as its copies can be told from those of others.
#[derive(Clone, Debug)]
struct Writer {
    /// Its `server_uuid`, in lower case.
    uuid: String,
    /// The newest of its binary logs that a replica reads: `binlog.000007`.
    newest: String,
}

impl Writer {
    /// What its replicas say of it.
    fn known(seen: &ClusterSnapshot, old: &Address) -> Option<Self> {
        let replicas = seen
            .all_live()
            .filter(|(server, _)| managed_source(seen, server).as_ref() == Some(old));
        let channels = replicas.filter_map(|(server, _)| seen.live_channel(server));
        let itself = seen.server(old).and_then(|server| server.facts.as_ref()?.server_uuid.clone());
        let read = channels.filter_map(|channel| {
            let uuid = itself.clone().or_else(|| channel.source_uuid.clone())?;
            Some((channel.read.clone()?, uuid))
        });
        let (read, uuid) = read.max_by(|(a, _), (b, _)| a.cmp(b))?;
        let known = !uuid.is_empty() && !read.file.is_empty();
        known.then(|| Self { uuid: uuid.to_ascii_lowercase(), newest: read.file })
    }

    /// The files of a copy: they are called like its own.
    fn files(&self, copy: &BinlogCopy) -> LogFiles {
        LogFiles::copies(&copy.folder, &self.newest)
    }

    /// Whether everything in a copy beyond what is known was written by it: a folder may hold files of
    /// another cluster, or of a primary before this one whose last transactions were given up.
    fn wrote(&self, holds: &TransactionSet, known: &MySqlGtidSet) -> Result<(), String> {
        let TransactionSet::MySql(holds) = holds else {
            return Err("its transactions are not named as those of MySQL are".to_owned());
        };
        let foreign = holds.minus(known).filtered(|source| source.uuid.to_string() != self.uuid);
        if foreign.is_empty() {
            return Ok(());
        }
        Err(format!(
            "it is not used, because it also holds {foreign}, which the dead server did not write"
        ))
    }
}

async fn look(
    cluster: &Cluster,
    shared: &Shared,
    copy: &BinlogCopy,
    writer: &Writer,
    held: &MySqlGtidSet,
) -> Looked {
    if let Some(why) = shared.why_useless(copy.number) {
        return Looked::Nothing(why);
    }
    let (files, host) = (writer.files(copy), copy.host.as_ref());
    let scratch = scratch_of_copy(cluster, shared, copy);
    let numbering = Numbering::Gtids;
    let read = primacy_rescue::read_to_the_end(host, &files, numbering, &scratch, LOOK, false);
    let found = match tokio::time::timeout(LOOK, read).await {
        Ok(found) => found,
        Err(_) => return Looked::Nothing(format!("it was not read in {} s", LOOK.as_secs())),
    };
    let holds = match &found {
        BinlogsOnDisk::Read { holds, .. } | BinlogsOnDisk::Copied { holds, .. } => holds,
        BinlogsOnDisk::Unreadable { reason, .. } => return Looked::Nothing(reason.clone()),
    };
    if let Err(why) = writer.wrote(holds, held) {
        return Looked::Nothing(why);
    }
    match holds.count_beyond(&TransactionSet::MySql(held.clone())) {
        0 => Looked::Nothing("it holds nothing that no replica has".to_owned()),
        more => Looked::More(more, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_not_taken() {
        let own = "AAAAAAAA-0000-0000-0000-000000000001";
        let other = "99999999-9999-9999-9999-999999999999";
        let known: MySqlGtidSet = format!("{own}:1-5,{other}:1-3").parse().unwrap();
        let (uuid, newest) = (own.to_ascii_lowercase(), "binlog.000001".to_owned());
        let writer = Writer { uuid, newest };
        let ok =
            |holds: String| writer.wrote(&TransactionSet::MySql(holds.parse().unwrap()), &known);
        assert_eq!(ok(format!("{own}:1-9")), Ok(()));
        assert_eq!(ok(format!("{own}:1-9,{other}:2-3")), Ok(()), "replicas have them");
        let why = ok(format!("{own}:1-9,{other}:1-4")).unwrap_err();
        assert!(why.contains(&format!("{other}:4")) && !why.contains("aaaaaaaa"), "{why}");
    }
}
