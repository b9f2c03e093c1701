//! What only files hold.

use primacy_plan::Origin;
use primacy_types::{Address, BinlogsOnDisk, Millis, TransactionSet};

use crate::Cluster;
use crate::error::StepError;
use crate::shared::Shared;

pub(crate) async fn read_the_disk(
    _cluster: &Cluster,
    _old: &Address,
    _by_place: bool,
) -> Option<BinlogsOnDisk> {
    None
}

/// What was found, as a sentence.
pub(crate) fn said_of_disk(found: &BinlogsOnDisk) -> String {
    match found {
        BinlogsOnDisk::Read { holds, end, incomplete, .. } => {
            let rest = incomplete.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
            format!("its binary logs were read to their end {end} and hold {}{rest}", holds.said())
        }
        BinlogsOnDisk::Unreadable { reason, .. } => {
            format!("its binary logs cannot be read: {reason}")
        }
    }
}

pub(super) async fn save(
    _cluster: &Cluster,
    _shared: &Shared,
    from: &Origin,
    _since: &TransactionSet,
    _limit: Millis,
) -> Result<String, StepError> {
    Err(StepError::impossible(from.server(), "not yet"))
}

pub(super) async fn rescue(
    _cluster: &Cluster,
    _shared: &Shared,
    server: &Address,
    _from: &Origin,
    _until: &TransactionSet,
    _limit: Millis,
) -> Result<String, StepError> {
    Err(StepError::impossible(server, "not yet"))
}
