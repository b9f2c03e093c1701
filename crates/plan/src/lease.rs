//! Leases: how long a server may accept writes without hearing that it still may.
//!
//! Three parts, each a state machine without a clock of its own. The [`Granter`] is the manager's:
//! it gives the primary's agent a lease, and knows when the last one that it gave has run out. The
//! [`Member`] is an agent's, one for each of its servers: it holds the lease while its server is the
//! primary, and otherwise votes when the primary asks for more time because no manager is heard.
//!
//! The rules, and why they are enough for one writer:
//!
//! 1. A lease counts from when its holder *asked*, which is before the manager gave it. The manager
//!    counts from when it gave, and adds a margin for clocks that run at different speeds. So the
//!    holder's time is over before the manager believes it is.
//! 2. Without renewal the holder closes its server at 60 % of the time and kills it at 85 %.
//! 3. A holder may lengthen its own lease, only with the yes of *every* voter that the manager named
//!    in the lease. A voter that says yes binds itself to refuse a promotion until that time is over;
//!    one that was restarted counts as bound for a whole lease, because it may have said yes.
//! 4. A manager promotes only a server that is a voter in every lease that may be in force. So
//!    either the holder cannot lengthen its lease, or the candidate is bound and refuses. The first
//!    lease of a reign cannot be lengthened: until it is known to be accepted, the former one counts.
//! 5. A manager that was started waits a whole lease before it counts on any having run out.
//!
//! A voter says no while it hears a manager, unless that manager agrees (it sees by the replicas that the
//! primary lives, and only its own way there is broken): what a living manager sees is worth more. The silence
//! that it waits for is shorter than a lease, because the holder closes its server at 60 % of it:
//! with a whole one, each restart of a manager would be an outage. Safety does not rest on this
//! silence but on the binding.
//!
//! `tests/leases.rs` runs these machines against each other with lost, late and doubled messages,
//! restarts, frozen agents and hosts, and clocks of different speeds.

mod granter;
mod member;
mod readers;
mod times;

pub use granter::{Granter, GranterRecord, NotYet, Reign};
pub use member::{
    Ask, Extension, Grant, HeldLease, Hold, LeaseRefusal, Member, MemberRecord, Vote, Voters,
};
pub use readers::{ReaderGrant, ReaderGranter, ReaderHolder, ReaderState, spread};
pub use times::LeaseTimes;
