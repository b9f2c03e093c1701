//! What the store promises to whoever resumes, watches or looks back.
#![allow(clippy::unwrap_used, reason = "a test that cannot arrange its case has failed")]

use std::path::PathBuf;

use primacy_store::{
    EventFilter, JournalEntry, Level, OperationId, Outcome, Pruned, StepState, Store, StoreError,
};
use primacy_types::{Address, Epoch, WallClock};
use serde_json::json;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("primacy/state.db")
    }

    fn store(&self) -> Store {
        Store::open(self.file()).unwrap()
    }
}

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

fn step(step: u32, state: StepState) -> JournalEntry {
    let detail = json!({ "position": "0-1-42" });
    JournalEntry { step, name: format!("step {step}"), state, at: WallClock(20), detail }
}

fn begin(store: &Store, cluster: &str, started: u64) -> OperationId {
    store.begin(cluster, "failover", &json!({ "winner": "db2" }), WallClock(started)).unwrap()
}

#[test]
fn a_manager_that_was_killed_finds_its_unfinished_operation_again() {
    let folder = Folder::new();
    let store = folder.store();
    let id = begin(&store, "shop", 10);
    store.journal(&id, &step(1, StepState::Started)).unwrap();
    store.journal(&id, &step(1, StepState::Done)).unwrap();
    store.mark_no_return(&id, WallClock(21)).unwrap();
    store.mark_no_return(&id, WallClock(99)).unwrap();
    store.set_plan(&id, 2, &json!({ "winner": "db3" })).unwrap();
    store.set_data(&id, "settings/db3", &json!({ "delay": 0 })).unwrap();
    store.set_data(&id, "settings/db3", &json!({ "delay": 60 })).unwrap();
    drop(store);

    let store = folder.store();
    let operation = store.unfinished("shop").unwrap().unwrap();
    assert_eq!(operation.id, id);
    assert_eq!(operation.past_no_return, Some(WallClock(21)));
    assert_eq!(operation.plan, json!({ "winner": "db3" }));
    assert_eq!((operation.finished, operation.outcome), (None, None));
    assert_eq!(
        store.entries(&id).unwrap(),
        [step(1, StepState::Started), step(1, StepState::Done)]
    );
    let plans = store.plans(&id).unwrap();
    assert_eq!(plans.iter().map(|plan| plan.generation).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.data(&id, "settings/db3").unwrap(), Some(json!({ "delay": 60 })));
    assert_eq!(store.data(&id, "settings/db9").unwrap(), None);
    assert!(store.unfinished("other").unwrap().is_none());
}

#[test]
fn a_cluster_has_one_unfinished_operation_whoever_asks() {
    let folder = Folder::new();
    let (one, two) = (folder.store(), folder.store());
    let id = begin(&one, "shop", 10);
    let refused = two.begin("shop", "switchover", &json!({}), WallClock(11)).unwrap_err();
    assert!(matches!(&refused, StoreError::AlreadyRunning { id: held, .. } if *held == id));
    begin(&two, "other", 12);

    one.finish(&id, Outcome::BackedOut, "db1 answered again", WallClock(13)).unwrap();
    let next = begin(&two, "shop", 14);
    let finished = two.operation(id.as_str()).unwrap();
    assert_eq!(finished.outcome, Some(Outcome::BackedOut));
    assert_eq!(finished.sentence.as_deref(), Some("db1 answered again"));
    let order: Vec<_> =
        one.operations(Some("shop"), 10).unwrap().into_iter().map(|record| record.id).collect();
    assert_eq!(order, [next, id]);
    assert_eq!(one.operations(None, 2).unwrap().len(), 2);
}

#[test]
fn a_finished_operation_is_history() {
    let store = Store::in_memory().unwrap();
    let id = begin(&store, "shop", 10);
    store.finish(&id, Outcome::Done, "db2 is the primary", WallClock(11)).unwrap();
    for refused in [
        store.journal(&id, &step(2, StepState::Started)),
        store.finish(&id, Outcome::Failed, "no", WallClock(12)),
        store.set_data(&id, "key", &json!(1)),
        store.mark_no_return(&id, WallClock(12)),
    ] {
        assert!(matches!(refused, Err(StoreError::Finished { .. })), "{refused:?}");
    }
}

