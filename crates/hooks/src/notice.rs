//! What programs and webhooks are told: one document, and the same as variables.

use jiff::Timestamp;
use primacy_types::{Address, Epoch};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{HookEvent, Placeholder};

/// The version of the document. It grows when a field changes its meaning or goes; a new field
/// does not change it.
pub const DOCUMENT_VERSION: u32 = 1;

/// A longer value is not put into a variable (the kernel takes 128 KiB for one, and about 2 MiB for
/// all with the arguments): it stands in the document only.
const LONGEST_VARIABLE: usize = 32 << 10;

/// What happens at a moment. Its JSON form is what a program reads on its standard input and what
/// a webhook receives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Notice {
    version: u32,
    /// The cluster's name.
    pub cluster: String,
    /// The moment.
    pub event: HookEvent,
    /// The operation's id, the same from its first moment to its last.
    pub operation: Option<String>,
    /// When it happened.
    #[serde(serialize_with = "rfc3339")]
    pub time: Timestamp,
    /// The primary before the operation.
    pub old_primary: Option<Address>,
    /// The primary that is to be, or has become, the new one.
    pub new_primary: Option<Address>,
    /// The epoch in force.
    pub epoch: Option<Epoch>,
    /// Why, in a sentence for people.
    pub reason: String,
    /// Nothing is changed by the operation: it only shows what it would do.
    pub dry_run: bool,
    /// What was lost, if anything was.
    pub lost_transactions: Option<LostTransactions>,
    /// Whatever else is known; its shape may differ from version to version of Primacy.
    pub details: Value,
}

/// Transactions that no server holds any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostTransactions {
    /// Which, as people read them: a GTID set, or places in a binary log.
    pub set: String,
    /// How many, where that can be counted.
    pub count: Option<u64>,
}

/// To milliseconds, in UTC: `2026-03-01T12:00:00.250Z`.
fn written(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&written(*time))
}

