//! Looks at the hosts of a cluster for `primacy check`: all at once, each within a limit.

use std::time::Duration;

use primacy_agent_api::{AgentClient, WhoAmI, paths};
use primacy_exec::{Called, Eyes as _};
use primacy_host::{Ability, HostAccess, Way};
use primacy_plan::{AgentSeen, Can, HostSeen, HostsSeen};
use primacy_types::{Address, HostAccessKind, Promotion, WallClock};

use crate::setup::Watched;

/// Limit of what is asked of one host. A login over ssh takes the longest.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks all of them.
pub(super) async fn look(watched: &Watched) -> HostsSeen {
    let servers = watched.observatory.remembered().servers.into_keys().collect::<Vec<_>>();
    let asked = servers.iter().map(async |server| {
        let (mut host, script, address) = tokio::join!(
            look_at(watched, server),
            ask_script(watched, server),
            ask_failover_script(watched, server)
        );
        (host.script, host.address_script) = (script, address);
        host
    });
    let mut hosts = futures_util::future::join_all(asked).await;
    let leased = leases_are_in_force(watched, &servers);
    for host in &mut hosts {
        host.lease = lease(watched, host, leased);
    }
    let now = seconds(watched.cluster.clock.wall());
    let certificate_left =
        watched.credentials.as_ref().map(|shown| shown.own().expires_at.saturating_sub(now));
    HostsSeen { version: env!("CARGO_PKG_VERSION").to_owned(), certificate_left, hosts }
}

fn seconds(at: WallClock) -> i64 {
    i64::try_from(at.0 / 1000).unwrap_or(i64::MAX)
}

fn can(ability: Ability) -> Can {
    match ability {
        Ability::Yes => Can::Yes,
        Ability::No(reason) => Can::No(reason),
    }
}

async fn look_at(watched: &Watched, server: &Address) -> HostSeen {
    let host = watched.cluster.hosts.of(server);
    let way = match (watched.cluster.policy.server(server).host_access, &host) {
        (HostAccessKind::Auto, Some(host)) if host.way() == Way::Local => HostAccessKind::Local,
        (HostAccessKind::Auto, _) => HostAccessKind::None,
        (wanted, _) => wanted,
    };
    let mut seen = HostSeen::new(server.clone(), way);
    if let Some(client) = watched.agents.get(server) {
        match ask_agent(watched, client, server).await {
            Ok(agent) => seen.agent = Some(agent),
            Err(reason) => {
                seen.unreached = Some(reason);
                return seen;
            }
        }
        if seen.agent.as_ref().is_some_and(|agent| !agent.serves.contains(server)) {
            return seen;
        }
    }
    match host {
        Some(host) => look_through(watched, host.as_ref(), &mut seen).await,
        // It is looked for as long as it was not reached.
        None if way != HostAccessKind::None => {
            seen.unreached = Some("it was not reached yet".to_owned());
        }
        None => {}
    }
    seen
}

/// Whether the last rung could be climbed, by the script's own word.
async fn ask_script(watched: &Watched, server: &Address) -> Can {
    let may_be_primary = watched.cluster.policy.server(server).promotion != Promotion::Never;
    match &watched.cluster.shutdown {
        Some(script) if may_be_primary => match script.status(server).await {
            Ok(()) => Can::Yes,
            Err(outcome) => Can::No(outcome.to_string()),
        },
        _ => Can::Unasked,
    }
}

/// Whether the script that moves the applications' address could take it from this server. It is
/// asked about the primary, as MHA asks it.
async fn ask_failover_script(watched: &Watched, server: &Address) -> Can {
    if watched.observatory.remembered().primary.as_ref() != Some(server) {
        return Can::Unasked;
    }
    match watched.cluster.scripts.status(server).await {
        None => Can::Unasked,
        Some(Ok(Called::Done(_))) => Can::Yes,
        Some(Ok(Called::Warned(outcome)) | Err(outcome)) => Can::No(outcome.to_string()),
    }
}

async fn look_through(watched: &Watched, host: &dyn HostAccess, seen: &mut HostSeen) {
    match host.capability(LIMIT).await {
        Ok(able) => {
            seen.watch = can(able.watch);
            seen.kill = can(able.kill);
            seen.read_files = can(able.read_files);
            seen.mask_unit = able.mask_unit.map(can).unwrap_or_default();
            seen.unit = able.unit;
            if watched.wants_addresses {
                seen.addresses = able.addresses.map(can).unwrap_or_default();
            }
        }
        // An agent that answers, and does not find its server's process.
        Err(error) if seen.agent.is_some() => seen.watch = Can::No(error.to_string()),
        Err(error) => seen.unreached = Some(error.to_string()),
    }
}

async fn ask_agent(
    watched: &Watched,
    client: &AgentClient,
    server: &Address,
) -> Result<AgentSeen, String> {
    let asked = tokio::time::Instant::now();
    let said: WhoAmI =
        client.ask(paths::WHO, &(), LIMIT).await.map_err(|error| error.to_string())?;
    let now = watched.cluster.clock.wall();
    // Its clock was read somewhere between the question and the answer.
    let on_the_way = u64::try_from(asked.elapsed().as_millis() / 2).unwrap_or_default();
    let ahead = said.wall_clock.map(|theirs| {
        let signed = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
        signed(theirs.0).saturating_sub(signed(now.0.saturating_sub(on_the_way)))
    });
    let own = said.servers.iter().find(|served| served.server == *server);
    Ok(AgentSeen {
        address: client.agent().clone(),
        version: said.version,
        name: said.name,
        certificate_left: said.certificate_expires_at.saturating_sub(seconds(now)),
        lease: said.lease,
        clock_ahead: ahead,
        login: own.and_then(|served| served.login.clone()),
        guarded: own.and_then(|served| served.guarded),
        serves: said.servers.into_iter().map(|served| served.server).collect(),
    })
}

/// Every server that may be promoted has an agent.
fn leases_are_in_force(watched: &Watched, servers: &[Address]) -> bool {
    let policy = &watched.cluster.policy;
    servers.iter().all(|server| {
        policy.server(server).promotion == Promotion::Never || watched.agents.contains_key(server)
    })
}

fn lease(watched: &Watched, host: &HostSeen, in_force: bool) -> Can {
    let no = |reason: &str| Can::No(reason.to_owned());
    if host.way != HostAccessKind::Agent {
        return Can::Unasked;
    }
    if !in_force {
        return no("leases are not in force: not every server that may be promoted has an agent");
    }
    match &host.agent {
        None => no("its agent is not reached"),
        Some(agent) if !agent.serves.contains(&host.server) => no("its agent does not know it"),
        Some(agent) if agent.guarded == Some(false) => {
            no("its agent has no guard that can kill it")
        }
        Some(agent) if agent.lease.is_some_and(|l| l != watched.cluster.policy.timing.lease) => {
            no("its agent counts with another length of lease")
        }
        Some(_) => Can::Yes,
    }
}
