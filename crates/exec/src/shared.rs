//! What the steps of one operation hand on to each other. It is kept with the operation's journal,
//! so that a restarted manager finds it again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use primacy_plan::{Plan, Step};
use primacy_store::{OperationId, Store, StoreError};
use primacy_types::{Address, BinlogPosition, ChannelStatus};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Cluster;
use crate::journal::blocking;

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

/// Keys of the operation's data.
const PAIR: &str = "positions";
const CHANNELS: &str = "channels";

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
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    pair: Option<Pair>,
    /// The managed channels of servers as they were before they were pointed to saved events.
    channels: BTreeMap<String, ChannelStatus>,
}

impl Shared {
    /// For an operation that begins.
    pub(crate) fn new(store: &Store, id: OperationId, plan: &Plan) -> Self {
        let pairs = |s: &primacy_plan::PlannedStep| matches!(s.step, Step::PairPositions { .. });
        let by_place = plan.steps.iter().any(pairs);
        Self { store: store.clone(), id, by_place, known: Mutex::default() }
    }

    /// Reads what the operation has kept before a restart.
    pub(crate) async fn read_back(&self) -> Result<(), StoreError> {
        let pair = self.read(PAIR).await?;
        let channels = self.read(CHANNELS).await?.unwrap_or_default();
        *self.known() = Known { pair, channels };
        Ok(())
    }

    async fn read<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, StoreError> {
        let (store, id) = (self.store.clone(), self.id.clone());
        let value = blocking(move || store.data(&id, key)).await?;
        Ok(value.and_then(|value| serde_json::from_value(value).ok()))
    }

    async fn keep(&self, key: &'static str, value: &impl Serialize) -> Result<(), StoreError> {
        let (store, id) = (self.store.clone(), self.id.clone());
        let value = serde_json::to_value(value).unwrap_or_default();
        blocking(move || store.set_data(&id, key, &value)).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// The channel of a server before it was pointed to saved events, if it was.
    pub(crate) fn noted_channel(&self, server: &Address) -> Option<ChannelStatus> {
        self.known().channels.get(&server.to_string()).cloned()
    }
}

/// The places that an earlier operation has put on record for a server that still stands in the
/// log of `source` and shall follow `primary`.
pub(crate) async fn pair_of_earlier(
    cluster: &Cluster,
    source: &Address,
    primary: &Address,
) -> Result<Option<Pair>, StoreError> {
    let (store, name) = (cluster.store.clone(), cluster.name.clone());
    let (source, primary) = (source.clone(), primary.clone());
    blocking(move || {
        for operation in store.operations(Some(&name), REMEMBERED)? {
            let pair = store.data(&operation.id, PAIR)?;
            let pair: Option<Pair> = pair.and_then(|v| serde_json::from_value(v).ok());
            if let Some(pair) = pair.filter(|p| p.server == primary && p.source == source) {
                return Ok(Some(pair));
            }
        }
        Ok(None)
    })
    .await
}