impl Notice {
    /// A notice of which only the indispensable is known; the rest are fields to be set.
    pub fn new(
        event: HookEvent,
        cluster: impl Into<String>,
        time: Timestamp,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            version: DOCUMENT_VERSION,
            cluster: cluster.into(),
            event,
            operation: None,
            time,
            old_primary: None,
            new_primary: None,
            epoch: None,
            reason: reason.into(),
            dry_run: false,
            lost_transactions: None,
            details: Value::Null,
        }
    }

    /// The document.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts, numbers and a value that is JSON already: there is nothing that could fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What stands for a placeholder in an argument; nothing, if it is not known.
    pub fn value(&self, placeholder: Placeholder) -> String {
        let address = |address: &Option<Address>| address.as_ref().map(Address::to_string);
        let value = match placeholder {
            Placeholder::Cluster => Some(self.cluster.clone()),
            Placeholder::OldPrimary => address(&self.old_primary),
            Placeholder::NewPrimary => address(&self.new_primary),
            Placeholder::Event => Some(self.event.to_string()),
            Placeholder::Epoch => self.epoch.map(|epoch| epoch.to_string()),
            Placeholder::Operation => self.operation.clone(),
        };
        value.unwrap_or_default()
    }

    /// The document as variables, all beginning with `PRIMACY_`. What is not known has none; what
    /// is longer than 32 KiB stands in the document only.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let host = |address: &Address| address.host().to_owned();
        let port = |address: &Address| address.port().to_string();
        let (old, new, lost) =
            (self.old_primary.as_ref(), self.new_primary.as_ref(), self.lost_transactions.as_ref());
        let all = [
            ("PRIMACY_EVENT", Some(self.event.to_string())),
            ("PRIMACY_CLUSTER", Some(self.cluster.clone())),
            ("PRIMACY_OPERATION", self.operation.clone()),
            ("PRIMACY_TIME", Some(written(self.time))),
            ("PRIMACY_OLD_PRIMARY", old.map(Address::to_string)),
            ("PRIMACY_OLD_PRIMARY_HOST", old.map(host)),
            ("PRIMACY_OLD_PRIMARY_PORT", old.map(port)),
            ("PRIMACY_NEW_PRIMARY", new.map(Address::to_string)),
            ("PRIMACY_NEW_PRIMARY_HOST", new.map(host)),
            ("PRIMACY_NEW_PRIMARY_PORT", new.map(port)),
            ("PRIMACY_EPOCH", self.epoch.map(|epoch| epoch.to_string())),
            ("PRIMACY_REASON", Some(self.reason.clone())),
            ("PRIMACY_DRY_RUN", Some(self.dry_run.to_string())),
            ("PRIMACY_LOST_TRANSACTIONS", lost.map(|lost| lost.set.clone())),
            (
                "PRIMACY_LOST_TRANSACTIONS_COUNT",
                lost.and_then(|lost| lost.count).map(|count| count.to_string()),
            ),
        ];
        let known = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known
            .filter(|(_, value)| value.len() <= LONGEST_VARIABLE)
            // A variable ends at a NUL: with one in it the program would not start.
            .map(|(name, value)| (name, value.replace('\0', "")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn notice() -> Notice {
        let time = "2026-03-01T12:00:00.25Z".parse().unwrap();
        let mut notice = Notice::new(HookEvent::AfterFailover, "shop", time, "db1 died");
        notice.operation = Some("op-1".to_owned());
        notice.old_primary = Some(Address::new("db1", 3306));
        notice.new_primary = Some(Address::new("::1", 3307));
        notice.epoch = Some(Epoch(7));
        notice
    }

    #[test]
    fn the_document_is_versioned_and_says_null_where_nothing_is_known() {
        let mut notice = notice();
        notice.details = json!({"took_ms": 420});
        let read: Value = serde_json::from_slice(&notice.to_json()).unwrap();
        let expected = json!({
            "version": 1, "cluster": "shop", "event": "after_failover", "operation": "op-1",
            "time": "2026-03-01T12:00:00.250Z", "old_primary": "db1:3306",
            "new_primary": "[::1]:3307", "epoch": 7, "reason": "db1 died", "dry_run": false,
            "lost_transactions": null, "details": {"took_ms": 420},
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn every_moment_has_one_word_everywhere() {
        for event in HookEvent::all() {
            assert_eq!(serde_json::to_value(event).unwrap(), event.word());
        }
    }

    #[test]
    fn a_placeholder_that_is_not_known_becomes_nothing() {
        let mut notice = notice();
        notice.operation = None;
        let texts = ["{old_primary}>{new_primary}", "{event}{epoch}{operation}", "{cluster}"];
        let filled = crate::Arguments::parse(&texts).unwrap().fill(|p| notice.value(p));
        assert_eq!(filled, ["db1:3306>[::1]:3307", "after_failover7", "shop"]);
    }

    #[test]
    fn variables_say_the_same_and_are_absent_where_nothing_is_known() {
        let mut notice = notice();
        notice.operation = None;
        notice.lost_transactions =
            Some(LostTransactions { set: "uuid:5-7".to_owned(), count: Some(3) });
        let variables = notice.variables();
        let value = |name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
        assert_eq!(value("PRIMACY_EVENT"), Some("after_failover"));
        assert_eq!(value("PRIMACY_TIME"), Some("2026-03-01T12:00:00.250Z"));
        assert_eq!(value("PRIMACY_NEW_PRIMARY"), Some("[::1]:3307"));
        assert_eq!(value("PRIMACY_NEW_PRIMARY_HOST"), Some("::1"));
        assert_eq!(value("PRIMACY_OLD_PRIMARY_PORT"), Some("3306"));
        assert_eq!(value("PRIMACY_EPOCH"), Some("7"));
        assert_eq!(value("PRIMACY_DRY_RUN"), Some("false"));
        assert_eq!(value("PRIMACY_LOST_TRANSACTIONS_COUNT"), Some("3"));
        assert_eq!(value("PRIMACY_OPERATION"), None);
    }

    #[test]
    fn what_no_variable_can_hold_is_in_the_document_only() {
        let mut notice = notice();
        notice.reason = "x".repeat(LONGEST_VARIABLE + 1);
        notice.cluster = "a\0b".to_owned();
        let variables = notice.variables();
        assert!(!variables.iter().any(|(name, _)| *name == "PRIMACY_REASON"));
        assert!(variables.contains(&("PRIMACY_CLUSTER", "ab".to_owned())));
    }
}
