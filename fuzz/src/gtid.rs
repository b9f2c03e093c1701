//! GTIDs as text, of both families, and the laws that elections rely on.

use primacy_replication::gtid_set;
use primacy_types::{Address, MariaDbGtidPos, MySqlGtidSet, ServerVersion, TransactionSet};

pub(crate) fn target(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (a, b) = text.split_once('\n').unwrap_or((&text, ""));
    if let (Ok(a), Ok(b)) = (a.parse(), b.parse()) {
        mysql(&a, &b);
    }
    if let (Ok(a), Ok(b)) = (a.parse(), b.parse()) {
        mariadb(&a, &b);
    }
    // Other texts that servers and files give.
    let _ = a.parse::<ServerVersion>();
    if let Ok(address) = a.parse::<Address>() {
        assert_eq!(address.to_string().parse().as_ref(), Ok(&address), "{address}");
    }
}

fn mysql(a: &MySqlGtidSet, b: &MySqlGtidSet) {
    let text = a.to_string();
    assert_eq!(text.parse().as_ref(), Ok(a), "{text}");
    assert_eq!(gtid_set::decode(&gtid_set::encode(a)).as_ref(), Ok(a), "{text}");
    let (both, only_a) = (a.union(b), a.minus(b));
    assert!(both.covers(a) && both.covers(b) && a.covers(&only_a));
    assert_eq!(both, b.union(a));
    assert_eq!(only_a.union(b), both);
    assert!(only_a.minus(b) == only_a && a.minus(a).is_empty());
    assert_eq!(b.covers(a), only_a.is_empty());
    laws(&TransactionSet::MySql(a.clone()), &TransactionSet::MySql(b.clone()));
}

fn mariadb(a: &MariaDbGtidPos, b: &MariaDbGtidPos) {
    let text = a.to_string();
    assert_eq!(text.parse().as_ref(), Ok(a), "{text}");
    let both = a.union(b);
    assert!(both.covers(a) && both.covers(b));
    assert_eq!(b.covers(a), a.count_beyond(b) == 0);
    assert_eq!(a.beyond(b).is_empty(), b.covers(a));
    laws(&TransactionSet::MariaDb(a.clone()), &TransactionSet::MariaDb(b.clone()));
}

fn laws(a: &TransactionSet, b: &TransactionSet) {
    assert!(a.covers(a) && a.union(b).covers(b));
    assert_eq!(a.beyond(b).is_empty(), b.covers(a));
}
