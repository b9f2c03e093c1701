//! Attaching the replicas whose acknowledgements the new primary will wait for.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use primacy_types::{Address, Millis};

use serde_json::Value;

use super::{Course, POLL, point};
use crate::error::StepError;
use crate::shared::Shared;
use crate::{Cluster, look};

/// Points all `replicas` to `source` at once and returns as soon as `needed` of them are seen
/// there as semi-sync clients. The others go on in the repoint steps that follow: one that hangs
/// does not hold up the promotion.
pub(super) async fn attach(
    cluster: &Cluster,
    source: &Address,
    replicas: &[Address],
    needed: u16,
    limit: Millis,
    before: &Value,
    shared: &Shared,
) -> Result<String, StepError> {
    let courses: Vec<_> =
        replicas.iter().map(|replica| (replica, Course::of(before, replica, shared))).collect();
    let mut moves: FuturesUnordered<_> = courses
        .iter()
        .map(|(replica, course)| async move {
            (*replica, point(cluster, replica, source, limit, course).await)
        })
        .collect();
    // Counting and moving take turns on the source's control connection, so both must go on.
    let counting = async {
        loop {
            let seen = clients(cluster, source, limit).await?;
            if seen >= u32::from(needed) {
                return Ok::<u32, StepError>(seen);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::pin!(counting);
    let end = tokio::time::sleep(limit.as_duration());
    tokio::pin!(end);
    let (mut failed, mut reasons) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            seen = &mut counting => {
                return Ok(format!("{} replica(s) acknowledge to {source}", seen?));
            }
            Some((replica, moved)) = moves.next(), if !moves.is_empty() => {
                if let Err(error) = moved {
                    failed.push(replica.clone());
                    reasons.push(error.to_string());
                }
                if replicas.len() - failed.len() < usize::from(needed) {
                    let what = format!("too few are left to acknowledge: {}", reasons.join("; "));
                    let server = source.clone();
                    return Err(StepError::NotAttached { server, what, failed, limit });
                }
            }
            () = &mut end => {
                let mut what = format!("fewer than {needed} semi-sync replicas are attached");
                if !reasons.is_empty() {
                    what = format!("{what}: {}", reasons.join("; "));
                }
                let server = source.clone();
                return Err(StepError::NotAttached { server, what, failed, limit });
            }
        }
    }
}

async fn clients(cluster: &Cluster, source: &Address, limit: Millis) -> Result<u32, StepError> {
    let doing = "counting semi-sync clients";
    let mut link = cluster
        .links
        .to(source, limit.as_duration())
        .await
        .map_err(StepError::at(source, doing))?;
    let facts = look::facts(&mut link, limit).await.map_err(StepError::at(source, doing))?;
    Ok(facts.semi_sync.clients)
}
