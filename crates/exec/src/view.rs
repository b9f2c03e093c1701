//! What an operation sees: the servers now, with what only the operation itself knows of them.

use std::time::Duration;

use primacy_plan::{Step, reattach};
use primacy_store::Level;
use primacy_types::{Address, BinlogsOnDisk, ChannelStatus, ClusterSnapshot};
use tokio::time::Instant;

use crate::operation::Operation;
use crate::steps;

/// How often the logs of a server that may still write are read while the failover is held.
const READ_AGAIN: Duration = Duration::from_secs(10);

impl Operation<'_> {
    /// What is seen now, with the old primary of this operation as the primary.
    pub(crate) async fn look(&self) -> ClusterSnapshot {
        let limit = self.cluster.policy.timing.statement_limit.as_duration();
        let mut snapshot = self.cluster.eyes.look(limit.min(Duration::from_secs(2))).await;
        self.complete(&mut snapshot);
        if let Some(old) = snapshot.servers.get_mut(&self.plan.old) {
            old.on_disk.clone_from(&self.on_disk);
            old.fenced = self.fenced;
        }
        snapshot
    }

    /// Puts in what the servers do not say any more, because of what this operation has done.
    fn complete(&self, snapshot: &mut ClusterSnapshot) {
        snapshot.primary = Some(self.plan.old.clone());
        if let Some(last_seen) = &self.last_seen {
            last_seen.fill_in(snapshot, self.cluster.clock);
        }
        for (server, was) in self.shared.noted_channels() {
            reads_its_old_source(snapshot, &server, &was);
        }
        for (server, place) in self.shared.all_detached() {
            reattach(snapshot, &server, &self.plan.old, &place.stood);
        }
    }

    async fn look_at_the_disk(&self) -> Option<BinlogsOnDisk> {
        let mut seen = self.cluster.eyes.remembered();
        self.complete(&mut seen);
        steps::read_the_disk(self.cluster, &self.plan.old, &self.shared, &seen).await
    }

    /// Reads what the old primary's binary logs hold, where its files can be reached. What was read
    /// once stays so while the server is closed.
    pub(crate) async fn read_the_disk(&mut self) {
        let closed = self.fenced || {
            let seen = self.cluster.eyes.remembered();
            seen.server(&self.plan.old).is_some_and(primacy_types::ServerObservation::is_closed)
        };
        // One that may still write is read again, and so is one that was not read itself: its disk may
        // come back. But not all the time: they may be large.
        let recent = self.disk_read.is_some_and(|at| at.elapsed() < READ_AGAIN);
        let fresh = match &self.on_disk {
            Some(BinlogsOnDisk::Read { .. }) => closed || recent,
            Some(BinlogsOnDisk::Copied { passing, .. }) => recent && !passing,
            Some(BinlogsOnDisk::Unreadable { .. }) | None => false,
        };
        if fresh {
            return;
        }
        self.disk_read = Some(Instant::now());
        let found = match self.read_ahead.take() {
            Some(found) => found,
            None => self.look_at_the_disk().await,
        };
        if found != self.on_disk
            && let Some(sentence) = found.as_ref().map(steps::said_of_disk)
        {
            self.tell(Level::Info, format!("{}: {sentence}", self.plan.old));
        }
        let length = found.as_ref().and_then(BinlogsOnDisk::length);
        self.shared.set_disk_length(length.cloned());
        self.on_disk = found;
    }

    /// The files of a server that is fenced are final: they are read while receivers are stopped.
    /// Each of the two takes a second where the host is lost.
    pub(crate) async fn read_ahead(&self, index: usize) -> Option<Option<BinlogsOnDisk>> {
        let seals = matches!(self.plan.steps[index].step, Step::SealReceivers { .. });
        if !seals || !self.fenced {
            return None;
        }
        Some(self.look_at_the_disk().await)
    }
}

/// A server that was pointed to saved events replicates what its old source wrote, at that one's
/// places: for the rules it still follows that source.
fn reads_its_old_source(snapshot: &mut ClusterSnapshot, server: &Address, was: &ChannelStatus) {
    let known: Vec<Address> = snapshot.servers.keys().cloned().collect();
    let Some(facts) = snapshot.servers.get_mut(server).and_then(|s| s.facts.as_mut()) else {
        return;
    };
    let channel = facts.channels.iter_mut().find(|c| c.name == was.name);
    if let Some(channel) = channel.filter(|c| !known.contains(&c.source)) {
        channel.source = was.source.clone();
        channel.source_server_id = was.source_server_id;
        channel.source_uuid.clone_from(&was.source_uuid);
    }
}
