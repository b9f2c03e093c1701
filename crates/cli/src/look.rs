//! How things are written for this person: characters that the terminal has, and local time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use primacy_types::{Millis, WallClock};

/// What lines are drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    /// `├─`
    Unicode,
    /// `|-`
    Ascii,
}

/// How things are written.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// What lines are drawn with.
    pub(crate) charset: Charset,
    /// In which zone wall-clock times are told.
    pub(crate) zone: TimeZone,
}

impl Look {
    /// As the environment wants it: Unicode where the locale is UTF-8.
    pub(crate) fn of_environment() -> Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .unwrap_or_default()
            .to_ascii_lowercase();
        let unicode = locale.contains("utf-8") || locale.contains("utf8");
        let charset = if unicode { Charset::Unicode } else { Charset::Ascii };
        Self { charset, zone: TimeZone::system() }
    }

    /// `2026-11-20 21:12:03.123`
    pub(crate) fn moment(&self, at: WallClock) -> String {
        self.format(at, "%Y-%m-%d %H:%M:%S%.3f")
    }

    /// `21:12:03.123`
    pub(crate) fn time_of_day(&self, at: WallClock) -> String {
        self.format(at, "%H:%M:%S%.3f")
    }

    fn format(&self, at: WallClock, format: &str) -> String {
        let moment = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        match moment {
            Some(moment) => moment.to_zoned(self.zone.clone()).strftime(format).to_string(),
            None => format!("{} ms since 1970", at.0),
        }
    }

    /// The other one, where the terminal has it.
    pub(crate) fn either(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self.charset {
            Charset::Unicode => unicode,
            Charset::Ascii => ascii,
        }
    }

    /// For tests: Unicode, UTC.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { charset: Charset::Unicode, zone: TimeZone::UTC }
    }
}

/// From one moment to another; zero if the clock was set back between them.
pub(crate) fn between(from: WallClock, to: WallClock) -> Millis {
    Millis(to.0.saturating_sub(from.0))
}

/// `+1.234 s`: milliseconds matter here, however long it took.
pub(crate) fn after(from: WallClock, to: WallClock) -> String {
    let ms = between(from, to).0;
    format!("+{}.{:03} s", ms / 1000, ms % 1000)
}

/// `1 server`, `2 servers`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_local_and_have_milliseconds() {
        let mut look = Look::plain();
        let at = WallClock(1_795_209_123_045);
        assert_eq!(look.moment(at), "2026-11-20 21:12:03.045");
        look.zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(look.time_of_day(at), "23:12:03.045");
    }

    #[test]
    fn an_impossible_moment_is_shown_as_it_is() {
        assert_eq!(
            Look::plain().moment(WallClock(u64::MAX)),
            format!("{} ms since 1970", u64::MAX)
        );
    }
}
