//! What the word of `secondary_check_script` is worth.
//!
//! It is a viewpoint of its own: other hosts were asked. So its "nobody reaches it" confirms a death
//! that replicas without heartbeats cannot confirm, and anything else it says keeps a silence, or a
//! refused connection, from counting as death. It overrules no fact: what the operating system of
//! the primary's host saw (the process is gone, or frozen) needs no such word. A script that says
//! nothing at all, because it hangs or cannot be run, holds up nobody for longer than its limit:
//! then the other observers decide as if there were none.

use primacy_types::{Address, ClusterSnapshot, Moment, SecondaryAnswer, SecondaryWord};

use crate::evidence::{Evidence, Observer, Weight};

/// The word that counts: the script was called after the primary fell silent.
fn word<'s>(
    snapshot: &'s ClusterSnapshot,
    primary: &Address,
    since: Moment,
) -> Option<&'s SecondaryWord> {
    snapshot.server(primary)?.secondary.as_ref().filter(|word| word.asked >= since)
}

/// What the script says, if there is one.
pub(crate) fn evidence(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    since: Moment,
) -> Option<Evidence> {
    if !snapshot.policy.scripts.secondary_check {
        return None;
    }
    let (weight, sentence) = match word(snapshot, primary, since).map(|word| &word.answer) {
        None => (Weight::Pending, "it has not answered yet".to_owned()),
        Some(SecondaryAnswer::Unreachable) => {
            (Weight::Confirms, "none of the hosts that it asked reaches it (0)".to_owned())
        }
        Some(SecondaryAnswer::Reachable) => {
            (Weight::Contradicts, "another host reaches it (3)".to_owned())
        }
        Some(SecondaryAnswer::Undecided(said)) => (Weight::Pending, format!("undecided: {said}")),
        Some(SecondaryAnswer::Nothing(said)) => (Weight::Nothing, format!("no answer: {said}")),
    };
    Some(Evidence { observer: Observer::Script, weight, sentence })
}

/// Why its word keeps the primary from counting as dead; the part of a sentence.
pub(crate) fn veto(evidence: &[Evidence]) -> Option<String> {
    let said = evidence.iter().find(|e| e.observer == Observer::Script)?;
    (said.weight == Weight::Pending).then(|| {
        format!("secondary_check_script does not confirm that it is dead: {}", said.sentence)
    })
}

/// Whether it confirms the death.
pub(crate) fn confirms(evidence: &[Evidence]) -> bool {
    evidence.iter().any(|e| e.observer == Observer::Script && e.weight == Weight::Confirms)
}
