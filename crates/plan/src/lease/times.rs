//! The moments of a lease, all of them parts of its length.

use primacy_types::Millis;

/// How long a lease is, and what follows from that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Its length.
    pub ttl: Millis,
}

impl LeaseTimes {
    /// Times of leases of this length.
    pub const fn new(ttl: Millis) -> Self {
        Self { ttl }
    }

    const fn percent(self, n: u64) -> Millis {
        Millis(self.ttl.0.saturating_mul(n) / 100)
    }

    /// How often the manager renews it.
    pub const fn renewal(self) -> Millis {
        self.percent(16)
    }

    /// After so long without renewal the holder asks the voters: two renewals are missing.
    pub const fn ask_voters(self) -> Millis {
        self.percent(36)
    }

    /// How long it waits before it asks them again.
    pub const fn ask_again(self) -> Millis {
        self.percent(4)
    }

    /// A voter that has heard a manager within this time says no.
    pub const fn silence(self) -> Millis {
        self.percent(40)
    }

    /// After so long without renewal the holder makes its server read-only.
    pub const fn close(self) -> Millis {
        self.percent(60)
    }

    /// After so long without renewal it kills the server.
    pub const fn kill(self) -> Millis {
        self.percent(85)
    }

    /// The length, and what clocks that run at different speeds and late wake-ups may add.
    pub const fn with_margin(self) -> Millis {
        Millis(self.percent(105).0.saturating_add(100))
    }
}
