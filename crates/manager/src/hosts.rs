//! Finds the hosts that can be reached besides SQL, and watches the servers' processes there.

mod by_agent;
mod over_ssh;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use primacy_agent_api::AgentClient;
use primacy_config::BinlogCopyConfig;
use primacy_exec::{Eyes, Hosts, identity};
use primacy_host::{Ability, HostAccess, LocalHost, ServerIdentity, SshHost, StartProgram};
use primacy_types::{
    Address, ClusterSnapshot, Contact, FenceRung, FileAccess, HostAccessKind, Millis, ProcessState,
    ServerFacts, SshSettings,
};
use tokio::task::JoinHandle;

use crate::observatory::Observatory;

/// How often it is tried to find a server's process, and looked at while something is wrong.
const SEARCH: Duration = Duration::from_secs(1);

/// How often it is looked whether the server has said what its process is recognised by.
const FIRST: Duration = Duration::from_millis(50);

/// How often the process of a server that does not answer is looked at.
const CLOSE_LOOK: Duration = Duration::from_millis(100);

/// How long the agent of a server that has just stopped to answer is given to say what it sees.
const AGENT: Millis = Millis(500);

/// Limit of one question to the operating system.
const LIMIT: Duration = Duration::from_secs(2);

/// Watches the host of each server for as long as the observatory lives.
pub(crate) fn start(
    servers: &[Address],
    ssh: &SshSettings,
    agents: &BTreeMap<Address, Arc<AgentClient>>,
    observatory: &Arc<Observatory>,
    hosts: &Arc<Hosts>,
) -> Vec<JoinHandle<()>> {
    let mut tasks = Vec::new();
    for server in servers.iter().cloned() {
        let (seen, hosts) = (Arc::downgrade(observatory), Arc::clone(hosts));
        let policy = observatory.policy().server(&server);
        match policy.host_access {
            HostAccessKind::None => {}
            HostAccessKind::Ssh => {
                tasks.push(tokio::spawn(over_ssh::watch(server, ssh.of(&policy.ssh), seen, hosts)));
            }
            HostAccessKind::Agent => {
                if let Some(client) = agents.get(&server) {
                    let client = Arc::clone(client);
                    tasks.push(tokio::spawn(by_agent::watch(server, client, seen, hosts)));
                }
            }
            HostAccessKind::Auto | HostAccessKind::Local => {
                tasks.push(tokio::spawn(watch(server, seen, hosts)));
            }
        }
    }
    tasks
}

/// Ways to the folders in which others keep copies of the primary's binary logs.
pub(crate) fn copies(
    configured: &[BinlogCopyConfig],
    ssh: &SshSettings,
) -> Vec<(PathBuf, Arc<dyn HostAccess>)> {
    let reached = configured.iter().filter_map(|copy| {
        let settings = ssh.of(&copy.ssh);
        let host = settings.host.clone().unwrap_or_default();
        // It is no server: what is said of it names its host and where sshd listens.
        let place = Address::new(host, settings.port.unwrap_or(22));
        match SshHost::new(&ServerIdentity::new(place), settings) {
            Ok(host) => Some((copy.folder.clone(), Arc::new(host) as Arc<dyn HostAccess>)),
            Err(error) => {
                let folder = copy.folder.display();
                tracing::warn!(%error, "the copies of binary logs in {folder} cannot be reached");
                None
            }
        }
    });
    reached.collect()
}

/// Whether a server of which something is known has a host over ssh that was not heard of yet.
pub(crate) fn are_asked(snapshot: &ClusterSnapshot) -> bool {
    snapshot.servers.iter().any(|(server, seen)| {
        let over_ssh = snapshot.policy.server(server).host_access == HostAccessKind::Ssh;
        over_ssh && seen.facts.is_some() && seen.files.is_none()
    })
}

/// Whether the agent of a primary that does not answer has not yet said what became of its process: it
/// looks at moments of its own, and one that could not see the process (in a container's namespace) can
/// keep down what it then finds ended.
pub(crate) fn agent_looks(snapshot: &ClusterSnapshot) -> bool {
    let Some(primary) = &snapshot.primary else { return false };
    let Some(server) = snapshot.server(primary) else { return false };
    let Contact::Failing { since, .. } = server.contact else { return false };
    let by_agent = snapshot.policy.server(primary).host_access == HostAccessKind::Agent;
    let unknown = server.process.is_none() && server.fences.is_empty();
    by_agent && unknown && snapshot.now.since(since) < AGENT
}

/// How its process is recognised, and what the manager's file starts it with.
fn known_as(server: &Address, facts: &ServerFacts, seen: &Observatory) -> ServerIdentity {
    let mut identity = identity(server, facts);
    let words = seen.policy().server(server).start;
    identity.start = (!words.is_empty()).then_some(StartProgram { words, output: None });
    identity
}

fn file_access(ability: Ability) -> FileAccess {
    match ability {
        Ability::Yes => FileAccess::Readable,
        Ability::No(reason) => FileAccess::Unreadable(reason),
    }
}

