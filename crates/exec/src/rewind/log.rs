//! The saved transactions are the last of the server's binary log, all of them, and nothing stands
//! between them: event for event.

use primacy_binlog::EventKind;
use primacy_binlog::undo::LoggedEvent;
use primacy_types::BinlogPosition;

use super::{Rewind, RewindError, Work};

/// So many events are asked for at a time.
const PAGE: u32 = 500;

/// Events that belong to a file and change nothing.
const OF_FILES: &[EventKind] = &[
    EventKind::FORMAT_DESCRIPTION,
    EventKind::ROTATE,
    EventKind::STOP,
    EventKind::PREVIOUS_GTIDS,
    EventKind::GTID_LIST,
    EventKind::BINLOG_CHECKPOINT,
    EventKind::START_ENCRYPTION,
    EventKind::HEARTBEAT,
    EventKind::HEARTBEAT_V2,
];

/// What is in the way.
pub(super) async fn in_the_way(
    work: &mut Work<'_>,
    rewind: &Rewind<'_>,
) -> Result<Vec<String>, RewindError> {
    let Some(files) = files_from(work, &rewind.from).await? else {
        return Ok(vec![format!(
            "its binary log {} is not there any more: nothing proves that what was saved is the \
             last that was written",
            rewind.from.file
        )]);
    };
    let mut saved = rewind.undo.logged.iter();
    for from in files {
        let mut next = Some(from);
        let mut seen = 0;
        while let Some(place) = next {
            let page = page(work, &place, seen).await?;
            for event in page.events {
                if !saved.next().is_some_and(|expected| event.is(expected)) {
                    return Ok(vec![format!(
                        "its binary log has an event at {} that is not what was saved: something \
                         was written besides or since",
                        BinlogPosition::new(place.file, event.place)
                    )]);
                }
            }
            (next, seen) = (page.next, page.seen);
        }
    }
    Ok(match saved.len() {
        0 => Vec::new(),
        missing => vec![format!("its binary log lacks the last {missing} of the saved events")],
    })
}

/// Where to read on in each file, from a place on; `None` if its file is not there.
async fn files_from(
    work: &mut Work<'_>,
    from: &BinlogPosition,
) -> Result<Option<Vec<BinlogPosition>>, RewindError> {
    let sql = work.dialect().binary_logs();
    let rows = work.query("listing its binary logs", sql).await?;
    let names = rows.iter().filter_map(|row| row.at(0));
    let names: Vec<&str> = names.skip_while(|name| *name != from.file).collect();
    let later = names.iter().skip(1).map(|name| BinlogPosition::new(*name, 4));
    Ok((!names.is_empty()).then(|| std::iter::once(from.clone()).chain(later).collect()))
}

/// An event as the server lists it.
struct Listed {
    place: u64,
    kind: String,
    server_id: u64,
    end: u64,
}

impl Listed {
    fn is(&self, saved: &LoggedEvent) -> bool {
        saved.kind.name().is_none_or(|name| name == self.kind)
            && u64::from(saved.server_id) == self.server_id
            && u64::from(saved.end_position) == self.end
    }
}

/// Some events of transactions.
struct Page {
    events: Vec<Listed>,
    /// Where to go on, if there may be more.
    next: Option<BinlogPosition>,
    /// Where the last event stands that was seen.
    seen: u64,
}

/// The events from a place on, beyond the one that was `seen` last.
async fn page(work: &mut Work<'_>, from: &BinlogPosition, seen: u64) -> Result<Page, RewindError> {
    let sql = work.dialect().binlog_events(from, PAGE);
    let rows = work.query("reading its binary log", &sql).await?;
    let mut page = Page { events: Vec::new(), next: None, seen };
    let mut go_on = from.offset;
    for row in &rows {
        let number = |column| row.get(column).and_then(|text| text.parse::<u64>().ok());
        let (Some(place), Some(server_id), Some(end)) =
            (number("Pos"), number("Server_id"), number("End_log_pos"))
        else {
            return Err(work.refused(format!("its binary log cannot be read at {from}")));
        };
        go_on = place;
        // What MySQL shows of the inside of a compressed transaction stands where that ends.
        if end == place || place <= page.seen {
            continue;
        }
        // MariaDB 11 leaves out where events within a transaction end.
        if end < place && end != 0 {
            return Err(work.refused(format!(
                "its binary log {} is larger than 4 GiB, and its events have no places there",
                from.file
            )));
        }
        page.seen = place;
        let kind = row.get("Event_type").unwrap_or_default().to_owned();
        if !OF_FILES.iter().any(|known| known.name() == Some(&*kind)) {
            page.events.push(Listed { place, kind, server_id, end });
        }
    }
    let full = u32::try_from(rows.len()).is_ok_and(|count| count >= PAGE);
    page.next = full.then(|| BinlogPosition::new(from.file.clone(), go_on));
    Ok(page)
}
