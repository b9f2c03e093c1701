//! MySQL's GTID sets: `source:intervals`, since 8.3 also with tags.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::GtidError;

/// Who numbered a transaction: the server's UUID and, since MySQL 8.3, an optional tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GtidSource {
    /// `server_uuid` of the server where the transaction was first committed.
    pub uuid: Uuid,
    /// Tag in lower case: a letter or `_`, then up to 31 letters, digits or `_`.
    pub tag: Option<String>,
}

/// Closed intervals of transaction numbers: sorted, disjoint, not touching.
type Intervals = Vec<(u64, u64)>;

/// A set of MySQL transactions, as in `gtid_executed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MySqlGtidSet {
    sources: BTreeMap<GtidSource, Intervals>,
}

/// The largest transaction number that MySQL gives (`GNO_END` - 1).
const LAST_NUMBER: u64 = i64::MAX as u64 - 1;

impl MySqlGtidSet {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many transactions it holds.
    pub fn count(&self) -> u64 {
        self.sources.values().flatten().fold(0, |n, (a, b)| n.saturating_add(b - a + 1))
    }

    /// Adds the transactions `first..=last` of a source.
    pub fn insert(&mut self, source: GtidSource, first: u64, last: u64) {
        if first == 0 || last < first {
            return;
        }
        let mine = self.sources.entry(source).or_default();
        mine.push((first, last));
        normalise(mine);
    }

    /// Whether every transaction of `other` is in this set.
    pub fn covers(&self, other: &Self) -> bool {
        other.sources.iter().all(|(source, theirs)| {
            let Some(mine) = self.sources.get(source) else {
                return false;
            };
            // A set may have a million intervals: each is looked up, not searched for.
            theirs.iter().all(|(a, b)| {
                let at = mine.partition_point(|(_, y)| y < b);
                mine.get(at).is_some_and(|(x, _)| x <= a)
            })
        })
    }

    /// All transactions of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (source, theirs) in &other.sources {
            let mine = all.sources.entry(source.clone()).or_default();
            mine.extend_from_slice(theirs);
            normalise(mine);
        }
        all
    }

    /// The transactions of this set that are not in `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut rest = Self::default();
        for (source, mine) in &self.sources {
            let left = match other.sources.get(source) {
                Some(theirs) => subtract(mine, theirs),
                None => mine.clone(),
            };
            if !left.is_empty() {
                rest.sources.insert(source.clone(), left);
            }
        }
        rest
    }

    /// Only the transactions whose source passes the test.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&GtidSource) -> bool) -> Self {
        let sources = self.sources.iter().filter(|(s, _)| keep(s));
        Self { sources: sources.map(|(s, i)| (s.clone(), i.clone())).collect() }
    }

    /// Who numbered transactions of this set.
    pub fn sources(&self) -> impl Iterator<Item = &GtidSource> {
        self.sources.keys()
    }

    /// Each source with its closed intervals, in order.
    pub fn intervals(&self) -> impl Iterator<Item = (&GtidSource, &[(u64, u64)])> {
        self.sources.iter().map(|(source, intervals)| (source, intervals.as_slice()))
    }
}

impl FromIterator<(GtidSource, u64, u64)> for MySqlGtidSet {
    /// The set of these closed intervals, in any order. Much quicker than to insert many of them
    /// one by one.
    fn from_iter<I: IntoIterator<Item = (GtidSource, u64, u64)>>(intervals: I) -> Self {
        let mut set = Self::default();
        for (source, first, last) in intervals {
            if first > 0 && last >= first {
                set.sources.entry(source).or_default().push((first, last));
            }
        }
        set.sources.values_mut().for_each(normalise);
        set
    }
}

fn normalise(intervals: &mut Intervals) {
    intervals.sort_unstable();
    let mut merged: Intervals = Vec::with_capacity(intervals.len());
    for &(a, b) in intervals.iter() {
        match merged.last_mut() {
            Some((_, end)) if a <= end.saturating_add(1) => *end = (*end).max(b),
            _ => merged.push((a, b)),
        }
    }
    *intervals = merged;
}

fn subtract(mine: &[(u64, u64)], theirs: &[(u64, u64)]) -> Intervals {
    let mut left = Vec::new();
    for &(a, b) in mine {
        let mut from = a;
        let first = theirs.partition_point(|(_, y)| *y < a);
        for &(x, y) in theirs[first..].iter().take_while(|(x, _)| *x <= b) {
            if x > from {
                left.push((from, x - 1));
            }
            from = from.max(y + 1);
        }
        if from <= b {
            left.push((from, b));
        }
    }
    left
}

fn tag_from(text: &str) -> Option<String> {
    let mut letters = text.chars();
    let first = letters.next()?;
    let fits = (first.is_ascii_alphabetic() || first == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && text.len() <= 32;
    fits.then(|| text.to_ascii_lowercase())
}

fn interval_from(text: &str) -> Result<(u64, u64), &'static str> {
    let number = |digits: &str| match digits.trim().parse::<u64>() {
        Ok(n) if (1..=LAST_NUMBER).contains(&n) => Ok(n),
        _ => Err("a transaction number is not between 1 and 2^63 - 2"),
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    if last < first { Err("an interval ends before it begins") } else { Ok((first, last)) }
}

impl FromStr for MySqlGtidSet {
    type Err = GtidError;

    /// Reads `uuid:1-5:7,uuid:tag:1-3`, and the form that MySQL 8.3 and later prints,
    /// `uuid:1-5:tag:1-3`, in which a tag holds until the next tag or source.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |reason| GtidError::new(text, reason);
        let mut set = Self::default();
        for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let mut parts = entry.split(':').map(str::trim);
            let uuid = parts.next().unwrap_or_default();
            let uuid = Uuid::try_parse(uuid).map_err(|_| bad("a source is not a UUID"))?;
            let mut tag = None;
            let mut intervals = 0;
            for part in parts {
                if let Some(word) = tag_from(part) {
                    tag = Some(word);
                    continue;
                }
                let (first, last) = interval_from(part).map_err(bad)?;
                set.sources
                    .entry(GtidSource { uuid, tag: tag.clone() })
                    .or_default()
                    .push((first, last));
                intervals += 1;
            }
            if intervals == 0 {
                return Err(bad("a source has no transaction numbers"));
            }
        }
        set.sources.values_mut().for_each(normalise);
        Ok(set)
    }
}

impl fmt::Display for MySqlGtidSet {
    /// The form that every version reads: one `uuid[:tag]:intervals` after another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (source, intervals)) in self.sources.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", source.uuid)?;
            if let Some(tag) = &source.tag {
                write!(f, ":{tag}")?;
            }
            for (a, b) in intervals {
                if a == b {
                    write!(f, ":{a}")?;
                } else {
                    write!(f, ":{a}-{b}")?;
                }
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for MySqlGtidSet {
    type Error = GtidError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MySqlGtidSet> for String {
    fn from(set: MySqlGtidSet) -> Self {
        set.to_string()
    }
}
