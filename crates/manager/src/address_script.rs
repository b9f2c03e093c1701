//! Asks `failover_script` once, when the primary is known, whether it could do its work: MHA does
//! so when its manager starts, and nobody wants to learn of it in the middle of a failover.

use std::sync::Arc;

use primacy_exec::{Called, Cluster, Eyes};
use primacy_store::Level;
use primacy_types::Address;
use tokio::task::JoinHandle;

use crate::observatory::Observatory;

/// Starts the task, which ends by itself.
pub(crate) fn start(cluster: &Arc<Cluster>, observatory: &Arc<Observatory>) -> JoinHandle<()> {
    let (cluster, observatory) = (Arc::clone(cluster), Arc::clone(observatory));
    tokio::spawn(async move {
        let Some(primary) = known_primary(&observatory).await else { return };
        if let Some(Ok(Called::Warned(outcome)) | Err(outcome)) =
            cluster.scripts.status(&primary).await
        {
            let text =
                format!("failover_script could not take the address from {primary}: {outcome}");
            cluster.chronicle.tell(&cluster.name, None, Level::Warning, text);
        }
    })
}

async fn known_primary(observatory: &Observatory) -> Option<Address> {
    let mut changes = observatory.changes();
    loop {
        if let Some(primary) = observatory.remembered().primary {
            return Some(primary);
        }
        changes.changed().await.ok()?;
    }
}