#[test]
fn an_operation_is_found_by_the_beginning_of_its_id() {
    let store = Store::in_memory().unwrap();
    let (one, two) = (begin(&store, "a", 1_700_000_000_000), begin(&store, "b", 1_700_000_000_000));
    assert_eq!(store.operation(one.as_str()).unwrap().id, one);
    assert_eq!(store.operation(&one.as_str()[..30]).unwrap().id, one);
    let shared = store.operation(&two.as_str()[..8]).unwrap_err();
    assert!(
        matches!(&shared, StoreError::UnknownOperation { matches, .. } if matches.len() == 2),
        "{shared}"
    );
    for nothing in ["", "%", "zz", "_"] {
        assert!(store.operation(nothing).is_err(), "{nothing:?} was taken");
    }
}

#[test]
fn an_epoch_never_goes_back_and_has_one_primary() {
    let folder = Folder::new();
    let store = folder.store();
    let set =
        |host: &str, epoch: u64| store.set_primary("shop", &at(host), Epoch(epoch), WallClock(5));
    set("db1", 4).unwrap();
    set("db1", 4).unwrap();
    set("db2", 5).unwrap();
    assert!(matches!(set("db1", 4), Err(StoreError::EpochWentBack { .. })));
    let same = set("db3", 5).unwrap_err().to_string();
    assert!(same.contains("db3") && same.contains("db2") && same.contains("epoch 5"), "{same}");
    let record = store.cluster("shop").unwrap().unwrap();
    assert_eq!((record.primary, record.epoch), (Some(at("db2")), Epoch(5)));
}

#[test]
fn a_pause_before_any_primary_was_seen_does_not_stand_in_its_way() {
    let folder = Folder::new();
    let store = folder.store();
    store.set_paused("shop", true, Some("upgrade"), WallClock(1)).unwrap();
    store.set_primary("shop", &at("[::1]:3307"), Epoch(0), WallClock(2)).unwrap();
    store.set_last_failover("shop", Some(WallClock(3)), WallClock(4)).unwrap();
    drop(store);
    let record = folder.store().cluster("shop").unwrap().unwrap();
    assert_eq!(record.paused_reason.as_deref(), Some("upgrade"));
    assert_eq!(record.primary, Some(at("[::1]:3307")));
    assert_eq!((record.last_failover, record.updated), (Some(WallClock(3)), WallClock(4)));
    folder.store().set_paused("shop", false, Some("done"), WallClock(6)).unwrap();
    let record = folder.store().cluster("shop").unwrap().unwrap();
    assert_eq!((record.paused, record.paused_reason), (false, None));
    assert_eq!(folder.store().cluster("other").unwrap(), None);
}

#[test]
fn the_timeline_is_told_in_order_and_narrowed_by_the_filter() {
    let store = Store::in_memory().unwrap();
    let id = begin(&store, "shop", 1);
    for n in 1..=5_u64 {
        let operation = (n % 2 == 0).then_some(&id);
        let cluster = if n == 5 { "other" } else { "shop" };
        store.event(cluster, operation, WallClock(n), Level::Notice, "seen", &json!(n)).unwrap();
    }
    let seen = |filter: EventFilter| -> Vec<u64> {
        store.events(&filter).unwrap().into_iter().map(|event| event.at.0).collect()
    };
    assert_eq!(seen(EventFilter::default()), [1, 2, 3, 4, 5]);
    let shop = EventFilter { cluster: Some("shop".to_owned()), ..EventFilter::default() };
    assert_eq!(seen(EventFilter { limit: Some(2), ..shop.clone() }), [3, 4]);
    assert_eq!(seen(EventFilter { since: Some(WallClock(3)), ..shop.clone() }), [3, 4]);
    assert_eq!(seen(EventFilter { operation: Some(id), ..shop }), [2, 4]);
}

#[test]
fn pruning_keeps_what_runs_and_the_latest() {
    let store = Store::in_memory().unwrap();
    let mut ids = Vec::new();
    for n in 1..=4 {
        let id = begin(&store, "shop", n);
        store.journal(&id, &step(1, StepState::Done)).unwrap();
        store.event("shop", Some(&id), WallClock(n), Level::Info, "done", &json!({})).unwrap();
        store.finish(&id, Outcome::Done, "done", WallClock(n)).unwrap();
        ids.push(id);
    }
    let running = begin(&store, "other", 1);
    store.event("other", None, WallClock(1), Level::Info, "old", &json!({})).unwrap();

    let pruned = store.prune(WallClock(100), 2).unwrap();
    assert_eq!(pruned, Pruned { operations: 2, events: 3 });
    assert!(store.operation(ids[0].as_str()).is_err());
    assert!(store.entries(&ids[1]).unwrap().is_empty());
    assert_eq!(store.entries(&ids[2]).unwrap().len(), 1);
    assert_eq!(store.unfinished("other").unwrap().map(|record| record.id), Some(running));
    assert_eq!(store.events(&EventFilter::default()).unwrap().len(), 2);
}
