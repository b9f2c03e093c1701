//! Everything that stands against a failover or switchover, or makes it risky.

mod hosts;

use std::sync::Arc;

use primacy_api::{CheckReport, HostReport, Incomplete};
use primacy_plan::{findings, host_findings, promises};
use primacy_probe::grants::{self, Purpose};
use primacy_types::Address;

use crate::setup::Watched;

/// Looks at the cluster now and says what was found. Replicas in `closed` count as read-only: who asks
/// knows that they accept writes, and will be made so.
pub(crate) async fn check(watched: &Arc<Watched>, closed: &[Address]) -> CheckReport {
    let cluster = &watched.cluster;
    let limit = cluster.policy.timing.statement_limit.as_duration();
    let mut snapshot = cluster.eyes.look(limit).await;
    for server in closed {
        let seen = snapshot.servers.get_mut(server);
        if let Some(facts) = seen.and_then(|server| server.facts.as_mut()) {
            facts.read_only = true;
        }
    }
    let mut incomplete = Vec::new();
    for (server, gaps) in watched.observatory.gaps() {
        incomplete.extend(gaps.into_iter().map(|gap| Incomplete {
            server: server.clone(),
            sentence: format!("{} could not be seen: {}", gap.what, gap.error),
            mend: gap.privilege_needed.map(|p| format!("grant {p} to the manager's account")),
        }));
    }
    let live: Vec<Address> = snapshot.all_live().map(|(a, _)| a.clone()).collect();
    for server in live {
        match missing_grants(watched, &server).await {
            Ok(more) => incomplete.extend(more),
            Err(error) => incomplete.push(Incomplete {
                server,
                sentence: format!("its privileges could not be read: {error}"),
                mend: None,
            }),
        }
    }
    let mut findings = findings(&snapshot);
    findings.extend(watched.hook_programs.iter().filter_map(crate::hooks::unusable));
    let hosts = hosts::look(watched).await;
    findings.extend(host_findings(&snapshot, &hosts));
    findings.sort_by_key(|finding| finding.severity);
    let hosts = hosts
        .hosts
        .into_iter()
        .map(|host| HostReport { promises: promises(&snapshot, &host).to_vec(), host });
    CheckReport { cluster: cluster.name.clone(), findings, incomplete, hosts: hosts.collect() }
}

async fn missing_grants(
    watched: &Watched,
    server: &Address,
) -> Result<Vec<Incomplete>, primacy_wire::WireError> {
    let limit = watched.cluster.policy.timing.statement_limit.as_duration();
    let mut link = watched.cluster.links.to(server, limit).await?;
    let missing = grants::missing_grants(&mut link, Purpose::Manager, limit).await?;
    let account = format!("'{}'@'%'", watched.cluster.manager_user);
    Ok(missing
        .into_iter()
        .map(|grant| Incomplete {
            server: server.clone(),
            sentence: format!(
                "the manager's account lacks {} on {}{}: {}",
                grant.privileges.join(", "),
                grant.object,
                if grant.optional { " (optional)" } else { "" },
                grant.reason
            ),
            mend: Some(grant.sql(&account)),
        })
        .collect())
}
