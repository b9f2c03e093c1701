//! What the steps of one operation hand on to each other. It is kept with the operation's journal,
//! so that a restarted manager finds it again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use primacy_plan::{Origin, Plan};
use primacy_rescue::{RescueError, Served};
use primacy_store::{OperationId, Store, StoreError};
use primacy_types::{Address, BinlogPosition, ChannelStatus, TransactionSet};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

use crate::Cluster;
use crate::journal::blocking;
use crate::steps::ReadCopy;

/// Without GTID: two places that mean the same. Whoever has applied the source's log up to `end`
/// goes on at `start` of the new primary's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    /// The new primary.
    pub(crate) server: Address,
    /// The primary before it.
    pub(crate) source: Address,
    /// The end of the last transaction that came from there.
    pub(crate) end: BinlogPosition,
    /// Where the new primary's log stood then.
    pub(crate) start: BinlogPosition,
}

/// Without GTID: where a server stood when it was taken out of replication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Detached {
    /// In the old primary's log.
    pub(crate) stood: BinlogPosition,
    /// In its own, which has gone on since only if it has written itself.
    pub(crate) own: Option<BinlogPosition>,
    /// Its channel as it was before the operation.
    pub(crate) channel: ChannelStatus,
}

/// Where the address of applications is, as far as scripts have moved it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressAt {
    /// It was taken from this server and given to nobody.
    pub(crate) taken_from: Option<Address>,
    /// The script of switchovers has taken it.
    pub(crate) by_switchover: bool,
}

/// Keys of the operation's data.
const DETACHED: &str = "detached";
const PAIR: &str = "positions";
const CHANNELS: &str = "channels";
const SAVED: &str = "saved";
const POWERED_OFF: &str = "powered-off";
const ADDRESS: &str = "address";

/// So many operations back a pair of places is looked for.
const REMEMBERED: usize = 50;

/// The shared facts of one operation.
#[derive(Debug)]
pub(crate) struct Shared {
    store: Store,
    /// The operation.
    pub(crate) id: OperationId,
    /// The cluster replicates by file and position.
    pub(crate) by_place: bool,
    /// When this process began with it.
    pub(crate) began: Instant,
    known: Mutex<Known>,
    sources: Sources,
    /// The operation has ended: what is found out now is not put on record any more.
    ended: bool,
}

#[derive(Debug, Default)]
struct Known {
    pair: Option<Pair>,
    /// The managed channels of servers as they were before they were pointed to saved events.
    channels: BTreeMap<String, ChannelStatus>,
    /// Servers that were taken out of replication.
    detached: BTreeMap<String, Detached>,
    /// What was saved, by the words for where it comes from.
    saved: BTreeMap<String, Kept>,
    /// Servers whose hosts a script has powered off.
    powered_off: BTreeSet<Address>,
    /// Where the old primary's binary logs on disk end, as this process has read them.
    disk_length: Option<BinlogPosition>,
    /// The copy of them that was read in their place.
    disk_copy: Option<Arc<ReadCopy>>,
    /// Copies from which nothing could be cut, by their numbers, and why.
    useless_copies: BTreeMap<usize, String>,
}

/// Events that were saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The files that it comes from.
    pub(crate) from: Origin,
    /// What it was cut for: everything beyond this is in it.
    pub(crate) since: TransactionSet,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// How far the files went when it was cut, if that is known: what was cut from shorter ones is
    /// not used for longer ones.
    #[serde(default)]
    pub(crate) length: Option<BinlogPosition>,
}

/// The sources that serve what was saved, by its folder and at which of our addresses.
type Sources = AsyncMutex<BTreeMap<(PathBuf, IpAddr), Arc<Served>>>;

impl Shared {
    /// For an operation that begins.
    pub(crate) fn new(store: &Store, id: OperationId, plan: &Plan) -> Self {
        Self::of(store, id, plan.by_place, false)
    }

    fn of(store: &Store, id: OperationId, by_place: bool, ended: bool) -> Self {
        let store = store.clone();
        let (known, sources) = (Mutex::default(), Sources::default());
        Self { store, id, by_place, began: Instant::now(), known, sources, ended }
    }

    /// Reads what the operation has kept before a restart.
    pub(crate) async fn read_back(&self) -> Result<(), StoreError> {
        let pair = self.read(PAIR).await?;
        let channels = self.read(CHANNELS).await?.unwrap_or_default();
        let saved = self.read(SAVED).await?.unwrap_or_default();
        let detached = self.read(DETACHED).await?.unwrap_or_default();
        let powered_off = self.read(POWERED_OFF).await?.unwrap_or_default();
        *self.known() = Known { pair, channels, detached, saved, powered_off, ..Known::default() };
        Ok(())
    }

