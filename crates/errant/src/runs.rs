//! Which of a MariaDB server's own transactions are errant, as its binary logs tell.
//!
//! A position names only the last transaction of each domain. What a server wrote itself before
//! that is errant beyond what the primary knows of this writer. Where the primary has not heard of
//! the writer, its transactions may still be history that everybody's data began with: then others
//! went on with the next numbers after them. After errant ones the others use the same numbers.

use std::collections::BTreeMap;

use primacy_binlog::describe::WantedGtids;
use primacy_types::MariaDbGtid;

/// A domain and a server that wrote in it.
pub(crate) type Writer = (u32, u32);

/// Transactions of one writer one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: MariaDbGtid,
    last: u64,
    /// The binary logs do not hold them.
    is_gone: bool,
}

impl Run {
    fn holds(&self, gtid: MariaDbGtid) -> bool {
        (self.first.domain, self.first.server) == (gtid.domain, gtid.server)
            && (self.first.sequence..=self.last).contains(&gtid.sequence)
    }
}

/// Finds errant transactions in what goes by.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    /// Up to which number the primary knows each writer; `None` if it has not heard of it.
    writers: BTreeMap<Writer, Option<u64>>,
    /// In each domain those that somebody may still have gone on after.
    pending: BTreeMap<u32, Vec<Run>>,
    errant: Vec<Run>,
}

impl Runs {
    pub(crate) fn new(writers: BTreeMap<Writer, Option<u64>>) -> Self {
        Self { writers, pending: BTreeMap::new(), errant: Vec::new() }
    }

    /// Whether everything that may be errant is behind the head with this list.
    pub(crate) fn begins_after(&self, list: &[MariaDbGtid]) -> bool {
        self.writers
            .iter()
            .all(|(writer, known)| number(list, *writer) <= known.unwrap_or_default())
    }

    /// The list at the head of the first file: what it names is in no file.
    pub(crate) fn begin(&mut self, list: &[MariaDbGtid]) {
        for (writer, known) in self.writers.clone() {
            let (domain, server) = writer;
            let listed = number(list, writer);
            let others = list.iter().filter(|g| g.domain == domain && g.server != server);
            let others = others.map(|gtid| gtid.sequence);
            let after = match known {
                Some(known) => known,
                None if others.clone().any(|number| number > listed) => continue,
                None => others.max().unwrap_or_default(),
            };
            if listed > after {
                let first = MariaDbGtid { domain, server, sequence: after + 1 };
                let run = Run { first, last: listed, is_gone: true };
                match known {
                    Some(_) => self.errant.push(run),
                    None => self.pending.entry(domain).or_default().push(run),
                }
            }
        }
    }

    /// A transaction that stands in the binary logs.
    pub(crate) fn feed(&mut self, gtid: MariaDbGtid) {
        match self.writers.get(&(gtid.domain, gtid.server)) {
            Some(Some(known)) if gtid.sequence <= *known => {}
            Some(Some(_)) => grow(&mut self.errant, gtid),
            Some(None) => grow(self.pending.entry(gtid.domain).or_default(), gtid),
            None => {
                let runs = self.pending.remove(&gtid.domain).unwrap_or_default();
                if runs.iter().any(|run| run.last >= gtid.sequence) {
                    self.errant.extend(runs);
                }
            }
        }
    }

    /// The errant ones that the binary logs hold, and those that they do not hold. `last` are some
    /// that the server has, whether or not its binary logs say so.
    pub(crate) fn finish(mut self, last: &[MariaDbGtid]) -> (WantedGtids, WantedGtids) {
        self.errant.extend(self.pending.into_values().flatten());
        for gtid in last {
            if !self.errant.iter().any(|run| run.holds(*gtid)) {
                self.errant.push(Run { first: *gtid, last: gtid.sequence, is_gone: true });
            }
        }
        let ranges = |gone| {
            let runs = self.errant.iter().filter(|run| run.is_gone == gone);
            WantedGtids::MariaDb(runs.map(|run| (run.first, run.last)).collect())
        };
        (ranges(false), ranges(true))
    }
}

