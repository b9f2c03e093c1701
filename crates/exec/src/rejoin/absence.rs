//! The record of servers that are not in their places.

use std::collections::BTreeMap;

use primacy_store::{Store, StoreError};
use primacy_types::{Absence, AbsenceState, Address};

use crate::Cluster;
use crate::journal::blocking;

/// The servers of a cluster that are not in their places, as they are on record.
///
/// # Errors
/// If the record cannot be read.
pub fn absences(store: &Store, cluster: &str) -> Result<BTreeMap<Address, Absence>, StoreError> {
    let all = store.absences(cluster)?.into_iter();
    // What a later version wrote there is not known here: the server counts as replaced.
    Ok(all
        .map(|(server, record)| {
            let unknown = Absence { since: Default::default(), state: AbsenceState::Replaced };
            (server, serde_json::from_value(record).unwrap_or(unknown))
        })
        .collect())
}

/// A failover has left this server behind.
///
/// # Errors
/// If that cannot be put on record.
pub async fn mark_replaced(cluster: &Cluster, server: &Address) -> Result<(), StoreError> {
    let absence = Absence { since: cluster.clock.wall(), state: AbsenceState::Replaced };
    set(cluster, server, &absence).await
}

pub(super) async fn set(
    cluster: &Cluster,
    server: &Address,
    absence: &Absence,
) -> Result<(), StoreError> {
    let (store, name, server) = (cluster.store.clone(), cluster.name.clone(), server.clone());
    let record = serde_json::to_value(absence).unwrap_or_default();
    blocking(move || store.set_absence(&name, &server, &record)).await
}

/// The server is in its place.
pub(super) async fn end(cluster: &Cluster, server: &Address) -> Result<(), StoreError> {
    let (store, name, server) = (cluster.store.clone(), cluster.name.clone(), server.clone());
    blocking(move || store.end_absence(&name, &server)).await
}
