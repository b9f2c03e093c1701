//! Copies of the old primary's binary logs on other hosts, for when its own disk cannot be read. Only
//! on MySQL with GTID: there the names of transactions tell who wrote them.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use primacy_plan::{held_by_all, managed_source};
use primacy_rescue::{LogFiles, Numbering};
use primacy_types::{Address, BinlogsOnDisk, ClusterSnapshot, TransactionSet};

use super::rescue::{LOOK, is_patient, scratch_of_copy};
use crate::shared::Shared;
use crate::{BinlogCopy, Cluster};

/// What one of them was found to hold.
enum Looked {
    /// So many transactions that no replica has, all by the old primary.
    More(u64, BinlogsOnDisk),
    /// Nothing of use, for this reason; whether trying again may help.
    Nothing(String, bool),
}

/// What all copies together came to.
pub(super) struct Copied {
    /// The one that holds most of what no replica has.
    best: Option<(u64, BinlogsOnDisk, Arc<BinlogCopy>)>,
    /// Why the others, or all, are of no use.
    reasons: Vec<String>,
    /// Trying again may help.
    passing: bool,
}

/// Reads all copies at once.
pub(super) async fn read(cluster: &Cluster, shared: &Shared, old: &Address) -> Copied {
    let mut copied = Copied { best: None, reasons: Vec::new(), passing: false };
    let seen = cluster.eyes.remembered();
    let writer = match (Writer::known(&seen, old), held_by_all(&seen, old)) {
        _ if shared.by_place => Err("by file and position nothing tells whose events they hold"),
        (_, Some(TransactionSet::MariaDb(_))) => Err("only the GTIDs of MySQL tell who wrote what"),
        (Some(writer), Some(held)) => Ok((writer, held)),
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
                    copied.best = Some((count, found, Arc::clone(copy)));
                }
            }
            Looked::Nothing(why, soon) => {
                copied.reasons.push(format!("the copy in {copy}: {why}"));
                copied.passing |= soon;
            }
        }
    }
    copied
}

impl Copied {
    /// The best of them, where the server's own could not be read.
    pub(super) fn in_place_of(self, own: Option<BinlogsOnDisk>, shared: &Shared) -> BinlogsOnDisk {
        let (why, late) = match own {
            Some(BinlogsOnDisk::Unreadable { reason, passing }) => (reason, passing),
            Some(read) => return read,
            None => ("there is no access to its host".to_owned(), false),
        };
        let reason = std::iter::once(why).chain(self.reasons).collect::<Vec<_>>().join("; ");
        let passing = late || self.passing;
        match self.best {
            Some((_, BinlogsOnDisk::Read { holds, length, .. }, copy)) => {
                let place = copy.to_string();
                shared.set_disk_copy(Some(copy));
                BinlogsOnDisk::Copied { holds, length, place, reason, passing }
            }
            _ => BinlogsOnDisk::Unreadable { reason, passing },
        }
    }
}

/// The dead server, as far as its copies can be told from those of others.
pub(super) struct Writer {
    /// Its `server_uuid`, in lower case.
    uuid: String,
    /// What the names of its binary logs begin with: `binlog`.
    name: String,
}

impl Writer {
    /// What it said itself, else what a replica says of its source.
    pub(super) fn known(seen: &ClusterSnapshot, old: &Address) -> Option<Self> {
        let itself = || {
            let facts = seen.server(old)?.facts.as_ref()?;
            let base = Path::new(&facts.binlog_base).file_name()?;
            Self::of(facts.server_uuid.as_ref()?, base.to_string_lossy().into_owned())
        };
        let of_replicas = || {
            let mut replicas = seen
                .all_live()
                .filter(|(server, _)| managed_source(seen, server).as_ref() == Some(old));
            replicas.find_map(|(server, _)| {
                let channel = seen.live_channel(server)?;
                let (name, _) = channel.read.as_ref()?.file.rsplit_once('.')?;
                Self::of(channel.source_uuid.as_ref()?, name.to_owned())
            })
        };
        itself().or_else(of_replicas)
    }

    fn of(uuid: &str, name: String) -> Option<Self> {
        let known = !uuid.is_empty() && !name.is_empty();
        known.then(|| Self { uuid: uuid.to_ascii_lowercase(), name })
    }

    /// The files of a copy: they are called like its own.
    pub(super) fn files(&self, copy: &BinlogCopy) -> LogFiles {
        LogFiles::binlogs(copy.folder.join(&self.name))
    }

    /// Whether everything in a copy beyond what is known was written by it: a folder may hold files of
    /// another cluster, or of a primary before this one whose last transactions were given up.
    pub(super) fn wrote(
        &self,
        holds: &TransactionSet,
        known: &TransactionSet,
    ) -> Result<(), String> {
        let (TransactionSet::MySql(holds), TransactionSet::MySql(known)) = (holds, known) else {
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
    held: &TransactionSet,
) -> Looked {
    let files = writer.files(copy);
    let scratch = scratch_of_copy(cluster, shared, copy);
    let (host, patient) = (copy.host.as_ref(), is_patient(shared));
    let read =
        primacy_rescue::read_to_the_end(host, &files, Numbering::Gtids, &scratch, LOOK, patient);
    let found = read.await;
    let holds = match &found {
        BinlogsOnDisk::Read { holds, .. } | BinlogsOnDisk::Copied { holds, .. } => holds,
        BinlogsOnDisk::Unreadable { reason, passing } => {
            return Looked::Nothing(reason.clone(), *passing);
        }
    };
    if let Err(why) = writer.wrote(holds, held) {
        return Looked::Nothing(why, false);
    }
    match holds.count_beyond(held) {
        0 => Looked::Nothing("it holds nothing that no replica has".to_owned(), false),
        more => Looked::More(more, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_not_taken() {
        let set = |text: &str| TransactionSet::MySql(text.parse().unwrap());
        let own = "AAAAAAAA-0000-0000-0000-000000000001";
        let other = "99999999-9999-9999-9999-999999999999";
        let known = set(&format!("{own}:1-5,{other}:1-3"));
        let writer = Writer::of(own, "binlog".to_owned()).unwrap();
        let ok = |holds: String| writer.wrote(&set(&holds), &known);
        assert_eq!(ok(format!("{own}:1-9")), Ok(()));
        assert_eq!(ok(format!("{own}:1-9,{other}:2-3")), Ok(()), "replicas have them");
        let why = ok(format!("{own}:1-9,{other}:1-4")).unwrap_err();
        assert!(why.contains(&format!("{other}:4")) && !why.contains("aaaaaaaa"), "{why}");
        assert!(Writer::of("", "binlog".to_owned()).is_none(), "nobody is known");
    }
}
