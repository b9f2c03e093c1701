//! What is left for a person to do, because it was ordered so.

use primacy_plan::FailoverRequest;
use primacy_plan::testing::{World, addr, cluster};
use primacy_types::{Leaves, RefuseOrProceed};

use crate::{ask, killed, plan, says, steps};

fn leaving(world: World, replicas: bool, closed: bool) -> World {
    let mut world = world;
    world.snapshot.policy.leaves = Leaves { replicas, closed };
    world.snapshot.policy.on_possible_loss = Some(RefuseOrProceed::Proceed);
    world
}

const OPENS: &str = "let applications write";
const MOVES: &str = "point c:3306 to b:3306";
const STAYS: &str = "with the source that it had before";
const REIGN: &str = "record epoch";

#[test]
fn what_is_left_is_not_in_the_plan_and_is_said() {
    let by_place = || cluster(["a", "b", "c"]).by_place().primary_killed().local("a");
    for (replicas, closed, there, missing) in [
        (false, false, vec![REIGN, OPENS, MOVES], vec![STAYS]),
        (false, true, vec![REIGN, MOVES], vec![OPENS, STAYS]),
        (true, false, vec![REIGN, OPENS, STAYS], vec![MOVES]),
        (true, true, vec![STAYS], vec![REIGN, OPENS, MOVES, "end replication"]),
    ] {
        for (world, by_place) in [(killed(), false), (by_place(), true)] {
            let plan = plan(&leaving(world, replicas, closed));
            // Also where no positions are paired, because nobody is moved.
            assert_eq!(plan.by_place, by_place);
            let steps = steps(&plan);
            for sentence in there.iter().chain(&missing) {
                let wanted = there.contains(sentence);
                assert_eq!(steps.contains(sentence), wanted, "{replicas} {closed}:\n{steps}");
            }
            assert_eq!(says(&plan, "LEFT TO A PERSON"), replicas || closed);
        }
    }
}

#[test]
fn a_replica_by_place_is_given_what_it_lacks_and_stays_where_it_is() {
    let world = cluster(["a", "b", "c"]).by_place().primary_killed().local("a").readable("a");
    let world = world.read("b", 900, 900).read("c", 500, 500);
    let plan = plan(&leaving(world, true, true));
    assert_eq!(plan.winner, addr("b"));
    let steps = steps(&plan);
    assert!(steps.contains("let c:3306 replicate what was saved"), "{steps}");
    assert!(steps.lines().last().unwrap().contains(STAYS), "{steps}");
}

#[test]
fn whoever_could_not_be_given_what_it_lacks_is_named_also_where_nobody_is_moved() {
    let world = cluster(["a", "b", "c"]).by_place().primary_killed().local("a").readable("a");
    let world = world.read("b", 900, 900).read("c", 500, 500);
    let failed =
        FailoverRequest { failed_receivers: vec![addr("c")], ..FailoverRequest::default() };
    let plan = ask(&leaving(world, true, true), &failed).expect("a plan");
    assert_eq!(plan.left_behind, [addr("c")]);
    assert!(says(&plan, "c:3306 could not be given what it lacks"), "{:?}", plan.notes);
}

#[test]
fn replicas_whose_acknowledgements_are_wanted_are_not_left() {
    let world = killed().semi_sync(1);
    let why = crate::refusal(&leaving(world, true, false));
    assert!(why.to_string().contains("nobody would acknowledge"), "{why}");
}
