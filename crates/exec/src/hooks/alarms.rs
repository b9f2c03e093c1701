//! Alarms for hooks and webhooks. Who waits for something says so again and again; people are not
//! woken by each of these.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use primacy_hooks::{HookEvent, Notice, NotifierHandle};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Told, moment};
use crate::chronicle;

/// The same alarm is told again after this time at the earliest.
pub(super) const AGAIN: Duration = Duration::from_secs(600);

/// Passes alarms on that are news.
pub(super) struct Alarms {
    webhooks: NotifierHandle,
    programs: mpsc::Sender<Told>,
    news: News,
}

/// What was told lately.
#[derive(Debug, Default)]
struct News(BTreeMap<String, Instant>);

impl Alarms {
    pub(super) fn new(webhooks: NotifierHandle, programs: mpsc::Sender<Told>) -> Self {
        Self { webhooks, programs, news: News::default() }
    }

    pub(super) fn raise(&mut self, entry: chronicle::Entry) {
        if !self.news.is_news(&entry.text, Instant::now()) {
            return;
        }
        let chronicle::Entry { cluster, operation, at, text, .. } = entry;
        let mut notice = Notice::new(HookEvent::Alarm, cluster, moment(at), text);
        notice.operation = operation.as_ref().map(ToString::to_string);
        self.webhooks.notify(&notice);
        let cluster = notice.cluster.clone();
        if self.programs.try_send(Told { notice, operation }).is_err() {
            tracing::warn!(cluster, "an alarm is not told to hooks: those before it still run");
        }
    }
}

impl News {
    fn is_news(&mut self, text: &str, now: Instant) -> bool {
        self.0.retain(|_, told| now.duration_since(*told) < AGAIN);
        match self.0.entry(gist(text)) {
            Entry::Occupied(_) => false,
            Entry::Vacant(unknown) => {
                unknown.insert(now);
                true
            }
        }
    }
}

/// The text without its plain numbers: "5 s" becomes "6 s" the next time, and that is nothing new.
/// Numbers that name something (`db1:3306`, `0-1-100`) stay.
fn gist(text: &str) -> String {
    let plain = |word: &&str| {
        let word = word.trim_matches(|c: char| c.is_ascii_punctuation());
        word.parse::<f64>().is_err()
    };
    text.split_whitespace().filter(plain).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_told_once_and_again_after_a_while() {
        let (mut news, begin) = (News::default(), Instant::now());
        let mut at = |text, seconds| news.is_news(text, begin + Duration::from_secs(seconds));
        assert!(at("db1:3306 is dead", 0));
        assert!(!at("db1:3306 is dead", 599));
        assert!(at("db2:3306 is dead", 599));
        assert!(at("db1:3306 is dead", 600), "the first telling counts, not the last");
    }

    #[test]
    fn numbers_alone_are_nothing_new_and_names_are() {
        assert_eq!(gist("waited 5.2 s (of 10)"), gist("waited 6 s (of 10)"));
        assert_ne!(gist("db1:3306 lacks 0-1-100"), gist("db1:3306 lacks 0-1-101"));
        assert_ne!(gist("10.0.0.1:3306 is dead"), gist("10.0.0.2:3306 is dead"));
    }
}
