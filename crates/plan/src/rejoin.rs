//! A server that is back: whether it can simply become a replica again.
//!
//! The positions that a snapshot has do not tell it on MariaDB: what a former primary wrote last
//! hides behind what its successor has written since. So both servers are asked for all that they
//! know, writer by writer.

use primacy_types::{MariaDbGtid, MySqlGtidSet};

/// What a server says of its own history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// MySQL with GTID.
    MySql {
        /// `gtid_executed`.
        executed: MySqlGtidSet,
        /// `gtid_purged`: what it can no longer give.
        purged: MySqlGtidSet,
    },
    /// MariaDB with GTID: of each writer of each domain the last transaction
    /// (`gtid_binlog_state`), and the position.
    MariaDb {
        /// In any order; of the same writer the highest counts.
        last: Vec<MariaDbGtid>,
    },
}

/// A returned server and the primary that it could follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// `server_id` of the returned server.
    pub server_id: u32,
    /// What it has.
    pub own: History,
    /// What the primary has.
    pub primary: History,
    /// `server_uuid` of every other server of the cluster (MySQL).
    pub others: Vec<String>,
}

/// Whether a returned server can become a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The primary has everything that it has.
    Behind {
        /// Among what it lacks may be what it wrote itself before it lost it: a replica passes
        /// over events with its own `server_id` without a word.
        may_lack_its_own: bool,
    },
    /// It has transactions that the primary has not, as far as is known without its binary logs.
    Ahead(Beyond),
    /// The primary can no longer give what it lacks.
    TooOld {
        /// What nobody gives it, as people read it.
        lacking: String,
    },
    /// The two number their transactions differently.
    Unlike,
}

/// What a server has and the primary has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// These.
    MySql(MySqlGtidSet),
    /// Of each of these writers everything after what the primary knows, up to this transaction.
    MariaDb(Vec<MariaDbGtid>),
}

/// Judges a returned server.
pub fn standing(returned: &Returned) -> Standing {
    match (&returned.own, &returned.primary) {
        (History::MySql { executed, .. }, History::MySql { executed: theirs, purged }) => {
            let beyond = executed.minus(theirs);
            if !beyond.is_empty() {
                return Standing::Ahead(Beyond::MySql(beyond));
            }
            let lacking = purged.minus(executed);
            if !lacking.is_empty() {
                return Standing::TooOld { lacking: lacking.to_string() };
            }
            let by_others =
                |uuid: &str| returned.others.iter().any(|other| other.eq_ignore_ascii_case(uuid));
            // A server that was built anew has another uuid than when it wrote them.
            let unclear =
                theirs.minus(executed).filtered(|source| !by_others(&source.uuid.to_string()));
            Standing::Behind { may_lack_its_own: !unclear.is_empty() }
        }
        (History::MariaDb { last: own }, History::MariaDb { last: theirs }) => {
            let beyond: Vec<MariaDbGtid> = further(own, theirs);
            if !beyond.is_empty() {
                return Standing::Ahead(Beyond::MariaDb(beyond));
            }
            let lacks = further(theirs, own);
            let its_own = lacks.iter().any(|gtid| gtid.server == returned.server_id);
            Standing::Behind { may_lack_its_own: its_own }
        }
        _ => Standing::Unlike,
    }
}

/// The last of each writer that `these` know further than `those`, in order.
fn further(these: &[MariaDbGtid], those: &[MariaDbGtid]) -> Vec<MariaDbGtid> {
    let known = |gtid: &MariaDbGtid| {
        let same =
            |other: &&MariaDbGtid| (other.domain, other.server) == (gtid.domain, gtid.server);
        those.iter().filter(same).map(|other| other.sequence).max()
    };
    let mut further: Vec<MariaDbGtid> = these
        .iter()
        .filter(|gtid| known(gtid).is_none_or(|known| gtid.sequence > known))
        .copied()
        .collect();
    further.sort_unstable_by_key(|gtid| (gtid.domain, gtid.server, gtid.sequence));
    // Of each writer the last.
    let mut last: Vec<MariaDbGtid> = Vec::new();
    for gtid in further {
        match last.last_mut() {
            Some(before) if (before.domain, before.server) == (gtid.domain, gtid.server) => {
                *before = gtid;
            }
            _ => last.push(gtid),
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{gtids, uuid};

    fn mysql(text: &str) -> MySqlGtidSet {
        gtids(text).as_mysql().cloned().unwrap_or_default()
    }

    fn on_mysql(own: &str, theirs: &str, purged: &str) -> Standing {
        standing(&Returned {
            server_id: 1,
            own: History::MySql { executed: mysql(own), purged: MySqlGtidSet::default() },
            primary: History::MySql { executed: mysql(theirs), purged: mysql(purged) },
            others: vec![uuid(2), uuid(3)],
        })
    }

    fn mariadb(text: &str) -> History {
        History::MariaDb {
            last: text.split(',').map(|gtid| gtid.parse().expect("a GTID")).collect(),
        }
    }

    fn on_mariadb(own: &str, theirs: &str) -> Standing {
        let (own, primary) = (mariadb(own), mariadb(theirs));
        standing(&Returned { server_id: 1, own, primary, others: Vec::new() })
    }

    #[test]
    fn a_former_primary_with_nothing_of_its_own_just_follows() {
        let behind = Standing::Behind { may_lack_its_own: false };
        assert_eq!(on_mysql("1:1-100", "1:1-100,2:1-50", ""), behind);
        assert_eq!(on_mariadb("0-1-100", "0-1-100,0-2-150"), behind);
    }

    #[test]
    fn what_it_wrote_last_is_not_hidden_by_what_its_successor_wrote() {
        let ahead = on_mariadb("0-1-105,0-3-20", "0-1-100,0-3-20,0-2-400");
        assert_eq!(ahead, Standing::Ahead(Beyond::MariaDb(vec!["0-1-105".parse().unwrap()])));
        let ahead = on_mysql("1:1-105", "1:1-100,2:1-300", "");
        assert_eq!(ahead, Standing::Ahead(Beyond::MySql(mysql("1:101-105"))));
    }

    #[test]
    fn a_server_that_lost_what_it_had_written_itself_is_told() {
        let own = Standing::Behind { may_lack_its_own: true };
        assert_eq!(on_mysql("1:1-90", "1:1-100,2:1-300", ""), own);
        assert_eq!(on_mariadb("0-1-90", "0-1-100,0-2-300"), own);
        // Its uuid is new, and who wrote with the old one is not known: it may have been itself.
        assert_eq!(on_mysql("2:1-90", "2:1-90,9:1-5", ""), own);
    }

    #[test]
    fn what_the_primary_has_thrown_away_cannot_be_caught_up() {
        let old = on_mysql("1:1-90", "1:1-100,2:1-300", "1:1-100,2:1-10");
        assert!(
            matches!(&old, Standing::TooOld { lacking } if lacking.contains("91-100")),
            "{old:?}"
        );
    }

    #[test]
    fn a_server_of_another_kind_is_not_compared() {
        let returned = Returned {
            server_id: 1,
            own: mariadb("0-1-1"),
            primary: History::MySql { executed: mysql("1:1"), purged: MySqlGtidSet::default() },
            others: Vec::new(),
        };
        assert_eq!(standing(&returned), Standing::Unlike);
    }

    #[test]
    fn of_the_same_writer_the_highest_counts() {
        let ahead = on_mariadb("0-1-100,0-1-105,1-1-7", "0-1-90,0-1-104,1-1-7");
        assert_eq!(ahead, Standing::Ahead(Beyond::MariaDb(vec!["0-1-105".parse().unwrap()])));
    }
}
