//! GTID sets as servers print them, and the laws that elections rely on.

use primacy_types::{MariaDbGtidPos, MySqlGtidSet, TransactionSet};
use proptest::prelude::*;

const A: &str = "11111111-1111-1111-1111-111111111111";
const B: &str = "22222222-2222-2222-2222-222222222222";

fn mysql(text: &str) -> MySqlGtidSet {
    text.parse().expect("a GTID set")
}

fn mariadb(text: &str) -> MariaDbGtidPos {
    text.parse().expect("a GTID set")
}

#[test]
fn intervals_are_merged_and_sorted() {
    let set = mysql(&format!("{A}:6-9:1-3:4:20,\n{B}:1"));
    assert_eq!(set.to_string(), format!("{A}:1-4:6-9:20,{B}:1"));
    assert_eq!(set.count(), 10);
}

#[test]
fn a_tag_holds_until_the_next_tag_or_source() {
    let set = mysql(&format!("{A}:1-22:blue:1:3:green:7,{B}:2"));
    assert_eq!(set.to_string(), format!("{A}:1-22,{A}:blue:1:3,{A}:green:7,{B}:2"));
    assert_eq!(mysql(&set.to_string()), set);
}

#[test]
fn what_is_no_gtid_set_is_refused() {
    for text in ["x:1", A, &format!("{A}:0"), &format!("{A}:5-2"), &format!("{A}:1-x")] {
        assert!(text.parse::<MySqlGtidSet>().is_err(), "{text}");
    }
    for text in ["0-1", "0-1-2-3", "a-b-c", "0-1-99999999999999999999"] {
        assert!(text.parse::<MariaDbGtidPos>().is_err(), "{text}");
    }
}

#[test]
fn the_furthest_of_a_domain_counts() {
    let pos = mariadb("0-1-5,0-2-9,1-1-3");
    assert_eq!(pos.to_string(), "0-2-9,1-1-3");
    assert!(pos.covers(&mariadb("0-1-8")));
    assert!(!pos.covers(&mariadb("2-1-1")));
    assert_eq!(pos.beyond(&mariadb("0-1-7")), ["0-2-8..9", "1-1-1..3"]);
}

#[test]
fn two_positions_can_each_be_ahead() {
    let (a, b) = (mariadb("0-1-9,1-1-2"), mariadb("0-1-7,1-1-5"));
    assert!(!a.covers(&b) && !b.covers(&a));
    assert_eq!(a.union(&b), mariadb("0-1-9,1-1-5"));
}

#[test]
fn families_do_not_mix() {
    let a = TransactionSet::MySql(mysql(&format!("{A}:1")));
    let b = TransactionSet::MariaDb(mariadb("0-1-1"));
    assert!(!a.covers(&b) && !b.covers(&a));
    assert!(a.covers(&TransactionSet::MariaDb(MariaDbGtidPos::default())));
}

prop_compose! {
    fn some_set()(parts in prop::collection::vec((0..2usize, 1u64..60, 0u64..9), 0..12)) -> MySqlGtidSet {
        let texts: Vec<String> =
            parts.iter().map(|(s, a, n)| format!("{}:{a}-{}", [A, B][*s], a + n)).collect();
        mysql(&texts.join(","))
    }
}

fn members(set: &MySqlGtidSet) -> std::collections::BTreeSet<(String, u64)> {
    set.intervals()
        .flat_map(|(s, i)| i.iter().flat_map(|(a, b)| *a..=*b).map(|n| (s.uuid.to_string(), n)))
        .collect()
}

proptest! {
    #[test]
    fn sets_behave_as_sets_of_transactions(a in some_set(), b in some_set()) {
        let (ma, mb) = (members(&a), members(&b));
        prop_assert_eq!(members(&a.union(&b)), &ma | &mb);
        prop_assert_eq!(members(&a.minus(&b)), &ma - &mb);
        prop_assert_eq!(a.covers(&b), ma.is_superset(&mb));
        prop_assert_eq!(a.count(), ma.len() as u64);
        prop_assert_eq!(mysql(&a.to_string()), a);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _ = text.parse::<MySqlGtidSet>();
        let _ = text.parse::<MariaDbGtidPos>();
    }
}
