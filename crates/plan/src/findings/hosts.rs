//! Checks of the hosts: what cannot be done there, and what is wrong with agents and certificates.
//! They are a table of their own, since they look at more than the snapshot.

use std::borrow::Cow;

use primacy_types::{Address, ClusterSnapshot, HostAccessKind, Promotion};

use super::view::{Hit, and};
use super::{Finding, Severity};
use crate::hosts::{AgentSeen, HostSeen, HostsSeen};

/// Certificates are renewed before so many days are left.
const SOON: i64 = 30;

/// With fewer days left somebody has to act now.
const NOW: i64 = 3;

const DAY: i64 = 24 * 3600;

/// Wall clocks that differ by more milliseconds than this are named.
const CLOCKS: i64 = 5_000;

/// What the checks look at.
struct Seen<'a> {
    snapshot: &'a ClusterSnapshot,
    hosts: &'a HostsSeen,
}

/// One check.
struct Check {
    code: &'static str,
    severity: Severity,
    title: &'static str,
    doc: &'static str,
    find: fn(&Seen<'_>) -> Vec<Hit>,
}

const fn check(
    code: &'static str,
    severity: Severity,
    find: fn(&Seen<'_>) -> Vec<Hit>,
    title: &'static str,
    doc: &'static str,
) -> Check {
    Check { code, severity, title, doc, find }
}

#[rustfmt::skip]
static CHECKS: &[Check] = {
    use Severity::{Advice, Risk};
    &[
        check("host-unreached", Risk, unreached,
            "A host cannot be reached the way that the configuration says",
            "Its server cannot be fenced there and its logs cannot be read, as long as that is so."),
        check("host-cannot-kill", Risk, cannot_kill,
            "A server's process could not be killed",
            "Were it the primary and hung, this rung of the fencing ladder would fail."),
        check("host-files-unreadable", Advice, unreadable,
            "The logs on the host of a server that may become primary cannot be read",
            "Once it is primary and dies, what nobody received stays on its disk. For the present primary `no-file-access` says so."),
        check("unit-not-masked", Advice, unmasked,
            "The unit of a server cannot be masked",
            "While the server is to stay down, systemd starts it again and again, and each process is killed as soon as it is seen."),
        check("agent-unaware", Risk, unaware,
            "An agent does not look after the server that it is asked for",
            "It answers, and can do nothing for that server: the address must stand in its configuration exactly as in the manager's."),
        check("agent-login", Risk, login,
            "An agent cannot log in to its server",
            "It cannot make it read-only when its lease runs out, and kills it instead."),
        check("agent-unguarded", Risk, unguarded,
            "An agent runs without its guard",
            "If the agent dies or hangs, nobody keeps the server to its lease, so that an expired lease proves nothing."),
        check("agent-lease-differs", Risk, lease_differs,
            "An agent counts with another length of lease than the manager",
            "Then it does not take leases; `lease` in its configuration must be what `timing.lease` is here."),
        check("agent-version-differs", Advice, version_differs,
            "An agent is of another version than the manager",
            "They understand each other as far as both know a request; what one of them does not know is refused."),
        check("leases-not-in-force", Advice, no_leases,
            "Some servers have an agent, and leases are not in force",
            "They need an agent at every server that may be promoted; without them a primary that is cut off goes on accepting writes until it is fenced."),
        check("addresses-impossible", Risk, addresses,
            "A host cannot take the cluster's virtual addresses",
            "If its server becomes primary, applications do not find it under them."),
        check("certificate-expiring", Risk, expiring,
            "A certificate has expired or will within three days",
            "Manager and agents then refuse each other: no lease is renewed, which closes the primary, and nothing can be fenced by agents."),
        check("certificate-expires-soon", Advice, expires_soon,
            "A certificate expires within thirty days",
            "When it has, manager and agents refuse each other. Renewed files are taken up within ten seconds."),
        check("clocks-differ", Advice, clocks,
            "The clock of an agent's host differs from the manager's",
            "Leases do not depend on it; the validity of certificates and the times in logs do."),
        check("shutdown-script-fails", Risk, script,
            "`shutdown_script` says that it cannot stop a server",
            "It was called with `--command=status`. The last rung of the fencing ladder would fail."),
        check("failover-script-fails", Risk, address_script,
            "`failover_script` says that it cannot do its work",
            "It was called with `--command=status`. A failover does not begin when it fails with `--command=stop`, and is held when it fails with `--command=start`."),
    ]
};

/// Everything that is found of the hosts, the weightiest first.
pub fn host_findings(snapshot: &ClusterSnapshot, hosts: &HostsSeen) -> Vec<Finding> {
    let seen = Seen { snapshot, hosts };
    let mut found = Vec::new();
    for check in CHECKS {
        found.extend((check.find)(&seen).into_iter().map(|hit| Finding {
            code: Cow::Borrowed(check.code),
            severity: check.severity,
            server: hit.server,
            sentence: hit.sentence,
            mend: hit.mend,
        }));
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// The checks as a part of the reference.
pub(super) fn reference() -> String {
    let mut page = String::new();
    for check in CHECKS {
        page.push_str(&format!(
            "\n## `{}`\n\n{}. {}\n\n- Severity: {}.\n",
            check.code, check.title, check.doc, check.severity
        ));
    }
    page
}

impl Seen<'_> {
    fn reached(&self) -> impl Iterator<Item = &HostSeen> {
        self.hosts.hosts.iter().filter(|host| host.unreached.is_none())
    }

    fn agents(&self) -> impl Iterator<Item = (&HostSeen, &AgentSeen)> {
        self.reached().filter_map(|host| Some((host, host.agent.as_ref()?)))
    }

    fn may_be_primary(&self, server: &Address) -> bool {
        self.snapshot.policy.server(server).promotion != Promotion::Never
    }
}

fn unreached(seen: &Seen<'_>) -> Vec<Hit> {
    let hosts = seen.hosts.hosts.iter().filter_map(|host| Some((host, host.unreached.as_ref()?)));
    hosts
        .map(|(host, reason)| {
            let (way, mend) = match host.way {
                HostAccessKind::Agent => (
                    "by its agent",
                    "see that `primacy agent` runs there and is reached (port 7620), and that \
                     both sides show certificates of the same authority (`primacy certs show`)",
                ),
                HostAccessKind::Ssh => {
                    ("over ssh", "log in by hand as the manager's user does, with the same options")
                }
                _ => ("", "let the manager run on the server's machine"),
            };
            Hit::on(
                &host.server,
                format!(
                    "the host of {} is not reached {way}: {}",
                    host.server,
                    reason.trim_end_matches('.')
                ),
                mend,
            )
        })
        .collect()
}

fn cannot_kill(seen: &Seen<'_>) -> Vec<Hit> {
    let hosts = seen.reached().filter_map(|host| Some((host, host.kill.reason()?)));
    hosts
        .filter(|(host, _)| seen.snapshot.live(&host.server).is_some())
        .map(|(host, reason)| {
            Hit::on(
                &host.server,
                format!("the process of {} could not be killed: {reason}", host.server),
                "mend what is said there, so that the server can be fenced",
            )
        })
        .collect()
}

fn unreadable(seen: &Seen<'_>) -> Vec<Hit> {
    let hosts = seen.reached().filter_map(|host| Some((host, host.read_files.reason()?)));
    hosts
        .filter(|(host, _)| {
            seen.snapshot.primary.as_ref() != Some(&host.server)
                && seen.may_be_primary(&host.server)
        })
        .map(|(host, reason)| {
            Hit::on(
                &host.server,
                format!("the logs of {} cannot be read on its host: {reason}", host.server),
                "mend what is said there before it becomes primary",
            )
        })
        .collect()
}

fn unmasked(seen: &Seen<'_>) -> Vec<Hit> {
    let hosts = seen.reached().filter_map(|host| Some((host, host.mask_unit.reason()?)));
    hosts
        .map(|(host, reason)| {
            let unit = host.unit.as_deref().unwrap_or("its unit");
            Hit::on(
                &host.server,
                format!("{unit}, which starts {}, cannot be masked: {reason}", host.server),
                "nothing has to be done: what it starts while the server is fenced is killed",
            )
        })
        .collect()
}

fn unaware(seen: &Seen<'_>) -> Vec<Hit> {
    let agents = seen.agents().filter(|(host, agent)| !agent.serves.contains(&host.server));
    agents
        .map(|(host, agent)| {
            let knows = match agent.serves.as_slice() {
                [] => "no server".to_owned(),
                serves => and(serves),
            };
            Hit::on(
                &host.server,
                format!(
                    "the agent {} looks after {knows}, not after {}",
                    agent.address, host.server
                ),
                format!(
                    "[[agent.server]] address = \"{}\" in the agent's configuration",
                    host.server
                ),
            )
        })
        .collect()
}

fn login(seen: &Seen<'_>) -> Vec<Hit> {
    let agents = seen.agents().filter_map(|(host, agent)| Some((host, agent.login.as_ref()?)));
    agents
        .filter(|(host, _)| seen.snapshot.live(&host.server).is_some())
        .map(|(host, reason)| {
            Hit::on(
                &host.server,
                format!(
                    "the agent of {} cannot log in to it: {}",
                    host.server,
                    reason.trim_end_matches('.')
                ),
                "primacy grants --purpose agent prints the account that it needs",
            )
        })
        .collect()
}

fn unguarded(seen: &Seen<'_>) -> Vec<Hit> {
    let agents = seen.agents().filter(|(_, agent)| agent.guarded == Some(false));
    agents
        .filter(|(host, _)| seen.snapshot.live(&host.server).is_some())
        .map(|(host, agent)| {
            Hit::on(
                &host.server,
                format!("the agent {} of {} has no guard that can kill it", agent.address, host.server),
                "see under KILL what it lacks; if the guard has ended, restart the agent: its log says why",
            )
        })
        .collect()
}

fn lease_differs(seen: &Seen<'_>) -> Vec<Hit> {
    let ours = seen.snapshot.policy.timing.lease;
    let agents = seen.agents().filter_map(|(host, agent)| Some((host, agent, agent.lease?)));
    agents
        .filter(|(.., theirs)| *theirs != ours)
        .map(|(host, agent, theirs)| {
            Hit::on(
                &host.server,
                format!(
                    "the agent {} counts with leases of {theirs}, the manager with {ours}",
                    agent.address
                ),
                format!("lease = \"{}ms\" in [agent] there, or another timing.lease here", ours.0),
            )
        })
        .collect()
}

fn version_differs(seen: &Seen<'_>) -> Vec<Hit> {
    let agents = seen.agents().filter(|(_, agent)| agent.version != seen.hosts.version);
    agents
        .map(|(host, agent)| {
            Hit::on(
                &host.server,
                format!(
                    "the agent {} is of version {}, the manager of {}",
                    agent.address, agent.version, seen.hosts.version
                ),
                "install the same version on both; agents first",
            )
        })
        .collect()
}

fn no_leases(seen: &Seen<'_>) -> Vec<Hit> {
    let policy = &seen.snapshot.policy;
    let has_agent = |server: &Address| policy.server(server).host_access == HostAccessKind::Agent;
    let servers = || seen.snapshot.servers.keys();
    let without: Vec<Address> =
        servers().filter(|s| seen.may_be_primary(s) && !has_agent(s)).cloned().collect();
    if without.is_empty() || !servers().any(has_agent) {
        return Vec::new();
    }
    vec![Hit::cluster(
        format!("leases are not in force: {} may be promoted without an agent", and(&without)),
        "host_access = \"agent\" for every server that may be promoted, or promotion = \"never\"",
    )]
}

fn addresses(seen: &Seen<'_>) -> Vec<Hit> {
    let hosts = seen.reached().filter_map(|host| Some((host, host.addresses.reason()?)));
    hosts
        .map(|(host, reason)| {
            Hit::on(
                &host.server,
                format!("the agent of {} cannot take the virtual addresses: {reason}", host.server),
                "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in the agent's unit (and the same \
                 in CapabilityBoundingSet=)",
            )
        })
        .collect()
}

/// Certificates with fewer days left than this, and no fewer than that.
fn certificates(seen: &Seen<'_>, below: i64, from: Option<i64>) -> Vec<Hit> {
    let own = seen.hosts.certificate_left.map(|left| (None, "the manager".to_owned(), left));
    let mut of_agents = std::collections::BTreeMap::new();
    for (host, agent) in seen.agents() {
        // One agent may look after several servers.
        of_agents.entry(&agent.address).or_insert((
            Some(host.server.clone()),
            format!("the agent {}", agent.address),
            agent.certificate_left,
        ));
    }
    let all = own.into_iter().chain(of_agents.into_values());
    all.filter(|(_, _, left)| *left < below * DAY && from.is_none_or(|from| *left >= from * DAY))
        .map(|(server, whose, left)| {
            let when = match left {
                left if left < 0 => "has expired".to_owned(),
                left if left < DAY => format!("expires in {} hours", left / 3600),
                left => format!("expires in {} days", left / DAY),
            };
            Hit {
                server,
                sentence: format!("the certificate of {whose} {when}"),
                mend: "primacy certs issue makes a new one; put it in place of the old files"
                    .to_owned(),
            }
        })
        .collect()
}

fn expiring(seen: &Seen<'_>) -> Vec<Hit> {
    certificates(seen, NOW, None)
}

fn expires_soon(seen: &Seen<'_>) -> Vec<Hit> {
    certificates(seen, SOON, Some(NOW))
}

fn clocks(seen: &Seen<'_>) -> Vec<Hit> {
    let agents = seen.agents().filter_map(|(host, agent)| Some((host, agent, agent.clock_ahead?)));
    agents
        .filter(|(.., ahead)| ahead.abs() > CLOCKS)
        .map(|(host, agent, ahead)| {
            let which = if ahead > 0 { "ahead of" } else { "behind" };
            Hit::on(
                &host.server,
                format!(
                    "the clock at the agent {} is {} s {which} the manager's",
                    agent.address,
                    ahead.abs() / 1000
                ),
                "let chrony or systemd-timesyncd keep both",
            )
        })
        .collect()
}

fn script(seen: &Seen<'_>) -> Vec<Hit> {
    let hosts = seen.hosts.hosts.iter().filter_map(|host| Some((host, host.script.reason()?)));
    hosts
        .map(|(host, reason)| {
            Hit::on(
                &host.server,
                format!("shutdown_script could not stop {}: {reason}", host.server),
                format!("run it by hand: --command=status --host={}", host.server.host()),
            )
        })
        .collect()
}

fn address_script(seen: &Seen<'_>) -> Vec<Hit> {
    let hosts = seen.hosts.hosts.iter();
    let failed = hosts.filter_map(|host| Some((host, host.address_script.reason()?)));
    failed
        .map(|(host, reason)| {
            let server = &host.server;
            Hit::on(
                server,
                format!("failover_script could not take the address from {server}: {reason}"),
                format!(
                    "run it by hand: --command=status --orig_master_host={} --orig_master_port={}",
                    server.host(),
                    server.port()
                ),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests;
