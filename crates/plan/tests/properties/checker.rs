//! The invariant checker itself: every sound plan that is made unsound must be found out. A
//! checker that accepts everything would pass all other tests.

use primacy_plan::{
    FailoverRequest, Origin, Plan, PlannedStep, Stage, Step, SwitchoverRequest, diagnose,
    plan_failover, plan_switchover, violations,
};
use primacy_types::{Address, ClusterSnapshot};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::arbitrary::{failovers, serving_worlds, switchovers, worlds};

fn at(plan: &Plan, name: &str) -> Option<usize> {
    plan.steps.iter().position(|s| s.step.name() == name)
}

fn without(plan: &Plan, index: usize) -> Plan {
    let mut mutant = plan.clone();
    mutant.steps.remove(index);
    mutant
}

fn moved(plan: &Plan, from: usize, to: usize) -> Plan {
    let mut mutant = plan.clone();
    let step = mutant.steps.remove(from);
    mutant.steps.insert(to, step);
    mutant
}

fn opened_elsewhere(plan: &Plan, server: &Address) -> Plan {
    let mut mutant = plan.clone();
    let limit = mutant.steps[0].limit;
    let step = Step::OpenWrites { server: server.clone(), epoch: plan.epoch };
    mutant.steps.push(PlannedStep { step, limit, no_return: false });
    mutant
}

fn in_the_same_epoch(plan: &Plan, snapshot: &ClusterSnapshot) -> Plan {
    let mut mutant = plan.clone();
    mutant.epoch = snapshot.epoch;
    for planned in &mut mutant.steps {
        if let Step::RecordEpoch { epoch, .. }
        | Step::OpenWrites { epoch, .. }
        | Step::Route { epoch, .. } = &mut planned.step
        {
            *epoch = snapshot.epoch;
        }
    }
    mutant
}

/// Mutants of any promotion.
fn of_a_promotion(snapshot: &ClusterSnapshot, plan: &Plan) -> Vec<(String, Plan)> {
    let index = |name: &str| at(plan, name).expect("the step");
    let open = index("open-writes");
    let mut mutants = vec![
        ("nobody is opened".to_owned(), without(plan, open)),
        ("opened before anything else".to_owned(), moved(plan, open, 0)),
        ("opened as a replica".to_owned(), without(plan, index("detach"))),
        ("the epoch is not recorded".to_owned(), without(plan, index("record-epoch"))),
        ("the epoch is used again".to_owned(), in_the_same_epoch(plan, snapshot)),
        ("routed before it is open".to_owned(), moved(plan, index("route"), 0)),
        ("the winner is repointed".to_owned(), {
            let mut mutant = plan.clone();
            let (server, source) = (plan.winner.clone(), plan.old.clone());
            mutant.steps[open + 1].step = Step::Repoint { server, source, may_lag: true };
            mutant
        }),
    ];
    if let (Some(take), Some(give)) = (at(plan, "take-address"), at(plan, "give-address")) {
        mutants.push(("the address is left with the old primary".to_owned(), without(plan, take)));
        mutants.push(("nobody gets the address".to_owned(), without(plan, give)));
        mutants.push(("given before it is taken".to_owned(), moved(plan, give, take)));
        mutants
            .push(("given before the old one is closed".to_owned(), moved(plan, give, take + 1)));
        let mut mutant = plan.clone();
        mutant.steps[give].step = Step::GiveAddress { server: plan.old.clone() };
        mutants.push(("the old primary gets the address".to_owned(), mutant));
    }
    for server in snapshot.servers.keys().filter(|s| **s != plan.winner) {
        mutants.push((format!("{server} is opened too"), opened_elsewhere(plan, server)));
        let mut mutant = plan.clone();
        mutant.winner = server.clone();
        mutants.push((format!("{server} was meant to win"), mutant));
    }
    for (i, planned) in plan.steps.iter().enumerate() {
        if let Step::Repoint { server, .. } = &planned.step {
            for other in snapshot.servers.keys().filter(|s| **s != plan.winner && *s != server) {
                let mut mutant = plan.clone();
                let (server, source) = (server.clone(), other.clone());
                mutant.steps[i].step = Step::Repoint { server, source, may_lag: true };
                mutants.push((format!("repointed to {other}"), mutant));
            }
        }
    }
    mutants
}

fn is_needed(snapshot: &ClusterSnapshot, plan: &Plan, donor: &Address) -> bool {
    let holds = |server: &Address| snapshot.live(server).map(|f| f.holds(""));
    let donors = plan.steps.iter().filter_map(|s| match &s.step {
        Step::Level { from, .. } if from != donor => holds(from),
        Step::Rescue { from: Origin::RelayLogs(from), .. } => holds(from),
        Step::Rescue { from: Origin::Binlogs(from), .. } => {
            snapshot.server(from)?.on_disk.as_ref()?.holds().cloned()
        }
        _ => None,
    });
    let rest = donors.chain(holds(&plan.winner)).reduce(|all, more| all.union(&more));
    !rest.zip(holds(donor)).is_some_and(|(rest, given)| rest.covers(&given))
}