fn number(list: &[MariaDbGtid], (domain, server): Writer) -> u64 {
    let of_writer = list.iter().filter(|gtid| (gtid.domain, gtid.server) == (domain, server));
    of_writer.map(|gtid| gtid.sequence).max().unwrap_or_default()
}

fn grow(runs: &mut Vec<Run>, gtid: MariaDbGtid) {
    match runs.last_mut() {
        Some(run)
            if !run.is_gone
                && (run.first.domain, run.first.server) == (gtid.domain, gtid.server)
                && run.last.checked_add(1) == Some(gtid.sequence) =>
        {
            run.last = gtid.sequence;
        }
        _ => runs.push(Run { first: gtid, last: gtid.sequence, is_gone: false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gtids(text: &str) -> Vec<MariaDbGtid> {
        text.split(',').filter(|t| !t.is_empty()).map(|gtid| gtid.parse().unwrap()).collect()
    }

    /// Of server 2 in domain 0, as the primary knows it.
    fn errant(known: Option<u64>, list: &str, log: &str) -> (String, String) {
        let mut runs = Runs::new(BTreeMap::from([((0, 2), known)]));
        runs.begin(&gtids(list));
        gtids(log).into_iter().for_each(|gtid| runs.feed(gtid));
        let (there, gone) = runs.finish(&[]);
        (there.to_string(), gone.to_string())
    }

    #[test]
    fn beyond_what_the_primary_knows_of_the_writer() {
        let (there, gone) = errant(Some(50), "", "0-2-49,0-2-50,0-1-51,0-2-52,0-2-53,0-1-52");
        assert_eq!((there.as_str(), gone.as_str()), ("0-2-52..53", ""));
        let (there, gone) = errant(Some(50), "0-1-51,0-2-53", "0-2-54");
        assert_eq!((there.as_str(), gone.as_str()), ("0-2-54", "0-2-51..53"));
    }

    #[test]
    fn of_a_writer_that_the_primary_has_not_heard_of() {
        // What others went on after is history, though the primary was made of a backup.
        let (there, gone) = errant(None, "", "0-2-1,0-2-2,0-1-3,0-2-4,0-2-5");
        assert_eq!((there.as_str(), gone.as_str()), ("0-2-4..5", ""));
        // Numbers that were used twice.
        let (there, _) = errant(None, "", "0-1-3,0-2-4,0-2-5,0-1-4,0-1-5,0-1-6");
        assert_eq!(there, "0-2-4..5");
        // The first of them are gone, and the list of the first file names the last that is.
        let (there, gone) = errant(None, "0-1-3,0-2-5", "0-2-6");
        assert_eq!((there.as_str(), gone.as_str()), ("0-2-6", "0-2-4..5"));
        let (there, gone) = errant(None, "0-2-3,0-1-5", "0-2-6");
        assert_eq!((there.as_str(), gone.as_str()), ("0-2-6", ""));
    }

    #[test]
    fn what_the_server_has_and_no_file_names_is_not_held() {
        let mut runs = Runs::new(BTreeMap::from([((0, 2), Some(50))]));
        runs.begin(&gtids("0-2-50"));
        runs.feed(gtids("0-2-51")[0]);
        let (there, gone) = runs.finish(&gtids("0-2-51,1-2-7"));
        assert_eq!((there.to_string(), gone.to_string()), ("0-2-51".into(), "1-2-7".into()));
    }

    #[test]
    fn a_file_whose_list_ends_before_them_is_early_enough() {
        let runs = Runs::new(BTreeMap::from([((0, 2), Some(50)), ((1, 2), None)]));
        assert!(runs.begins_after(&gtids("0-1-90,0-2-50")));
        assert!(!runs.begins_after(&gtids("0-2-51")) && !runs.begins_after(&gtids("1-2-1")));
    }
}