    async fn read<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, StoreError> {
        let (store, id) = (self.store.clone(), self.id.clone());
        let value = blocking(move || store.data(&id, key)).await?;
        Ok(value.and_then(|value| serde_json::from_value(value).ok()))
    }

    async fn keep(&self, key: &'static str, value: &impl Serialize) -> Result<(), StoreError> {
        if self.ended {
            return Ok(());
        }
        let (store, id) = (self.store.clone(), self.id.clone());
        let value = serde_json::to_value(value).unwrap_or_default();
        blocking(move || store.set_data(&id, key, &value)).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a script has powered off the host of a server: nothing is looked for on its disk.
    pub(crate) fn is_powered_off(&self, server: &Address) -> bool {
        self.known().powered_off.contains(server)
    }

    /// Puts on record that it was.
    pub(crate) async fn set_powered_off(&self, server: &Address) -> Result<(), StoreError> {
        let all = {
            let mut known = self.known();
            known.powered_off.insert(server.clone());
            known.powered_off.clone()
        };
        self.keep(POWERED_OFF, &all).await
    }

    /// Puts on record where the address of applications is.
    pub(crate) async fn set_address(&self, at: &AddressAt) -> Result<(), StoreError> {
        self.keep(ADDRESS, at).await
    }

    /// The places at which logs continue each other, once they are known.
    pub(crate) fn pair(&self) -> Option<Pair> {
        self.known().pair.clone()
    }

    /// Puts the places on record.
    pub(crate) async fn set_pair(&self, pair: Pair) -> Result<(), StoreError> {
        self.keep(PAIR, &pair).await?;
        self.known().pair = Some(pair);
        Ok(())
    }

    /// Puts on record what a server's channel was before it is pointed to saved events; the first
    /// word counts.
    pub(crate) async fn note_channel(
        &self,
        server: &Address,
        channel: &ChannelStatus,
    ) -> Result<(), StoreError> {
        let all = {
            let mut known = self.known();
            if known.channels.contains_key(&server.to_string()) {
                return Ok(());
            }
            known.channels.insert(server.to_string(), channel.clone());
            known.channels.clone()
        };
        self.keep(CHANNELS, &all).await
    }

    /// Puts on record where a server stands that is about to forget its source.
    pub(crate) async fn note_detached(
        &self,
        server: &Address,
        place: Detached,
    ) -> Result<(), StoreError> {
        let all = {
            let mut known = self.known();
            known.detached.insert(server.to_string(), place);
            known.detached.clone()
        };
        self.keep(DETACHED, &all).await
    }

    /// Where a server stood when it forgot its source.
    pub(crate) fn detached(&self, server: &Address) -> Option<Detached> {
        self.known().detached.get(&server.to_string()).cloned()
    }

    /// Every server that forgot its source, with the place where it stood.
    pub(crate) fn all_detached(&self) -> Vec<(Address, Detached)> {
        let known = self.known();
        let parsed = known.detached.iter().filter_map(|(a, d)| Some((a.parse().ok()?, d.clone())));
        parsed.collect()
    }

    /// Every channel that was noted.
    pub(crate) fn noted_channels(&self) -> Vec<(Address, ChannelStatus)> {
        let known = self.known();
        let parsed = known.channels.iter().filter_map(|(a, c)| Some((a.parse().ok()?, c.clone())));
        parsed.collect()
    }

    /// Everything that was saved comes from these files.
    pub(crate) fn origins(&self) -> Vec<Origin> {
        self.known().saved.values().map(|kept| kept.from.clone()).collect()
    }

    /// What was saved of these files.
    pub(crate) fn saved(&self, from: &Origin) -> Option<Kept> {
        self.known().saved.get(&from.to_string()).cloned()
    }

    /// What was saved of these files cannot be used.
    pub(crate) fn forget_saved(&self, from: &Origin) {
        self.known().saved.remove(&from.to_string());
    }

    /// Where the old primary's binary logs on disk end; `None` if they were not read.
    pub(crate) fn disk_length(&self) -> Option<BinlogPosition> {
        self.known().disk_length.clone()
    }

    /// Notes where the old primary's binary logs on disk end.
    pub(crate) fn set_disk_length(&self, length: Option<BinlogPosition>) {
        self.known().disk_length = length;
    }

    /// The copy of the old primary's binary logs that was read in their place.
    pub(crate) fn disk_copy(&self) -> Option<Arc<ReadCopy>> {
        self.known().disk_copy.clone()
    }

    /// Notes whether a copy of the old primary's binary logs was read, and which.
    pub(crate) fn set_disk_copy(&self, copy: Option<ReadCopy>) {
        self.known().disk_copy = copy.map(Arc::new);
    }

    /// A copy is not read any more in this operation.
    pub(crate) fn give_up_copy(&self, number: usize, why: String) {
        let mut known = self.known();
        known.disk_copy = None;
        known.useless_copies.insert(number, why);
    }

    /// Why a copy is not read any more.
    pub(crate) fn why_useless(&self, number: usize) -> Option<String> {
        self.known().useless_copies.get(&number).cloned()
    }

    /// Puts on record what was saved.
    pub(crate) async fn set_saved(&self, from: &Origin, kept: Kept) -> Result<(), StoreError> {
        let all = {
            let mut known = self.known();
            known.saved.insert(from.to_string(), kept);
            known.saved.clone()
        };
        self.keep(SAVED, &all).await
    }

    /// The source that serves what was saved in this folder at this address of ours; started if
    /// there is none.
    pub(crate) async fn served(
        &self,
        folder: &Path,
        at: IpAddr,
        start: impl Future<Output = Result<Served, RescueError>>,
    ) -> Result<Arc<Served>, RescueError> {
        let mut sources = self.sources.lock().await;
        let which = (folder.to_owned(), at);
        if let Some(running) = sources.get(&which) {
            return Ok(Arc::clone(running));
        }
        let started = Arc::new(start.await?);
        sources.insert(which, Arc::clone(&started));
        Ok(started)
    }

    /// The channel of a server before it was pointed to saved events, if it was.
    pub(crate) fn noted_channel(&self, server: &Address) -> Option<ChannelStatus> {
        self.known().channels.get(&server.to_string()).cloned()
    }
}

/// What an earlier operation has put on record that made `primary` the successor of `source`, for
/// a server that still stands in the log of `source`.
pub(crate) async fn of_earlier(
    cluster: &Cluster,
    source: &Address,
    primary: &Address,
) -> Result<Option<Shared>, StoreError> {
    let (source, primary) = (source.clone(), primary.clone());
    newest(cluster, true, PAIR, move |pair: &Pair| pair.server == primary && pair.source == source)
        .await
}

/// Where the last operation that moved the address of applications has left it, and which one.
pub(crate) async fn address_left(
    cluster: &Cluster,
) -> Result<Option<(OperationId, AddressAt)>, StoreError> {
    let known = |_: &AddressAt| true;
    let Some(shared) = newest(cluster, false, ADDRESS, known).await? else { return Ok(None) };
    let at = shared.read(ADDRESS).await?.unwrap_or_default();
    Ok(Some((shared.id.clone(), at)))
}

/// Puts on record that the address was given back which an operation had taken.
pub(crate) async fn address_returned(cluster: &Cluster, id: OperationId) -> Result<(), StoreError> {
    let store = cluster.store.clone();
    let value = serde_json::to_value(AddressAt::default()).unwrap_or_default();
    blocking(move || store.set_data(&id, ADDRESS, &value)).await
}

/// In whose binary log a server stands that was given saved events late, when `primary` had its
/// role already: nothing else is on record of that.
pub(crate) async fn predecessor(
    cluster: &Cluster,
    primary: &Address,
) -> Result<Option<Address>, StoreError> {
    let primary = primary.clone();
    let shared = newest(cluster, true, PAIR, move |pair: &Pair| pair.server == primary).await?;
    Ok(shared.and_then(|shared| Some(shared.pair()?.source)))
}

/// What the last operation has put on record that pointed `server` to saved events: its channel as
/// it was before.
pub(crate) async fn channel_before_a_rescue(
    cluster: &Cluster,
    server: &Address,
) -> Result<Option<ChannelStatus>, StoreError> {
    let name = server.to_string();
    let noted = move |known: &BTreeMap<String, ChannelStatus>| known.contains_key(&name);
    let shared = newest(cluster, false, CHANNELS, noted).await?;
    Ok(shared.and_then(|shared| shared.noted_channel(server)))
}

/// The newest operation of the cluster whose data under this key is what is looked for.
async fn newest<T: DeserializeOwned>(
    cluster: &Cluster,
    by_place: bool,
    key: &'static str,
    is_it: impl Fn(&T) -> bool + Send + 'static,
) -> Result<Option<Shared>, StoreError> {
    let (store, name) = (cluster.store.clone(), cluster.name.clone());
    let found = blocking(move || {
        for operation in store.operations(Some(&name), REMEMBERED)? {
            let value = store.data(&operation.id, key)?;
            let value: Option<T> = value.and_then(|v| serde_json::from_value(v).ok());
            if value.is_some_and(|value| is_it(&value)) {
                return Ok(Some(operation.id));
            }
        }
        Ok(None)
    });
    let Some(id) = found.await? else { return Ok(None) };
    let shared = Shared::of(&cluster.store, id, by_place, true);
    shared.read_back().await?;
    Ok(Some(shared))
}
