//! Who is what, by MHA's rules: read off what the servers say now, not from a record.

use std::collections::{BTreeMap, BTreeSet};

use primacy_plan::source_of;
use primacy_types::{Address, ChannelStatus, ClusterSnapshot};

/// The servers of an application by what they are; each list in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The primary, which may be dead.
    pub master: Option<Address>,
    /// Servers that do not answer.
    pub dead: Vec<Address>,
    /// Servers that answer.
    pub alive: Vec<Address>,
    /// Replicas of the primary that answer.
    pub slaves: Vec<Address>,
    /// Those of them whose applier has stopped with an error.
    pub failed: Vec<Address>,
    /// Replicas of replicas, where they are tolerated.
    pub unmanaged: Vec<Address>,
}

impl Roles {
    /// Reads them off a snapshot; `order` is that of the configuration.
    ///
    /// # Errors
    /// Why they cannot be told, or are none that MHA works with: one sentence.
    pub fn of(
        snapshot: &ClusterSnapshot,
        order: &[Address],
        multi_tier: bool,
    ) -> Result<Self, String> {
        let mut roles = Self::default();
        let mut sources: BTreeMap<&Address, Address> = BTreeMap::new();
        for server in order {
            let seen = snapshot.server(server);
            if let Some(failure) = seen.and_then(|seen| seen.contact.failure())
                && failure.proves_life()
            {
                return Err(format!("{server} is alive and refuses this manager: {failure}"));
            }
            let Some(facts) = seen.and_then(|seen| seen.live_facts()) else {
                roles.dead.push(server.clone());
                continue;
            };
            roles.alive.push(server.clone());
            let Some(channel) = facts.channel(&snapshot.policy.channel) else { continue };
            let source = source(snapshot, order, channel).ok_or_else(|| {
                format!(
                    "{server} replicates from {}, which is not in the configuration",
                    channel.source
                )
            })?;
            sources.insert(server, source);
            if channel.applier_error.is_some() {
                roles.failed.push(server.clone());
            }
        }
        if roles.alive.is_empty() {
            return Err("none of the servers answers".to_owned());
        }
        if sources.is_empty() {
            return Err("there is no alive slave: no server that answers replicates".to_owned());
        }
        let alone: Vec<&Address> =
            roles.alive.iter().filter(|server| !sources.contains_key(server)).collect();
        if alone.len() > 1 {
            let names: Vec<String> = alone.iter().map(ToString::to_string).collect();
            return Err(format!("several servers replicate from nobody: {}", names.join(", ")));
        }
        let master = master(snapshot, &sources)?;
        if let Some(stray) = alone.first().filter(|server| ***server != master) {
            return Err(format!("{stray} replicates from nobody and is not the master {master}"));
        }
        for server in &roles.alive {
            match sources.get(server) {
                _ if *server == master => {}
                Some(source) if *source == master => roles.slaves.push(server.clone()),
                Some(_) if multi_tier => roles.unmanaged.push(server.clone()),
                Some(source) => {
                    return Err(format!(
                        "{server} replicates from {source} and not from the master {master}: \
                         multi_tier_slave=1 tolerates that"
                    ));
                }
                None => {}
            }
        }
        let slaves = &roles.slaves;
        roles.failed.retain(|server| slaves.contains(server));
        if slaves.is_empty() {
            return Err(format!("there is no alive slave of the master {master}"));
        }
        roles.master = Some(master);
        Ok(roles)
    }

    /// Whether the primary answers.
    pub fn master_is_alive(&self) -> bool {
        self.master.as_ref().is_some_and(|master| self.alive.contains(master))
    }
}

/// The server of the configuration that a channel reads from.
fn source(
    snapshot: &ClusterSnapshot,
    order: &[Address],
    channel: &ChannelStatus,
) -> Option<Address> {
    let known = source_of(snapshot, channel);
    known.filter(|source| order.contains(source))
}

/// The one server that others read from; of several the only one that is dead or accepts writes: one in
/// the middle has to be alive and read-only.
fn master(
    snapshot: &ClusterSnapshot,
    sources: &BTreeMap<&Address, Address>,
) -> Result<Address, String> {
    let read_from: BTreeSet<&Address> = sources.values().collect();
    let tops: Vec<&Address> = read_from.into_iter().collect();
    let open = |server: &&Address| snapshot.live(server).is_none_or(|facts| facts.writable());
    let real: Vec<&Address> = match tops.as_slice() {
        [one] => vec![one],
        several => several.iter().copied().filter(open).collect(),
    };
    match real.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(format!("none of the masters {} accepts writes", list(&tops))),
        several => Err(format!("there are several masters: {}", list(several))),
    }
}

fn list(servers: &[&Address]) -> String {
    let names: Vec<String> = servers.iter().map(ToString::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use primacy_plan::testing::{addr, cluster};
    use primacy_types::ContactFailure;

    use super::*;

    fn order() -> Vec<Address> {
        ["a", "b", "c"].map(addr).to_vec()
    }

    #[test]
    fn the_server_that_the_others_read_from_is_the_master() {
        let world = cluster(["a", "b", "c"]);
        let roles = Roles::of(&world.snapshot, &order(), false).unwrap();
        assert_eq!(roles.master, Some(addr("a")));
        assert_eq!(roles.slaves, [addr("b"), addr("c")]);
        assert!(roles.master_is_alive());
    }

    #[test]
    fn a_dead_one_is_still_the_master() {
        let world = cluster(["a", "b", "c"]).failing("a", ContactFailure::Refused, 50, 1);
        let roles = Roles::of(&world.snapshot, &order(), false).unwrap();
        assert_eq!((roles.master.clone(), roles.dead.clone()), (Some(addr("a")), vec![addr("a")]));
        assert!(!roles.master_is_alive());
    }

    #[test]
    fn what_mha_refuses_is_refused() {
        let world = cluster(["a", "b", "c"]);
        let missing = Roles::of(&world.snapshot, &order()[1..], false).unwrap_err();
        assert!(missing.contains("not in the configuration"), "{missing}");
        let alone = Roles::of(&world.snapshot, &order()[..1], false).unwrap_err();
        assert!(alone.contains("no alive slave"), "{alone}");
        let denied = ContactFailure::AccessDenied("no".into());
        let world = cluster(["a", "b", "c"]).failing("b", denied, 50, 1);
        let refused = Roles::of(&world.snapshot, &order(), false).unwrap_err();
        assert!(refused.contains("refuses this manager"), "{refused}");
        let mut world = cluster(["a", "b", "c"]);
        world.facts("c").channels.clear();
        let stray = Roles::of(&world.snapshot, &order(), false).unwrap_err();
        assert!(stray.contains("replicate from nobody: a"), "{stray}");
    }

    #[test]
    fn a_third_tier_is_refused_or_left_alone() {
        let mut world = cluster(["a", "b", "c"]);
        world.channel("c").source = addr("b");
        let refused = Roles::of(&world.snapshot, &order(), false).unwrap_err();
        assert!(refused.contains("none of the masters") || refused.contains("multi_tier_slave"));
        let roles = Roles::of(&world.snapshot, &order(), true).unwrap();
        assert_eq!(roles.master, Some(addr("a")));
        assert_eq!((roles.slaves, roles.unmanaged), (vec![addr("b")], vec![addr("c")]));
    }
}
