//! Transactions: `BEGIN`, `START TRANSACTION`, `COMMIT`, `ROLLBACK`, savepoints, `XA`.

use crate::change::Change;
use crate::why::Why;

use super::reader::Reader;

pub(super) fn begin(reader: &mut Reader<'_, '_>) {
    reader.takes("WORK");
    reader.class.changes.push(Change::Begin { read_only: None, snapshot: false });
    must_end(reader);
}

pub(super) fn start(reader: &mut Reader<'_, '_>) {
    let (mut read_only, mut snapshot) = (None, false);
    while !reader.statement_ends() {
        match () {
            () if reader.takes("READ") => {
                read_only = Some(reader.is_word("ONLY"));
                reader.advance();
            }
            () if reader.takes("WITH") => {
                snapshot = reader.takes("CONSISTENT") && reader.takes("SNAPSHOT");
            }
            () if reader.takes_mark(b',') => {}
            () => break,
        }
    }
    // What else may stand here is not known.
    if read_only == Some(true) && reader.statement_ends() {
        reader.class.why = Why::ReadOnlyTransaction;
    }
    reader.class.changes.push(Change::Begin { read_only, snapshot });
    must_end(reader);
}

pub(super) fn commit(reader: &mut Reader<'_, '_>) {
    end(reader, true);
}

pub(super) fn rollback(reader: &mut Reader<'_, '_>) {
    end(reader, false);
}

fn end(reader: &mut Reader<'_, '_>, commit: bool) {
    reader.takes("WORK");
    let mut chain = false;
    if reader.takes("AND") {
        chain = !reader.takes("NO");
        reader.takes("CHAIN");
    }
    let release = !reader.takes("NO") && reader.takes("RELEASE");
    reader.takes("RELEASE");
    reader.class.changes.push(Change::End { commit, chain, release });
    must_end(reader);
}

pub(super) fn rollback_to(reader: &mut Reader<'_, '_>) {
    reader.takes("SAVEPOINT");
    named(reader, Change::RollbackTo);
}

pub(super) fn savepoint(reader: &mut Reader<'_, '_>) {
    named(reader, Change::Savepoint);
}

pub(super) fn release(reader: &mut Reader<'_, '_>) {
    named(reader, Change::ReleaseSavepoint);
}

fn named<'s>(reader: &mut Reader<'s, '_>, change: fn(&'s [u8]) -> Change<'s>) {
    if let Some(name) = reader.single_name() {
        reader.class.changes.push(change(name));
    }
    must_end(reader);
}

pub(super) fn xa_begins(reader: &mut Reader<'_, '_>) {
    reader.class.changes.push(Change::Xa { begins: true, ends: false });
}

pub(super) fn xa_ends(reader: &mut Reader<'_, '_>) {
    reader.class.changes.push(Change::Xa { begins: false, ends: true });
}

pub(super) fn xa(reader: &mut Reader<'_, '_>) {
    reader.class.changes.push(Change::Xa { begins: false, ends: false });
}

/// What stands behind a whole statement is not known: the server will refuse it, or knows more.
fn must_end(reader: &mut Reader<'_, '_>) {
    if !reader.statement_ends() {
        super::rules::unknown(reader);
    }
}
