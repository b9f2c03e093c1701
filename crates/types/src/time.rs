//! Time as a value: the pure parts never read a clock, they are told.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time in whole milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Millis(pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// `n` times as long, stopping at the largest value.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// The same length for the standard library and tokio.
    pub const fn as_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Add for Millis {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Millis {
    /// `750 ms`, `1.5 s`, `90 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n < 1000 => write!(f, "{n} ms"),
            n if n % 1000 == 0 => write!(f, "{} s", n / 1000),
            n if n < 10_000 => write!(f, "{:.1} s", n as f64 / 1000.0),
            n => write!(f, "{} s", n / 1000),
        }
    }
}

/// A point on the manager's monotonic clock, in milliseconds since the process started.
///
/// Two moments of different processes must not be compared.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Moment(pub u64);

impl Moment {
    /// How long ago `earlier` was; zero if it is later than this.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Millis> for Moment {
    type Output = Self;

    fn add(self, length: Millis) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

impl Sub<Millis> for Moment {
    type Output = Self;

    fn sub(self, length: Millis) -> Self {
        Self(self.0.saturating_sub(length.0))
    }
}

/// Wall-clock time in milliseconds since 1970 (UTC): for people and for history, never for rules.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct WallClock(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_say_them() {
        assert_eq!(Millis(750).to_string(), "750 ms");
        assert_eq!(Millis(1500).to_string(), "1.5 s");
        assert_eq!(Millis(90_000).to_string(), "90 s");
    }

    #[test]
    fn a_clock_that_seems_to_run_backwards_gives_zero() {
        assert_eq!(Moment(5).since(Moment(9)), Millis::ZERO);
    }
}
