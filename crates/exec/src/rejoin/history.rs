//! All that a returned server and the primary know of their histories.

use primacy_errant::{ErrantError, States};
use primacy_plan::rejoin::{History, Returned};
use primacy_types::{Address, ClusterSnapshot, MySqlGtidSet, TransactionSet};
use primacy_wire::WireError;

use crate::error::StepError;
use crate::links::Link;
use crate::{Cluster, look};

/// Asks both.
pub(super) async fn read(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Result<Returned, StepError> {
    // The returned server stands still; what the primary writes meanwhile only adds to what it has.
    let (server_id, own) = of(cluster, server).await?;
    let (_, theirs) = of(cluster, primary).await?;
    let others = snapshot
        .servers
        .iter()
        .filter(|(address, _)| *address != server)
        .filter_map(|(_, seen)| seen.facts.as_ref()?.server_uuid.clone())
        .collect();
    Ok(Returned { server_id, own, primary: theirs, others })
}

async fn of(cluster: &Cluster, server: &Address) -> Result<(u32, History), StepError> {
    let limit = cluster.policy.timing.statement_limit;
    let at = || StepError::at(server, "asking what it has");
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at())?;
    let facts = look::facts(&mut link, limit).await.map_err(at())?;
    let history = match &facts.executed {
        TransactionSet::MySql(executed) => History::MySql {
            executed: executed.clone(),
            purged: purged(&mut link, cluster).await.map_err(at())?,
        },
        TransactionSet::MariaDb(position) => {
            let mut states = states(&mut link, server).await?;
            states.add(position.iter());
            History::MariaDb { last: states.iter().collect() }
        }
        TransactionSet::UpTo(_) => {
            return Err(StepError::impossible(server, "its transactions have no GTIDs"));
        }
    };
    Ok((facts.server_id, history))
}

async fn purged(link: &mut Link, cluster: &Cluster) -> Result<MySqlGtidSet, WireError> {
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let rows = link.query("SELECT @@global.gtid_purged", limit).await?;
    let text = rows.first().and_then(|row| row.at(0)).unwrap_or_default();
    let address = link.address().clone();
    text.parse().map_err(|error| WireError::Protocol {
        address,
        reason: format!("gtid_purged cannot be read: {error}"),
    })
}

async fn states(link: &mut Link, server: &Address) -> Result<States, StepError> {
    States::read(link).await.map_err(|error| failed(server, error))
}

/// Why a server's own transactions could not be found or copied.
pub(super) fn failed(server: &Address, error: ErrantError) -> StepError {
    match error {
        ErrantError::Wire(source) => StepError::at(server, "reading its binary logs")(source),
        other => StepError::impossible(server, other.to_string()),
    }
}
