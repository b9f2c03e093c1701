//! Whether a server may be taken away for a while without harm to the cluster: to be restarted, or to
//! get other data.

use primacy_types::{Address, ClusterSnapshot, TransactionSet};

use crate::{Reason, diagnose, is_fed_by, judge};

/// What stands against restarting this server now; empty if nothing does.
///
/// A primary is not restarted: its role is moved first. Of replicas the cluster must be able to do
/// without this one: commits must not wait for it, and somebody else must be able to take over,
/// unless there is nobody else.
pub fn against_restart(snapshot: &ClusterSnapshot, server: &Address) -> Vec<Reason> {
    if !snapshot.servers.contains_key(server) {
        let known: Vec<_> = snapshot.servers.keys().map(ToString::to_string).collect();
        return vec![Reason::new(
            format!("{server} is none of the cluster's servers"),
            format!("name one of {}", known.join(", ")),
        )];
    }
    let diagnosis = diagnose(snapshot);
    let Some(primary) = snapshot.primary.as_ref().filter(|_| diagnosis.is_serving()) else {
        return vec![Reason::new(
            format!("the cluster has no primary that serves: {}", diagnosis.sentence()),
            "wait until `primacy status` says that one does",
        )];
    };
    if primary == server {
        return vec![Reason::new(
            format!("{server} is the primary"),
            "`primacy switchover` gives its role to another server first",
        )];
    }
    let waits = commits_would_wait(snapshot, server, primary);
    waits.into_iter().chain(nobody_could_take_over(snapshot, server, primary)).collect()
}

/// What stands against shutting this server down to replace its data; empty if nothing does.
///
/// The same as for a restart, as far as the cluster has something of this server now: one whose data is
/// of no use is replaced whatever the others are like.
pub fn against_replacing(snapshot: &ClusterSnapshot, server: &Address) -> Vec<Reason> {
    let Some(primary) = &snapshot.primary else { return against_restart(snapshot, server) };
    let acknowledges = acknowledges(snapshot, server, primary);
    let able = is_able(snapshot, server, primary);
    if !acknowledges && !able {
        return Vec::new();
    }
    if primary == server || !diagnose(snapshot).is_serving() {
        return against_restart(snapshot, server);
    }
    let waits = commits_would_wait(snapshot, server, primary).filter(|_| acknowledges);
    let nobody = nobody_could_take_over(snapshot, server, primary).filter(|_| able);
    waits.into_iter().chain(nobody).collect()
}

/// Why these transactions would be lost with this server and the primary; `None` if another of the
/// primary's replicas holds them, or there is none and the primary has them.
pub fn held_by_nobody_else(
    snapshot: &ClusterSnapshot,
    server: &Address,
    transactions: &TransactionSet,
) -> Option<String> {
    let Some(primary) = snapshot.primary.as_ref().filter(|primary| *primary != server) else {
        return Some("no other primary is known".to_owned());
    };
    let Some(facts) = snapshot.live(primary) else {
        return Some(format!("the primary {primary} does not answer"));
    };
    let lacks = |server: &Address, has: &TransactionSet| {
        (!has.covers(transactions))
            .then(|| format!("{server} has not received {}", transactions.beyond(has).join(", ")))
    };
    let of_primary = lacks(primary, &facts.executed);
    if of_primary.is_some() {
        return of_primary;
    }
    let channel = &snapshot.policy.channel;
    let replicas = others(snapshot, server, primary)
        .filter(|other| is_fed_by(snapshot, other, primary))
        .filter_map(|other| Some((other, snapshot.live(other)?.holds(channel))));
    let mut first = None;
    for (other, holds) in replicas {
        let lacking = lacks(other, &holds)?;
        first = first.or(Some(lacking));
    }
    first
}

fn acknowledges(snapshot: &ClusterSnapshot, server: &Address, primary: &Address) -> bool {
    is_fed_by(snapshot, server, primary)
        && snapshot.live(server).is_some_and(|facts| facts.semi_sync.replica_active)
}

fn is_able(snapshot: &ClusterSnapshot, server: &Address, primary: &Address) -> bool {
    let judged = judge(snapshot, primary);
    judged.iter().any(|judged| judged.server == *server && judged.exclusions.is_empty())
}

/// Servers other than this one and the primary.
fn others<'s>(
    snapshot: &'s ClusterSnapshot,
    server: &'s Address,
    primary: &'s Address,
) -> impl Iterator<Item = &'s Address> {
    snapshot.servers.keys().filter(move |other| *other != server && *other != primary)
}