fn of_a_failover(snapshot: &ClusterSnapshot, plan: &Plan) -> Vec<(String, Plan)> {
    let mut mutants = of_a_promotion(snapshot, plan);
    let open = at(plan, "open-writes").expect("the step");
    let drain = at(plan, "drain").expect("the step");
    let fence = at(plan, "fence").expect("the step");
    mutants.push(("the fence is left out".to_owned(), without(plan, fence)));
    mutants.push(("the fence comes last".to_owned(), moved(plan, fence, plan.steps.len() - 1)));
    mutants.push(("opened before it is drained".to_owned(), moved(plan, open, drain)));
    let rungs = snapshot.server(&plan.old).map(|s| s.fences.clone()).unwrap_or_default();
    if let [_, .., last] = rungs.as_slice() {
        let mut mutant = plan.clone();
        mutant.steps[fence].step = Step::Fence { server: plan.old.clone(), rung: Some(*last) };
        mutants.push((format!("{last} before the rungs above it"), mutant));
    }
    mutants.push(("the winner is not drained".to_owned(), without(plan, drain)));
    let unapplied =
        |server: &Address| snapshot.live(server).is_some_and(|f| !f.executed.covers(&f.holds("")));
    for (i, planned) in plan.steps.iter().enumerate() {
        match &planned.step {
            // One donor may hold all that another gave before it: then that one is not missed.
            Step::Level { from, .. } if is_needed(snapshot, plan, from) => {
                mutants.push((format!("level {i} is dropped"), without(plan, i)));
                mutants.push((format!("opened before level {i}"), moved(plan, open, i)));
            }
            Step::Save { .. } => {
                mutants.push((format!("save {i} is left out"), without(plan, i)));
            }
            Step::PairPositions { .. } if at(plan, "repoint").is_some() => {
                mutants.push(("the places are not noted".to_owned(), without(plan, i)));
                mutants.push(("noted too late".to_owned(), moved(plan, i, plan.steps.len() - 1)));
            }
            Step::Drain { server } if i > drain && unapplied(server) => {
                let missed = plan.steps[i + 1].clone();
                if let Step::Level { from, until, .. } = missed.step
                    && from == *server
                    && snapshot.live(&from).is_some_and(|f| {
                        let winner = snapshot.live(&plan.winner).map(|w| w.holds(""));
                        !winner
                            .unwrap_or_else(|| f.executed.clone())
                            .union(&f.executed)
                            .covers(&until)
                    })
                    && at(plan, "level") == Some(i + 1)
                    // What was rescued before may hold all of it already.
                    && at(plan, "rescue").is_none_or(|rescue| rescue > i)
                {
                    mutants.push((format!("donor {server} is not drained"), without(plan, i)));
                }
            }
            _ => {}
        }
    }
    mutants
}

fn of_a_switchover(snapshot: &ClusterSnapshot, plan: &Plan) -> Vec<(String, Plan)> {
    let mut mutants = of_a_promotion(snapshot, plan);
    let index = |name: &str| at(plan, name).expect("the step");
    let (block, catch_up) = (index("block-writes"), index("catch-up"));
    let old = plan
        .steps
        .iter()
        .position(|s| matches!(&s.step, Step::Repoint { server, .. } if *server == plan.old));
    mutants.push(("writes are not blocked".to_owned(), without(plan, block)));
    mutants.push(("blocked too late".to_owned(), moved(plan, block, catch_up)));
    mutants.push(("the winner does not catch up".to_owned(), without(plan, catch_up)));
    mutants.push(("opened first".to_owned(), moved(plan, index("open-writes"), catch_up)));
    // One that is to be left alone is not repointed.
    if let Some(old) = old {
        mutants.push(("the old primary is repointed open".to_owned(), moved(plan, old, 0)));
    }
    mutants
}

fn all_are_found_out(snapshot: &ClusterSnapshot, mutants: Vec<(String, Plan)>) -> TestCaseResult {
    for (name, mutant) in mutants {
        prop_assert!(!violations(snapshot, &mutant, false).is_empty(), "{name}: {mutant:#?}");
    }
    Ok(())
}

fn failover(snapshot: &ClusterSnapshot, request: &FailoverRequest) -> Option<Plan> {
    plan_failover(snapshot, &diagnose(snapshot), request, Stage::BeforeFence).ok()
}

fn switchover(snapshot: &ClusterSnapshot, request: &SwitchoverRequest) -> Option<Plan> {
    plan_switchover(snapshot, &diagnose(snapshot), request).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_spoilt_failover_is_found_out(world in worlds(), request in failovers()) {
        let request = FailoverRequest { accept_loss: false, ..request };
        if let Some(plan) = failover(&world.snapshot, &request) {
            all_are_found_out(&world.snapshot, of_a_failover(&world.snapshot, &plan))?;
        }
    }

    #[test]
    fn every_spoilt_switchover_is_found_out(world in serving_worlds(), request in switchovers()) {
        if let Some(plan) = switchover(&world.snapshot, &request) {
            all_are_found_out(&world.snapshot, of_a_switchover(&world.snapshot, &plan))?;
        }
    }
}
