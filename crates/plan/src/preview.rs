//! What a failover may count on before anything is done: the dead primary's disk can be read, and
//! holds at least what the primary was seen to have and what it gave to anybody.

use std::borrow::Cow;

use primacy_types::{Address, BinlogPosition, BinlogsOnDisk, ClusterSnapshot};

use crate::holdings;
use crate::origin::readable;

/// The snapshot as it will look when the disk has been read, if it can be and was not yet.
pub(crate) fn with_expected_disk<'a>(
    snapshot: &'a ClusterSnapshot,
    old: &Address,
) -> Cow<'a, ClusterSnapshot> {
    let unread = snapshot.server(old).is_some_and(|s| s.on_disk.is_none());
    if !unread || !readable(snapshot, old) {
        return Cow::Borrowed(snapshot);
    }
    let seen = snapshot.server(old).and_then(|s| s.facts.as_ref()).map(|f| &f.executed);
    let holds = match (holdings::held_by_all(snapshot, old), seen) {
        (Some(held), Some(seen)) => held.union(seen),
        (Some(one), None) => one,
        (None, Some(one)) => one.clone(),
        (None, None) => return Cow::Borrowed(snapshot),
    };
    let end = holds.as_place().cloned().unwrap_or_else(|| BinlogPosition::new("", 0));
    let mut whole = snapshot.clone();
    if let Some(server) = whole.servers.get_mut(old) {
        let length = end.clone();
        server.on_disk = Some(BinlogsOnDisk::Read { holds, end, length, incomplete: None });
        server.fenced = !server.fences.is_empty();
    }
    Cow::Owned(whole)
}
