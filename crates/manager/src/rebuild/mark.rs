//! Servers whose data is new, or about to be, and that have not joined with it: they are neither promoted
//! nor brought back by anything but a rebuild. Where the place of a copy is not set a server would apply a
//! second time what it has.

use std::collections::BTreeSet;

use primacy_exec::rebuild_has_joined;
use primacy_store::{OperationId, Outcome, Store, StoreError};
use primacy_types::Address;

use super::KIND;
use super::run::Run;

/// On record where a rebuild failed and the old data is in place all the same.
const OLD: &str = "old-data";

/// The server has the data that it had before this rebuild.
pub(super) fn note_old(store: &Store, rebuild: &OperationId) -> Result<(), StoreError> {
    store.set_data(rebuild, OLD, &serde_json::Value::Bool(true))
}

/// Those of a cluster, as rebuilds left them.
pub(crate) fn unjoined(store: &Store, cluster: &str) -> Result<BTreeSet<Address>, StoreError> {
    let mut servers = BTreeSet::new();
    for record in store.all_beside(cluster, KIND)? {
        // The rest of the plan may be of another version.
        let server = record.plan.pointer("/request/server").and_then(|text| text.as_str());
        let Some(Ok(server)) = server.map(str::parse::<Address>) else { continue };
        if record.past_no_return.is_none() {
            continue;
        }
        match record.outcome {
            Some(Outcome::Done) => servers.remove(&server),
            _ if rebuild_has_joined(store, &record.id)? => servers.remove(&server),
            // As it was before.
            Some(Outcome::BackedOut) => continue,
            Some(Outcome::Failed) if store.data(&record.id, OLD)?.is_some() => continue,
            Some(Outcome::Failed) | None => servers.insert(server),
        };
    }
    Ok(servers)
}

/// Marks the server of a rebuild until this is dropped; or, once it is kept, for as long as the record
/// says so.
pub(super) struct Mark<'r> {
    run: &'r Run,
    goes: bool,
}

impl<'r> Mark<'r> {
    pub(super) fn set(run: &'r Run) -> Self {
        let server = run.plan.request.server.clone();
        let mut goes = false;
        run.watched.observatory.set_record(|record| goes = record.rebuilt.insert(server));
        Self { run, goes }
    }

    /// The server was not marked before.
    pub(super) const fn is_new(&self) -> bool {
        self.goes
    }

    pub(super) fn keep(mut self) {
        self.goes = false;
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        if self.goes {
            let server = &self.run.plan.request.server;
            self.run.watched.observatory.set_record(|record| {
                record.rebuilt.remove(server);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_types::WallClock;
    use serde_json::json;

    fn begun(store: &Store) -> OperationId {
        let plan = json!({ "request": { "server": "b:3306" } });
        store.begin_beside("c", KIND, &plan, WallClock(0)).unwrap()
    }

    fn is_marked(store: &Store) -> bool {
        unjoined(store, "c").unwrap().contains(&"b:3306".parse().unwrap())
    }

    #[test]
    fn a_server_with_new_data_is_marked_until_it_has_joined() {
        let store = Store::in_memory().unwrap();
        let id = begun(&store);
        assert!(!is_marked(&store), "nothing was changed");
        store.mark_no_return(&id, WallClock(1)).unwrap();
        assert!(is_marked(&store));
        store.set_data(&id, "caught-up", &json!(true)).unwrap();
        assert!(!is_marked(&store), "what is left to do does not concern its data");
        store.finish(&id, Outcome::Failed, "", WallClock(2)).unwrap();
        assert!(!is_marked(&store));
    }

    #[test]
    fn one_whose_rebuild_failed_stays_marked_until_another_one_is_done() {
        let store = Store::in_memory().unwrap();
        for (outcome, marked) in
            [(Outcome::Failed, true), (Outcome::BackedOut, true), (Outcome::Done, false)]
        {
            let id = begun(&store);
            store.mark_no_return(&id, WallClock(1)).unwrap();
            store.finish(&id, outcome, "", WallClock(2)).unwrap();
            assert_eq!(is_marked(&store), marked, "{outcome:?}");
        }
    }

    #[test]
    fn one_that_has_its_old_data_is_not() {
        let store = Store::in_memory().unwrap();
        let id = begun(&store);
        store.mark_no_return(&id, WallClock(1)).unwrap();
        note_old(&store, &id).unwrap();
        store.finish(&id, Outcome::Failed, "", WallClock(2)).unwrap();
        assert!(!is_marked(&store));
    }
}
