//! What `primacy check` says: everything that would make a failover or switchover be refused, lose
//! time or lose data, each with the statement that mends it.
//!
//! The checks are a table, [`table::CHECKS`]: code, grade, words for people, and a function that
//! finds the cases. Nothing here decides or changes anything; whether an operation is refused is
//! asked of the planners themselves.

mod capacity;
mod channels;
mod crash;
mod hosts;
mod identity;
mod links;
mod logging;
mod operations;
mod replication;
mod rescue;
mod roles;
mod semi_sync;
mod table;
#[cfg(test)]
mod tests;
mod versions;
mod view;
mod words;
#[cfg(test)]
mod worlds;

use std::borrow::Cow;
use std::fmt;

use primacy_types::{Address, ClusterSnapshot};
use serde::{Deserialize, Serialize};

pub use hosts::host_findings;
use table::{CHECKS, Grade};
use view::{Hit, View};

/// How much a finding matters, the weightiest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A failover or a switchover would be refused.
    Blocks,
    /// A failover or a switchover may lose time or data.
    Risk,
    /// It works, and could be better or is worth knowing.
    Advice,
}

impl Severity {
    /// All of them, the weightiest first.
    pub const ALL: [Self; 3] = [Self::Blocks, Self::Risk, Self::Advice];

    /// The word in tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Risk => "risk",
            Self::Advice => "advice",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check that found it, such as `read-only-off`; [`findings_reference`] explains each.
    pub code: Cow<'static, str>,
    /// How much it matters.
    pub severity: Severity,
    /// The server that it is about; `None` if it is about the cluster.
    pub server: Option<Address>,
    /// What was found and what follows from it.
    pub sentence: String,
    /// The statement or command that mends it, in the words of that server's version.
    pub mend: String,
}

/// Everything that is found in `snapshot`, the weightiest first; the same order every time.
pub fn findings(snapshot: &ClusterSnapshot) -> Vec<Finding> {
    let view = View::of(snapshot);
    let mut refused = Vec::new();
    let mut found = Vec::new();
    for check in CHECKS {
        if let Grade::LastResort(kind) = check.grade
            && refused.contains(&kind)
        {
            continue;
        }
        for Hit { server, sentence, mend } in (check.find)(&view) {
            let refuses = check.grade.refuses(&view, server.as_ref());
            refused.extend_from_slice(refuses);
            found.push(Finding {
                code: Cow::Borrowed(check.code),
                severity: check.grade.severity(refuses),
                server,
                sentence,
                mend,
            });
        }
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// All checks as a page of Markdown.
pub fn findings_reference() -> String {
    let mut page = String::from(
        "# What `primacy check` finds\n\n\
         <!-- Generated from the table of checks; do not edit. -->\n\n\
         Each finding says what was seen, what follows from it, and the statement or command that \
         mends it.\n\n\
         - **blocks**: a failover or a switchover would be refused now.\n\
         - **risk**: a failover or a switchover may lose time or data.\n\
         - **advice**: it works, and could be better or is worth knowing.\n",
    );
    for check in CHECKS {
        page.push_str(&format!(
            "\n## `{}`\n\n{}. {}\n\n- Severity: {}.\n",
            check.code,
            check.title,
            check.doc,
            check.grade.sentence()
        ));
    }
    page.push_str(&hosts::reference());
    page
}
