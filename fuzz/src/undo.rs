//! Saved transactions turned round, and turned round again: the rows must be those that they were.

use std::collections::BTreeMap;

use primacy_binlog::event::{Column, RowsChange};
use primacy_binlog::payload::{InnerEvents, decompress};
use primacy_binlog::undo::{Undo, UndoError, UndoLimits, undo};
use primacy_binlog::{EventBody, EventKind, FormatDescription, RawEvent, Reader};

use crate::input::{Switches, with_checksums};

/// How much of a compressed event is opened: well within the limit of memory.
const OPENED: usize = 32 << 10;

pub(crate) fn target(bytes: &[u8]) {
    let (switches, file) = Switches::split(bytes);
    let file = if switches.has(0) { with_checksums(file) } else { file.to_vec() };
    let statement = 200 << (switches.from(1) & 15);
    let limits = UndoLimits { statement, opened: OPENED, total: 512 << 10 };
    let Ok(once) = turned(&file, &limits) else { return };
    for one in once.statements() {
        assert!(one.sql.len() <= limits.statement && !one.tables.is_empty());
        assert!(one.sql.len() <= once.statement_limit());
    }
    let first = once.as_binlog();
    let twice = turned(&first, &limits).expect("what was made here can be turned round");
    assert_eq!(twice.rows, once.rows);
    let second = twice.as_binlog();
    let thrice = turned(&second, &limits).expect("what was made here can be turned round");
    assert!(thrice.as_binlog() == first, "turned round three times it is what it was once");
    if let Some(original) = Rows::of(&file) {
        let again = Rows::of(&second).expect("there are no XA transactions any more");
        assert!(again == original, "turned round twice it is not what it was");
    }
}

fn turned(file: &[u8], limits: &UndoLimits) -> Result<Undo, UndoError> {
    let mut reader = Reader::new(file, "it").expect("memory can be read");
    undo(&mut reader, limits)
}

/// Table, change, the row before and after.
type Row = (Vec<u8>, u8, Vec<u8>, Vec<u8>);

/// The rows of a file in their order, read without what is tried here.
#[derive(Default)]
struct Rows {
    tables: BTreeMap<u64, (Vec<u8>, Vec<Column>)>,
    all: Vec<Row>,
}

impl Rows {
    /// `None` where there is an XA transaction: its rows may have been rolled back.
    fn of(file: &[u8]) -> Option<Vec<Row>> {
        let mut reader = Reader::new(file, "it").expect("memory can be read");
        let mut rows = Self::default();
        while let Ok(Some((event, format))) = reader.next_in_format() {
            rows.look_at(&event, format)?;
        }
        Some(rows.all)
    }

    fn look_at(&mut self, event: &RawEvent<'_>, format: &FormatDescription) -> Option<()> {
        if event.kind() == EventKind::XA_PREPARE {
            return None;
        }
        match EventBody::decode(event, format) {
            Ok(EventBody::TableMap(map)) => {
                let name = [map.database, b".", map.table].concat();
                self.tables.insert(map.table_id, (name, map.columns));
            }
            Ok(EventBody::Rows(rows)) => {
                let Some((name, columns)) = self.tables.get(&rows.table_id) else {
                    return Some(());
                };
                let opened = rows.opened(OPENED)?;
                let change = match rows.change {
                    RowsChange::Inserted => 0,
                    RowsChange::Updated => 1,
                    RowsChange::Deleted => 2,
                };
                for span in rows.spans(&opened, columns)? {
                    let (before, after) = (&opened[span.before], &opened[span.after]);
                    self.all.push((name.clone(), change, before.to_vec(), after.to_vec()));
                }
            }
            Ok(EventBody::TransactionPayload(payload)) => {
                let opened = decompress(&payload, OPENED).ok()?;
                for inner in InnerEvents::new(&opened).flatten() {
                    self.look_at(&inner, &format.without_checksums())?;
                }
            }
            _ => {}
        }
        Some(())
    }
}