fn commits_would_wait(
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Option<Reason> {
    let wish = snapshot.policy.semi_sync?;
    let left = others(snapshot, server, primary)
        .filter(|other| acknowledges(snapshot, other, primary))
        .count();
    (left < usize::from(wish.wait_count)).then(|| {
        Reason::new(
            format!(
                "commits wait for {} acknowledgement(s), and without {server} only {left} replica(s) \
                 would give one",
                wish.wait_count
            ),
            "bring another replica back first, or lower the primary's wait count for the time",
        )
    })
}

fn nobody_could_take_over(
    snapshot: &ClusterSnapshot,
    server: &Address,
    primary: &Address,
) -> Option<Reason> {
    let mut others = others(snapshot, server, primary).peekable();
    if others.peek().is_none() || others.any(|other| is_able(snapshot, other, primary)) {
        return None;
    }
    Some(Reason::new(
        format!("nobody else could take over from {primary} meanwhile"),
        "`primacy check` says what stands against the others",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, addr, cluster, pos};
    use primacy_types::ContactFailure;

    fn why(world: &World, server: &str) -> Vec<String> {
        against_restart(&world.snapshot, &addr(server)).into_iter().map(|r| r.why).collect()
    }

    #[test]
    fn a_replica_that_the_cluster_can_do_without_is_restarted() {
        assert!(why(&cluster(["a", "b", "c"]), "b").is_empty());
        assert!(why(&cluster(["a", "b"]), "b").is_empty(), "there is nobody else");
    }

    #[test]
    fn the_primary_is_not() {
        assert!(why(&cluster(["a", "b", "c"]), "a")[0].contains("is the primary"));
    }

    #[test]
    fn the_last_that_could_take_over_is_not() {
        let world = cluster(["a", "b", "c"]).failing("c", ContactFailure::Refused, 50, 1);
        assert!(why(&world, "b")[0].contains("nobody else could take over"));
        assert!(why(&world, "z")[0].contains("none of the cluster's servers"));
    }

    #[test]
    fn one_that_commits_wait_for_is_not() {
        let world = cluster(["a", "b", "c"]).semi_sync(2);
        assert!(why(&world, "b")[0].contains("only 1 replica(s)"));
        assert!(why(&cluster(["a", "b", "c"]).semi_sync(1), "b").is_empty());
    }

    #[test]
    fn nothing_is_restarted_without_a_primary() {
        let world = cluster(["a", "b", "c"]).primary_killed();
        assert!(why(&world, "b")[0].contains("no primary that serves"));
    }

    #[test]
    fn the_data_of_the_last_that_acknowledges_is_not_replaced() {
        let why = |world: &World, server: &str| -> Vec<String> {
            let reasons = against_replacing(&world.snapshot, &addr(server));
            reasons.into_iter().map(|r| r.why).collect()
        };
        let world = cluster(["a", "b", "c"]).semi_sync(1);
        assert!(why(&world, "b").is_empty());
        let world = world.failing("c", ContactFailure::Refused, 50, 1);
        let both = why(&world, "b");
        assert!(both[0].contains("only 0 replica(s)"), "{both:?}");
        assert!(both[1].contains("nobody else could take over"), "{both:?}");
        assert!(why(&world, "c").is_empty(), "it gives nothing now");
    }

    #[test]
    fn a_server_that_could_not_take_over_itself_is_not_kept_for_that() {
        let mut world = cluster(["a", "b", "c"]).failing("c", ContactFailure::Refused, 50, 1);
        assert!(!against_replacing(&world.snapshot, &addr("b")).is_empty());
        world.facts("b").log_bin = false;
        assert!(against_replacing(&world.snapshot, &addr("b")).is_empty());
    }

    #[test]
    fn no_data_is_replaced_while_its_server_may_be_the_next_primary() {
        let world = cluster(["a", "b", "c"]).primary_killed();
        let reasons = against_replacing(&world.snapshot, &addr("b"));
        assert!(reasons[0].why.contains("no primary that serves"), "{reasons:?}");
    }

    #[test]
    fn what_a_server_received_is_safe_when_the_primary_and_another_replica_have_it() {
        let why =
            |world: &World, set: &str| held_by_nobody_else(&world.snapshot, &addr("b"), &pos(set));
        let mut world = cluster(["a", "b", "c"]).received("c", "0-1-90", "0-1-80");
        assert_eq!(why(&world, "0-1-90"), None, "in its relay log is enough");
        assert!(
            why(&world, "0-1-100").unwrap().starts_with(&format!("{} has not received", addr("c")))
        );
        assert!(
            why(&world, "0-1-101").unwrap().starts_with(&format!("{} has not received", addr("a")))
        );
        world.channel("c").receiver = primacy_types::ReceiverState::Stopped;
        assert!(why(&world, "0-1-100").is_some(), "it may be the next primary all the same");
        let alone = world.failing("c", ContactFailure::Refused, 50, 1);
        assert_eq!(why(&alone, "0-1-100"), None, "there is nobody else");
        let dead = cluster(["a", "b", "c"]).primary_killed();
        assert!(why(&dead, "0-1-100").unwrap().contains("does not answer"));
    }
}
