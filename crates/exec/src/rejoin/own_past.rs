//! A server that lost what it had written itself (a backup, a disk that had not kept its promise)
//! gets it back from the others. A replica passes over events with its own `server_id` without a
//! word, so it has another one meanwhile.

use primacy_types::{AbsenceState, Address, ClusterSnapshot};

use super::{absence, executed};
use crate::error::StepError;
use crate::{Cluster, borrowed_id, look};

/// Gives the server another `server_id`, until it has all that the primary has now.
pub(super) async fn forget_its_number(
    cluster: &Cluster,
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Result<AbsenceState, StepError> {
    let limit = cluster.policy.timing.statement_limit;
    let until = executed(cluster, primary, limit).await?;
    let doing = "giving it another server_id";
    let at = || StepError::at(server, doing);
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at())?;
    let facts = look::facts(&mut link, limit).await.map_err(at())?;
    // One that was interrupted here has its own number on record.
    let server_id = match snapshot.absent.get(server).map(|absence| &absence.state) {
        Some(AbsenceState::Relearning { server_id, temporary, .. })
            if facts.server_id == *temporary =>
        {
            *server_id
        }
        _ => facts.server_id,
    };
    let temporary = borrowed_id::free(snapshot);
    borrowed_id::stop_receiver(cluster, &mut link, &facts, limit).await.map_err(at())?;
    borrowed_id::set(&mut link, temporary, limit).await.map_err(at())?;
    Ok(AbsenceState::Relearning { server_id, temporary, until })
}

/// Gives a server its own `server_id` back once it has what it had lost; false if it has not yet.
///
/// # Errors
/// If it cannot be asked or changed; and if it was restarted meanwhile, so that it may have passed
/// over events of its own.
pub async fn finish_relearning(
    cluster: &Cluster,
    server: &Address,
    state: &AbsenceState,
) -> Result<bool, StepError> {
    let AbsenceState::Relearning { server_id, temporary, until } = state else {
        return Ok(false);
    };
    let limit = cluster.policy.timing.statement_limit;
    let at = |doing| StepError::at(server, doing);
    let doing = "giving it its server_id back";
    let mut link = cluster.links.to(server, limit.as_duration()).await.map_err(at(doing))?;
    let facts = look::facts(&mut link, limit).await.map_err(at(doing))?;
    if facts.server_id == *temporary {
        if !facts.executed.covers(until) {
            return Ok(false);
        }
        borrowed_id::read_as(cluster, &mut link, &facts, *server_id).await.map_err(at(doing))?;
    } else if !facts.executed.covers(until) {
        if facts.version.is_mariadb() {
            // A position does not say what was passed over.
            return Err(StepError::impossible(
                server,
                "it was restarted while it got back what it wrote itself, and may have passed \
                 over some of it: `primacy rebuild` it",
            ));
        }
        // MySQL asks again for what it has not executed.
        borrowed_id::read_as(cluster, &mut link, &facts, *temporary).await.map_err(at(doing))?;
        return Ok(false);
    }
    absence::end(cluster, server).await?;
    Ok(true)
}
