//! The moments at which people's programs are called, and what their failure means then: one
//! table, from which documentation and configuration take their words. The calls themselves are
//! those of `primacy-hooks`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::RefuseOrProceed;

/// A moment at which a program is called or a webhook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HookEvent {
    /// A failover is decided; nothing was changed yet.
    BeforeFailover,
    /// A failover has ended, well or not.
    AfterFailover,
    /// A switchover was asked for; nothing was changed yet.
    BeforeSwitchover,
    /// A switchover has ended, well or not.
    AfterSwitchover,
    /// A server is about to be fenced.
    BeforeFence,
    /// A server was fenced, or could not be.
    AfterFence,
    /// A server that returned is about to become a replica again.
    BeforeRejoin,
    /// It has, or has not.
    AfterRejoin,
    /// Something needs a person.
    Alarm,
}

/// What a program's failure (any end but exit code 0) means for the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureMeans {
    /// The operation is refused.
    Refusal,
    /// What the configuration says. Preset: the operation goes on.
    AsConfigured,
    /// It is reported, and changes nothing.
    Report,
}

/// What follows from how a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded.
    Proceed,
    /// It failed; the operation goes on, and says so.
    ProceedDespite,
    /// It failed; the operation does not begin.
    Refuse,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    event: HookEvent,
    word: &'static str,
    when: &'static str,
    failure: FailureMeans,
}

const fn row(
    event: HookEvent,
    word: &'static str,
    failure: FailureMeans,
    when: &'static str,
) -> Row {
    Row { event, word, when, failure }
}

use FailureMeans::{AsConfigured, Refusal, Report};
use HookEvent as E;

/// In the order of the variants.
const TABLE: [Row; 9] = [
    row(
        E::BeforeFailover,
        "before_failover",
        AsConfigured,
        "a failover is decided; nothing was changed yet",
    ),
    row(E::AfterFailover, "after_failover", Report, "a failover has ended, well or not"),
    row(
        E::BeforeSwitchover,
        "before_switchover",
        Refusal,
        "a switchover was asked for; nothing was changed yet",
    ),
    row(E::AfterSwitchover, "after_switchover", Report, "a switchover has ended, well or not"),
    // A fence that a broken script can prevent is none.
    row(E::BeforeFence, "before_fence", Report, "a server is about to be fenced"),
    row(E::AfterFence, "after_fence", Report, "a server was fenced, or could not be"),
    row(
        E::BeforeRejoin,
        "before_rejoin",
        Refusal,
        "a server that returned is about to become a replica again",
    ),
    row(
        E::AfterRejoin,
        "after_rejoin",
        Report,
        "a server that returned has become a replica again, or has not",
    ),
    row(E::Alarm, "alarm", Report, "something needs a person"),
];

impl HookEvent {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.event)
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its word in configuration, documents and variables.
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// When it comes, as the documentation says it.
    pub fn when(self) -> &'static str {
        self.row().when
    }

    /// What a failure of the program means.
    pub fn failure_means(self) -> FailureMeans {
        self.row().failure
    }

    /// What follows from a program's end. `before_failover` is what the configuration says of a
    /// failure at that moment; [`RefuseOrProceed::Proceed`] is the preset, because a broken program
    /// must not stop a failover.
    pub fn verdict(self, succeeded: bool, before_failover: RefuseOrProceed) -> Verdict {
        if succeeded {
            return Verdict::Proceed;
        }
        match (self.failure_means(), before_failover) {
            (Refusal, _) | (AsConfigured, RefuseOrProceed::Refuse) => Verdict::Refuse,
            (Report, _) | (AsConfigured, RefuseOrProceed::Proceed) => Verdict::ProceedDespite,
        }
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no moment; there are: {}", words())]
pub struct UnknownEvent {
    /// The word.
    pub word: String,
}

fn words() -> String {
    TABLE.map(|row| row.word).join(", ")
}

impl FromStr for HookEvent {
    type Err = UnknownEvent;

    fn from_str(word: &str) -> Result<Self, UnknownEvent> {
        let row = TABLE.iter().find(|row| row.word == word);
        row.map(|row| row.event).ok_or_else(|| UnknownEvent { word: word.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_has_its_row_and_one_word_everywhere() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.event as usize, place);
            assert_eq!(row.word.parse::<HookEvent>().unwrap(), row.event);
        }
        let unknown = "after_lunch".parse::<HookEvent>().unwrap_err().to_string();
        assert!(unknown.contains("after_lunch") && unknown.contains("before_failover, after_"));
    }

    #[test]
    fn a_failure_before_a_change_that_can_wait_refuses_it_and_nothing_stops_the_rest() {
        for event in HookEvent::all() {
            let verdict = |policy| event.verdict(false, policy);
            let (refuse, proceed) =
                (verdict(RefuseOrProceed::Refuse), verdict(RefuseOrProceed::Proceed));
            match event.word() {
                "before_switchover" | "before_rejoin" => {
                    assert_eq!((refuse, proceed), (Verdict::Refuse, Verdict::Refuse));
                }
                "before_failover" => {
                    assert_eq!((refuse, proceed), (Verdict::Refuse, Verdict::ProceedDespite));
                }
                _ => assert_eq!(refuse, Verdict::ProceedDespite, "{event}"),
            }
            let done = event.verdict(true, RefuseOrProceed::Refuse);
            assert_eq!(done, Verdict::Proceed);
        }
    }
}
