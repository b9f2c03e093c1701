//! Transactions that a replica has and that no primary gave it: errant ones, which it (or a server
//! above it in a chain) wrote itself, and foreign ones, which it got over a channel from outside.

use primacy_types::{
    Address, ChannelStatus, ClusterSnapshot, GtidSource, MariaDbGtid, MariaDbGtidPos, MySqlGtidSet,
    ServerFacts, TransactionSet,
};

use crate::topology;

/// What a server has that the primary did not give it.
pub(crate) struct Own {
    /// Written by itself or by an intermediate above it.
    pub(crate) errant: TransactionSet,
    /// Received over another channel from a source outside the cluster.
    pub(crate) foreign: TransactionSet,
}

/// What `server` has that it cannot have received from `primary`, as people read it.
///
/// MySQL: transactions numbered by another server than the primary which neither the primary (as
/// far as was last seen) nor any other replica has. MariaDB: a domain whose last transaction the
/// server wrote itself, beyond what the primary and the other replicas have. What came over a
/// channel from outside the cluster is not errant.
pub fn errant_of(snapshot: &ClusterSnapshot, primary: &Address, server: &Address) -> Vec<String> {
    named(&of(snapshot, primary, server).errant)
}

/// The transactions as people read them.
pub(crate) fn named(own: &TransactionSet) -> Vec<String> {
    match own {
        TransactionSet::MySql(set) if set.is_empty() => Vec::new(),
        TransactionSet::MySql(set) => vec![set.to_string()],
        TransactionSet::MariaDb(last) => last.iter().map(|gtid| gtid.to_string()).collect(),
        // Without GTID nobody can tell who wrote what.
        TransactionSet::UpTo(_) => Vec::new(),
    }
}

/// Tells a server's own transactions apart.
pub(crate) fn of(snapshot: &ClusterSnapshot, primary: &Address, server: &Address) -> Own {
    let Some(facts) = facts_of(snapshot, server) else {
        let nothing = TransactionSet::MariaDb(MariaDbGtidPos::default());
        return Own { errant: nothing.clone(), foreign: nothing };
    };
    let case = Case::new(snapshot, primary, server, facts);
    match (&facts.executed, &case.elsewhere) {
        (TransactionSet::MySql(mine), Some(TransactionSet::MySql(theirs))) => {
            case.on_mysql(mine, theirs)
        }
        (TransactionSet::MariaDb(mine), Some(TransactionSet::MariaDb(theirs))) => {
            case.on_mariadb(mine, theirs)
        }
        (mine, _) => Own { errant: mine.nothing(), foreign: mine.nothing() },
    }
}

fn facts_of<'a>(snapshot: &'a ClusterSnapshot, server: &Address) -> Option<&'a ServerFacts> {
    snapshot.server(server)?.facts.as_ref()
}

/// One server among the others.
struct Case<'a> {
    /// The primary was seen at least once.
    primary_seen: bool,
    /// `server_uuid` of the primary, also from its direct replicas.
    primary_uuid: Option<&'a str>,
    /// This server and those between it and the primary: what they write is errant.
    line: Vec<&'a ServerFacts>,
    /// What the primary and the replicas outside this line hold.
    elsewhere: Option<TransactionSet>,
    /// What came over the managed channel, if that reads from the primary itself.
    from_primary: Option<&'a TransactionSet>,
    /// Channels from sources that are none of ours.
    outside: Vec<&'a ChannelStatus>,
}

impl<'a> Case<'a> {
    fn new(
        snapshot: &'a ClusterSnapshot,
        primary: &Address,
        server: &Address,
        facts: &'a ServerFacts,
    ) -> Self {
        let channel = &snapshot.policy.channel;
        let path = |a: &Address| topology::intermediates(snapshot, a, primary);
        let above = path(server).unwrap_or_default();
        // A server below this one in a chain has its errant transactions from it, as this one has
        // those of the servers above it.
        let outside_the_line =
            |a: &Address| !above.contains(a) && path(a).is_some_and(|way| !way.contains(server));
        let elsewhere = snapshot
            .servers
            .keys()
            .filter(|a| *a != server && (*a == primary || outside_the_line(a)))
            .filter_map(|a| facts_of(snapshot, a))
            .map(|f| f.holds(channel))
            .reduce(|all, more| all.union(&more));
        let seen = facts_of(snapshot, primary);
        let by_replicas = || {
            snapshot
                .servers
                .keys()
                .filter(|a| topology::managed_source(snapshot, a).as_ref() == Some(primary))
                .find_map(|a| facts_of(snapshot, a)?.channel(channel)?.source_uuid.as_deref())
        };
        let direct = topology::managed_source(snapshot, server).as_ref() == Some(primary);
        Self {
            primary_seen: seen.is_some(),
            primary_uuid: seen.and_then(|f| f.server_uuid.as_deref()).or_else(by_replicas),
            line: above
                .iter()
                .filter_map(|a| facts_of(snapshot, a))
                .chain(std::iter::once(facts))
                .collect(),
            elsewhere,
            from_primary: facts
                .channel(channel)
                .filter(|_| direct)
                .and_then(|c| c.received.as_ref()),
            outside: facts
                .channels
                .iter()
                .filter(|c| c.name != *channel && topology::source_of(snapshot, c).is_none())
                .collect(),
        }
    }

