//! What a replica says to our source once it has logged in: questions, and requests for events.

use primacy_replication::fuzzed::Visitor;
use primacy_replication::gtid_set;
use primacy_types::MySqlGtidSet;

use crate::input::Switches;

pub(crate) fn target(bytes: &[u8]) {
    let (switches, mut rest) = Switches::split(bytes);
    let mut visitor = Visitor::new(switches.has(0));
    // Commands one after another: two bytes of length, number, argument.
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(more.len());
        let (command, more) = more.split_at(length);
        rest = more;
        if let Some((code, argument)) = command.split_first() {
            visitor.command(*code, argument);
            same_when_written(argument);
        }
    }
}

/// A set of GTIDs is read as it was when it is written, in both forms.
fn same_when_written(bytes: &[u8]) {
    let Ok(set) = gtid_set::decode(bytes) else { return };
    assert_eq!(gtid_set::decode(&gtid_set::encode(&set)).as_ref(), Ok(&set));
    assert_eq!(set.to_string().parse::<MySqlGtidSet>().as_ref(), Ok(&set));
}
