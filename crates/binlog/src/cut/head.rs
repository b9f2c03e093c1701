//! What stands at the head of the source's current file: it becomes the head of the saved one.

use primacy_types::{BinlogPosition, TransactionSet};

use super::CutUntil;
use crate::BodyError;
use crate::event::{EventKind, FormatDescription, GtidList, PreviousGtids, RawEvent, Rotate};

/// The head of the source's current file.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) format: Option<(FormatDescription, Vec<u8>)>,
    /// The list of earlier GTIDs, and whether it ends in a checksum.
    pub(super) previous: Option<(Vec<u8>, bool)>,
    /// Whether the file was read from its start: its own format description was seen.
    pub(super) from_start: bool,
    /// Where the source goes on after this file.
    pub(super) next: Option<BinlogPosition>,
    /// Whether the writer knows this head.
    pub(super) told: bool,
}

impl Head {
    /// Of a file of which nothing was read yet. Until its own format description comes, that of
    /// the file before holds: relay logs may not repeat it.
    pub(super) fn new(name: &str, before: Option<Self>) -> Self {
        let format = before.and_then(|before| before.format);
        Self {
            name: name.to_owned(),
            format,
            previous: None,
            from_start: false,
            next: None,
            told: false,
        }
    }

    pub(super) fn note_rotation(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
    ) -> Result<(), BodyError> {
        let rotate = Rotate::decode(event, format)?;
        self.next = Some(BinlogPosition::new(rotate.file_name(), rotate.position));
        Ok(())
    }

    pub(super) fn note_format(&mut self, event: &RawEvent<'_>) -> Result<(), BodyError> {
        let header = event.header();
        // One that is sent before events from the middle of a file has no position.
        self.from_start |= header.end_position != 0 && !header.is_artificial();
        if !self.told {
            let format = FormatDescription::decode(event)?;
            self.format = Some((format, event.bytes().to_vec()));
        }
        Ok(())
    }
}

/// The set in the list of earlier GTIDs.
pub(super) fn decode_previous(
    event: &RawEvent<'_>,
    format: &FormatDescription,
) -> Result<TransactionSet, BodyError> {
    Ok(match event.kind() {
        EventKind::GTID_LIST => {
            TransactionSet::MariaDb(GtidList::decode(event, format)?.position())
        }
        _ => TransactionSet::MySql(PreviousGtids::decode(event, format)?.set),
    })
}

/// What the receiver lacks of the transactions in earlier files that are not there, in words; of
/// these only what was asked for counts.
pub(super) fn purged(
    previous: &TransactionSet,
    has: &TransactionSet,
    until: Option<&CutUntil>,
) -> Option<String> {
    if has.covers(previous) {
        return None;
    }
    let missing = match (previous, has, until) {
        (
            TransactionSet::MySql(previous),
            TransactionSet::MySql(has),
            Some(CutUntil::Transactions(TransactionSet::MySql(wanted))),
        ) => {
            let gone = previous.minus(has);
            let of_interest = gone.minus(&gone.minus(wanted));
            if of_interest.is_empty() {
                return None;
            }
            of_interest.to_string()
        }
        _ => previous.beyond(has).join(", "),
    };
    Some(missing)
}
