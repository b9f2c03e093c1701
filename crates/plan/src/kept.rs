//! A primary that keeps the settings with which it was a replica (`keep_replication_settings`).

use primacy_types::{ClusterSnapshot, ReceiverState};

/// Takes the stopped channel of the primary on record out of a snapshot: nothing may conclude from
/// settings that lie idle that the primary replicates from somebody. A channel of which a thread
/// runs, or has failed, is shown as it is.
pub fn without_kept_settings(snapshot: &mut ClusterSnapshot) {
    if !snapshot.policy.keep_replication_settings {
        return;
    }
    let Some(primary) = &snapshot.primary else { return };
    let Some(facts) = snapshot.servers.get_mut(primary).and_then(|s| s.facts.as_mut()) else {
        return;
    };
    let name = &snapshot.policy.channel;
    facts.channels.retain(|channel| {
        channel.name != *name
            || channel.receiver != ReceiverState::Stopped
            || channel.applier_running
            || channel.receiver_error.is_some()
            || channel.applier_error.is_some()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cluster;

    #[test]
    fn only_what_lies_idle_on_the_primary_is_left_out_and_only_if_it_was_meant_to() {
        for (keeps, runs, left) in [(true, false, 0), (true, true, 1), (false, false, 1)] {
            let mut world = cluster(["a", "b"]);
            let mut channel = world.channel("b").clone();
            channel.source = "b:3306".parse().unwrap();
            channel.receiver = ReceiverState::Stopped;
            channel.applier_running = runs;
            world.facts("a").channels.push(channel);
            world.snapshot.policy.keep_replication_settings = keeps;
            without_kept_settings(&mut world.snapshot);
            assert_eq!(world.facts("a").channels.len(), left, "{keeps} {runs}");
            assert_eq!(world.facts("b").channels.len(), 1);
        }
    }
}
