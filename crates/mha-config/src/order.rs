//! The order of servers, which decides between equals: by the first number in a block's name if
//! every block has one, else by name.

use std::cmp::Ordering;

use crate::model::Block;

/// The blocks in MHA's order.
pub(crate) fn sorted(mut blocks: Vec<Block>) -> Vec<Block> {
    let numbered = blocks.iter().all(|block| first_number(&block.name).is_some());
    blocks.sort_by(|a, b| {
        let by_number = match (numbered, first_number(&a.name), first_number(&b.name)) {
            (true, Some(a), Some(b)) => compare(a, b),
            _ => Ordering::Equal,
        };
        by_number.then_with(|| a.name.cmp(&b.name))
    });
    blocks
}

/// The digits of the first number, without zeros before them.
fn first_number(name: &str) -> Option<&str> {
    let begin = name.find(|c: char| c.is_ascii_digit())?;
    let rest = name.get(begin..)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(rest.get(..end)?.trim_start_matches('0'))
}

/// Numbers of any length, without zeros before them.
fn compare(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn ordered(names: &[&str]) -> Vec<String> {
        let block = |name: &&str| Block {
            name: (*name).to_owned(),
            place: None,
            settings: BTreeMap::new(),
        };
        sorted(names.iter().map(block).collect()).into_iter().map(|block| block.name).collect()
    }

    #[test]
    fn numbers_count_where_all_have_one() {
        assert_eq!(
            ordered(&["server10", "server9", "server_2a7"]),
            ["server_2a7", "server9", "server10"]
        );
        assert_eq!(
            ordered(&["server10", "server9", "serverx"]),
            ["server10", "server9", "serverx"]
        );
        assert_eq!(
            ordered(&["server02", "server1", "server2"]),
            ["server1", "server02", "server2"]
        );
    }

    #[test]
    fn a_number_may_have_any_length() {
        let long = format!("server{}", "9".repeat(60));
        assert_eq!(ordered(&[&long, "server1"]), ["server1", &long]);
    }
}
