//! Which transactions of a feed a replica has already.

use std::collections::BTreeMap;

use primacy_binlog::event::{EventKind, GtidEvent, MariaDbGtidEvent};
use primacy_binlog::{FormatDescription, RawEvent};
use primacy_types::{MariaDbGtid, MariaDbGtidPos, MySqlGtidSet};

use super::DumpError;

/// What a replica has, by its own word.
#[derive(Clone, Debug)]
pub(super) enum Has {
    /// Everything before the place that it asks for.
    Before,
    /// These transactions (MySQL).
    MySql(MySqlGtidSet),
    /// In each domain everything up to these. A domain is taken out when its transaction has been
    /// seen: everything after it is sent, whatever its number.
    MariaDb(BTreeMap<u32, MariaDbGtid>),
}

impl Has {
    pub(super) fn mariadb(pos: &MariaDbGtidPos) -> Self {
        Self::MariaDb(pos.iter().map(|gtid| (gtid.domain, gtid)).collect())
    }

    /// Whether the replica has the transaction that this GTID event begins. Events of other kinds
    /// are never asked for. `Err` if the replica cannot be served.
    pub(super) fn transaction(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        place: &str,
    ) -> Result<bool, DumpError> {
        match self {
            Self::Before => Ok(false),
            Self::MySql(set) => match GtidEvent::decode(event, format)?.gtid {
                Some(gtid) => Ok(gtid.is_in(set)),
                // The words of MySQL 5.7 to 9.7 for it.
                None => Err(DumpError::Refused(format!(
                    "Cannot replicate anonymous transaction when AUTO_POSITION = 1, at {place}"
                ))),
            },
            Self::MariaDb(domains) => {
                if event.kind() != EventKind::MARIADB_GTID {
                    return Err(DumpError::Refused(format!(
                        "the replica asks by GTID, and the transaction at {place} has none"
                    )));
                }
                let gtid = MariaDbGtidEvent::decode(event, format)?.gtid;
                has_mariadb(domains, gtid)
            }
        }
    }
}

/// As `send_event_to_slave` (MariaDB 10.11) decides it, save that a transaction with a later number
/// also ends the domain's wait: the saved events may begin after the very transaction that the
/// replica names. Whether that leaves a gap was looked at when the feed was opened.
fn has_mariadb(
    domains: &mut BTreeMap<u32, MariaDbGtid>,
    gtid: MariaDbGtid,
) -> Result<bool, DumpError> {
    let Some(last) = domains.get(&gtid.domain).copied() else { return Ok(false) };
    if gtid.sequence < last.sequence {
        return Ok(true);
    }
    if gtid.sequence == last.sequence && gtid.server != last.server {
        return Err(DumpError::Refused(format!(
            "the replica's last transaction {last} is not among the saved events, which have \
             {gtid} in its place: the two have diverged"
        )));
    }
    domains.remove(&gtid.domain);
    Ok(gtid == last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_opens_after_its_last_transaction() {
        let Has::MariaDb(mut domains) = Has::mariadb(&"0-1-5,7-2-100".parse().unwrap()) else {
            panic!("not MariaDB")
        };
        let has: Vec<bool> =
            ["0-1-4", "7-2-99", "1-1-1", "0-1-5", "0-2-6", "0-1-3", "7-3-101", "7-3-100"]
                .map(|gtid| has_mariadb(&mut domains, gtid.parse().unwrap()).unwrap())
                .to_vec();
        assert_eq!(has, [true, true, false, true, false, false, false, false]);
    }

    #[test]
    fn a_replica_that_has_diverged_is_refused() {
        let mut domains = BTreeMap::from([(0, "0-1-5".parse().unwrap())]);
        assert!(has_mariadb(&mut domains, "0-2-5".parse().unwrap()).is_err());
    }
}