async fn watch(server: Address, observatory: Weak<Observatory>, hosts: Arc<Hosts>) {
    let Some(host) = find(&server, &observatory).await else { return };
    hosts.set(server.clone(), Arc::clone(&host));
    let mut wait = SEARCH;
    loop {
        let Some(seen) = observatory.upgrade() else { return };
        match host.process(LIMIT).await {
            Ok(state) => {
                seen.set_process(&server, Some(state));
                // What could be killed while it ran can be kept down now that it is gone.
                if let Ok(able) = host.capability(LIMIT).await {
                    if !matches!(state, ProcessState::Exited { .. }) {
                        let kill = able.kill.is_yes();
                        let rungs = if kill { vec![FenceRung::Local] } else { Vec::new() };
                        seen.set_fences(&server, rungs);
                    }
                    seen.set_files(&server, Some(file_access(able.read_files)));
                }
            }
            Err(error) => tracing::debug!(%server, %error, "its process could not be looked at"),
        }
        drop(seen);
        tokio::select! {
            state = host.exited() => {
                let Some(seen) = observatory.upgrade() else { return };
                tracing::info!(%server, ?state, "its process has ended");
                seen.set_process(&server, Some(state));
                // Its own connection is the first to be looked at: until it has failed too, what
                // was last heard of the server counts.
                seen.nudge_all();
                wait = CLOSE_LOOK;
            }
            () = tokio::time::sleep(wait) => {
                let Some(seen) = observatory.upgrade() else { return };
                let snapshot = seen.remembered();
                let answers = snapshot.live(&server).is_some();
                let running = matches!(
                    snapshot.server(&server).and_then(|s| s.process),
                    Some(ProcessState::Running { .. })
                );
                wait = if answers && running { SEARCH } else { CLOSE_LOOK };
            }
        }
    }
}

/// Tries until the server is found to run here, or is known to run elsewhere.
async fn find(server: &Address, observatory: &Weak<Observatory>) -> Option<Arc<dyn HostAccess>> {
    loop {
        let seen = observatory.upgrade()?;
        let snapshot = seen.remembered();
        let facts = snapshot.live(server).cloned();
        let observed = snapshot.server(server);
        if facts.is_none()
            && let Some(known) = observed.and_then(|s| s.facts.as_ref())
            && observed.is_some_and(|s| s.contact.failure().is_some())
            && seen.was_local(server)
        {
            // It ran here before the manager was restarted, and does not answer any more.
            match LocalHost::expected(&known_as(server, known, &seen), LIMIT).await {
                Ok(host) => {
                    seen.set_fences(server, vec![FenceRung::Local]);
                    return Some(Arc::new(host));
                }
                Err(error) => tracing::debug!(%server, %error, "its process was not found"),
            }
        }
        let expected = seen.policy().server(server).host_access == HostAccessKind::Local;
        let wanted = facts.map(|facts| known_as(server, &facts, &seen));
        drop(seen);
        if let Some(wanted) = wanted {
            match LocalHost::find(&wanted, LIMIT).await {
                Ok(Some(host)) => {
                    observatory.upgrade()?.keep_where(server, true);
                    return Some(Arc::new(host));
                }
                Ok(None) if expected => {
                    tracing::warn!(%server, "host_access = \"local\", but its process is not found here");
                }
                Ok(None) => {
                    observatory.upgrade()?.keep_where(server, false);
                    return None;
                }
                Err(error) => tracing::debug!(%server, %error, "its process was not found"),
            }
            tokio::time::sleep(SEARCH).await;
        } else {
            tokio::time::sleep(FIRST).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use primacy_plan::testing::{addr, cluster};
    use primacy_types::ContactFailure;

    use super::*;

    #[test]
    fn an_agent_has_a_moment_to_say_what_it_sees_of_a_dead_primary() {
        let killed = |ago| cluster(["a", "b"]).failing("a", ContactFailure::Refused, ago, 3);
        assert!(!agent_looks(&killed(200).snapshot), "it has no agent");
        let with_agent = |ago| {
            let mut world = killed(ago);
            let servers = &mut world.snapshot.policy.servers;
            servers.entry(addr("a")).or_default().host_access = HostAccessKind::Agent;
            world
        };
        assert!(agent_looks(&with_agent(200).snapshot));
        assert!(!agent_looks(&with_agent(500).snapshot), "it had its time");
        let mut seen = with_agent(200);
        seen.server("a").fences = vec![FenceRung::Agent];
        assert!(!agent_looks(&seen.snapshot));
        assert!(!agent_looks(&cluster(["a", "b"]).snapshot), "it answers");
    }

    #[test]
    fn hosts_over_ssh_are_asked_until_each_has_answered() {
        let mut world = cluster(["a", "b"]);
        for name in ["a", "b"] {
            world.server(name).files = None;
        }
        assert!(!are_asked(&world.snapshot), "nobody is to be reached over ssh");
        for name in ["a", "b"] {
            let policy = &mut world.snapshot.policy.servers;
            policy.entry(addr(name)).or_default().host_access = HostAccessKind::Ssh;
        }
        assert!(are_asked(&world.snapshot));
        world.server("a").files = Some(FileAccess::Readable);
        assert!(are_asked(&world.snapshot));
        world.server("b").files = Some(FileAccess::Unreadable("Permission denied".to_owned()));
        assert!(!are_asked(&world.snapshot), "a refusal is an answer");
        // Of one that never said anything there is nothing to be asked.
        world.server("a").files = None;
        world.server("a").facts = None;
        assert!(!are_asked(&world.snapshot));
    }
}
