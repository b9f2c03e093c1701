//! Index files, and the names in them.

use primacy_binlog::index::{next_name, number_of, parse_index, previous_name};

pub(crate) fn target(bytes: &[u8]) {
    let names = parse_index(bytes);
    for name in &names {
        let number = number_of(name).expect("only names with a number are listed");
        if let Some(next) = next_name(name) {
            assert_eq!(number_of(&next), Some(number + 1), "{name}");
        }
        if let Some(previous) = previous_name(name) {
            let again = next_name(&previous).expect("a name after the one before");
            assert_eq!(number_of(&again), Some(number), "{name}");
        }
    }
    assert_eq!(parse_index(names.join("\n").as_bytes()), names);
}