    fn on_mysql(&self, mine: &MySqlGtidSet, theirs: &MySqlGtidSet) -> Own {
        let by = |uuid: Option<&str>, source: &GtidSource| {
            uuid.is_some_and(|u| u.eq_ignore_ascii_case(&source.uuid.to_string()))
        };
        let mut extra = mine.minus(theirs).filtered(|s| !by(self.primary_uuid, s));
        if let Some(TransactionSet::MySql(received)) = self.from_primary {
            extra = extra.minus(received);
        }
        let mut rest = extra.clone();
        for channel in &self.outside {
            rest = rest.filtered(|s| !by(channel.source_uuid.as_deref(), s));
            if let Some(TransactionSet::MySql(received)) = &channel.received {
                rest = rest.minus(received);
            }
        }
        let foreign = extra.minus(&rest);
        if !self.primary_seen {
            // What an earlier primary wrote cannot be told from what the last one had: only what
            // carries the name of this line is certain.
            let line = |s: &GtidSource| self.line.iter().any(|f| by(f.server_uuid.as_deref(), s));
            rest = rest.filtered(line);
        }
        Own { errant: TransactionSet::MySql(rest), foreign: TransactionSet::MySql(foreign) }
    }

    fn on_mariadb(&self, mine: &MariaDbGtidPos, theirs: &MariaDbGtidPos) -> Own {
        let last = |set: Option<&TransactionSet>, domain| set?.as_mariadb()?.last(domain);
        let foreign = |gtid: &MariaDbGtid| {
            last(self.from_primary, gtid.domain).is_none()
                && self.outside.iter().any(|c| {
                    c.source_server_id == gtid.server
                        || last(c.received.as_ref(), gtid.domain).is_some()
                })
        };
        let errant = |gtid: &MariaDbGtid| {
            !foreign(gtid)
                && last(self.from_primary, gtid.domain) != Some(*gtid)
                && self.line.iter().any(|f| f.server_id == gtid.server)
        };
        let extra = || mine.ahead_of(theirs);
        Own {
            errant: TransactionSet::MariaDb(extra().filter(errant).collect()),
            foreign: TransactionSet::MariaDb(extra().filter(foreign).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{addr, cluster, pos};
    use primacy_types::ServerVersion;

    #[test]
    fn what_a_replica_wrote_itself_is_errant_and_what_it_received_more_is_not() {
        let mut world = cluster(["a", "b", "c"]);
        world.facts("b").executed = pos("0-2-101");
        world.facts("c").executed = pos("0-1-105");
        world.channel("c").received = Some(pos("0-1-105"));
        // b's own 0-2-101 hides behind c's further position in the same domain: MariaDB cannot
        // tell, strict mode stops b's applier instead.
        assert!(errant_of(&world.snapshot, &addr("a"), &addr("c")).is_empty());
        world.facts("b").executed = pos("0-2-110");
        assert_eq!(errant_of(&world.snapshot, &addr("a"), &addr("b")), ["0-2-110"]);
    }

    #[test]
    fn what_an_intermediate_wrote_is_errant_on_the_replica_below_it_too() {
        let mut world = cluster(["a", "b", "c"]);
        world.channel("c").source = addr("b");
        for name in ["b", "c"] {
            world.facts(name).executed = pos("0-2-103");
            world.channel(name).received = Some(pos("0-1-100"));
        }
        assert_eq!(errant_of(&world.snapshot, &addr("a"), &addr("b")), ["0-2-103"]);
        assert_eq!(errant_of(&world.snapshot, &addr("a"), &addr("c")), ["0-2-103"]);
    }

    #[test]
    fn on_mysql_the_primarys_own_transactions_are_never_errant() {
        let (p, q) =
            ("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222");
        let set = |text: String| TransactionSet::MySql(text.parse().unwrap());
        let mut world = cluster(["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            world.facts(name).version = ServerVersion::mysql(9, 7, 0);
            world.facts(name).executed = set(format!("{p}:1-100"));
        }
        world.facts("a").server_uuid = Some(p.into());
        for name in ["b", "c"] {
            world.channel(name).received = None;
        }
        world.facts("b").executed = set(format!("{p}:1-120"));
        assert!(errant_of(&world.snapshot, &addr("a"), &addr("b")).is_empty());
        world.facts("b").executed = set(format!("{p}:1-120,{q}:1-3"));
        assert_eq!(errant_of(&world.snapshot, &addr("a"), &addr("b")), [format!("{q}:1-3")]);
    }
}
