//! What a failover promises: who wins, what is fetched from whom before it is opened, and what is
//! refused. Every plan that a test makes goes through the invariant checker.

mod asking;
mod chains;
mod choice;
mod coverage;
mod disk;
mod leaves;
mod levelling;
mod places;
mod rules;

use primacy_plan::testing::{World, addr, cluster};
use primacy_plan::{
    FailoverRequest, Plan, Refusal, Stage, Step, diagnose, plan_failover, violations,
};
use primacy_types::Address;

/// What a case changes in a world.
type Change = fn(&mut World);

/// A killed primary `a` with two replicas; the manager can fence it.
fn killed() -> World {
    cluster(["a", "b", "c"]).primary_killed().local("a")
}

fn ask(world: &World, request: &FailoverRequest) -> Result<Plan, Refusal> {
    let snapshot = &world.snapshot;
    let plan = plan_failover(snapshot, &diagnose(snapshot), request, Stage::BeforeFence)?;
    let accept_loss = request.force && request.accept_loss;
    assert_eq!(violations(snapshot, &plan, accept_loss), [], "{plan:#?}");
    Ok(plan)
}

fn plan(world: &World) -> Plan {
    ask(world, &FailoverRequest::default()).expect("a plan")
}

fn refusal(world: &World) -> Refusal {
    ask(world, &FailoverRequest::default()).expect_err("a refusal")
}

fn force() -> FailoverRequest {
    FailoverRequest { force: true, by_person: true, ..FailoverRequest::default() }
}

fn to(name: &str) -> FailoverRequest {
    FailoverRequest { to: Some(addr(name)), by_person: true, ..FailoverRequest::default() }
}

/// The steps as `--dry-run` shows them.
fn steps(plan: &Plan) -> String {
    plan.steps.iter().map(|s| s.step.sentence() + "\n").collect()
}

fn levels(plan: &Plan) -> Vec<(Address, String)> {
    plan.steps
        .iter()
        .filter_map(|s| match &s.step {
            Step::Level { from, until, .. } => Some((from.clone(), until.to_string())),
            _ => None,
        })
        .collect()
}

fn repointed(plan: &Plan) -> Vec<Address> {
    plan.steps
        .iter()
        .filter_map(|s| match &s.step {
            Step::Repoint { server, .. } => Some(server.clone()),
            _ => None,
        })
        .collect()
}

fn position(plan: &Plan, name: &str) -> usize {
    plan.steps.iter().position(|s| s.step.name() == name).unwrap_or_else(|| panic!("no {name}"))
}

fn says(plan: &Plan, text: &str) -> bool {
    plan.notes.iter().any(|note| note.contains(text))
}

#[test]
fn a_whole_plan_as_a_dry_run_shows_it() {
    let world = killed().semi_sync(1).received("b", "0-1-105", "0-1-100");
    insta::assert_snapshot!(steps(&plan(&world)), @r"
    fence a:3306 (local): its process is gone, and one that a supervisor starts is killed
    stop the receivers of b:3306, c:3306; their appliers go on
    measure who holds what, and plan the rest from that
    wait until b:3306 has applied everything that it received
    make b:3306 wait for 1 semi-sync acknowledgement(s)
    point c:3306 to b:3306 and see at least 1 of them as semi-sync clients
    end replication on b:3306
    record epoch 2 with b:3306 as primary
    let applications write on b:3306
    route applications to b:3306 (epoch 2)
    enable scheduled events on b:3306
    point c:3306 to b:3306
    verify that c:3306 replicate from b:3306
    ");
}

#[test]
fn the_notes_say_what_holds_and_what_does_not() {
    let mut world = killed();
    world.snapshot.policy.servers.entry(addr("c")).or_default().promotion =
        primacy_types::Promotion::Never;
    insta::assert_snapshot!(plan(&world).notes.join("\n"), @r#"
    a:3306 is fenced (local): its process is gone, and one that a supervisor starts is killed
    POSSIBLE LOSS: acknowledged rows may be missing, because replication is asynchronous: the primary acknowledged rows without waiting for a replica
    c:3306 was no candidate: promotion = "never"
    "#);
}

#[test]
fn the_way_back_ends_at_the_fence() {
    assert_eq!(plan(&killed()).no_return_at(), Some(0));
}

#[test]
fn the_epoch_is_on_record_before_anybody_may_write_and_writes_come_last() {
    let plan = plan(&killed());
    assert_eq!(plan.epoch.0, 2);
    let order = ["fence", "drain", "detach", "record-epoch", "open-writes", "route", "repoint"];
    assert!(order.map(|name| position(&plan, name)).is_sorted());
}
