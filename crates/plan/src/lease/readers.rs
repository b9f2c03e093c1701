//! Addresses for readers: which replica's host has which, and that no two have the same.
//!
//! A grant is like a lease without voters. The holder counts from when it gave the number that the
//! grant shows, gives the address up at 60 % of the time, and refuses a grant that shows any number
//! but its last: one that was late or doubled. The manager counts from when it sent the grant, adds
//! the margin, and gives the address to another host only when that time is over, or when the holder
//! has answered a later order by saying that it neither holds the address nor may take it.
//!
//! Nothing lengthens such a grant without a manager, so it is longer than a lease; what it guards is
//! where reads go, not who may write.

use std::collections::{BTreeMap, BTreeSet};

use primacy_types::{Address, Millis, Moment, VirtualAddress};
use serde::{Deserialize, Serialize};

use super::LeaseTimes;

/// What a manager lets a host hold: these addresses, and no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderGrant {
    /// The number that the host's agent gave with its last answer; 0 if none is known.
    pub nonce: u64,
    /// For how long, counted from when that number was given.
    pub ttl: Millis,
    /// The addresses.
    pub addresses: BTreeSet<VirtualAddress>,
    /// Those of them that a host of the cluster held before: whoever still answers for one is a host
    /// whose grant has run out, so it is taken over.
    pub take_over: BTreeSet<VirtualAddress>,
}

/// What an agent answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderState {
    /// What the next grant must show.
    pub nonce: u64,
    /// What it may hold now.
    pub granted: BTreeSet<VirtualAddress>,
    /// What its host has, or may still have.
    pub held: BTreeSet<VirtualAddress>,
    /// Why one that it may hold is not held.
    #[serde(default)]
    pub problem: Option<String>,
}

/// An agent's part.
#[derive(Clone, Debug)]
pub struct ReaderHolder {
    next_nonce: u64,
    given: Option<(u64, Moment)>,
    granted: BTreeSet<VirtualAddress>,
    until: Moment,
}

impl ReaderHolder {
    /// It holds nothing. `first_nonce` must differ from run to run.
    pub const fn new(first_nonce: u64) -> Self {
        Self { next_nonce: first_nonce, given: None, granted: BTreeSet::new(), until: Moment(0) }
    }

    /// A manager that leads has said what may be held. One that shows another number than the last
    /// may take away, but not give.
    pub fn ordered(&mut self, grant: &ReaderGrant, now: Moment) {
        let shown = self.given.take().filter(|(nonce, _)| *nonce == grant.nonce);
        match shown {
            Some((_, at)) => {
                self.granted.clone_from(&grant.addresses);
                self.until = at + LeaseTimes::new(grant.ttl).close();
            }
            None => {
                self.granted = self.may_hold(now);
                self.granted.retain(|address| grant.addresses.contains(address));
            }
        }
    }

    /// The number for the next grant; those before it are worth nothing any more.
    pub fn nonce(&mut self, now: Moment) -> u64 {
        self.next_nonce = self.next_nonce.wrapping_add(1).max(1);
        self.given = Some((self.next_nonce, now));
        self.next_nonce
    }

    /// What may be held now.
    pub fn may_hold(&self, now: Moment) -> BTreeSet<VirtualAddress> {
        if now < self.until { self.granted.clone() } else { BTreeSet::new() }
    }

    /// When what it holds must be given up, unless a grant comes.
    pub const fn until(&self) -> Moment {
        self.until
    }

    /// Everything is given back.
    pub fn give_back(&mut self) {
        self.given = None;
        self.granted.clear();
    }
}

/// Who was given an address, until when, and by which order.
#[derive(Clone, Debug)]
struct Given {
    server: Address,
    until: Moment,
    order: u64,
}

/// The manager's part.
#[derive(Clone, Debug)]
pub struct ReaderGranter {
    times: LeaseTimes,
    started: Moment,
    orders: u64,
    given: BTreeMap<VirtualAddress, Given>,
}

impl ReaderGranter {
    /// One that begins to lead now: what another has granted until now is not known, so it waits for
    /// that long, unless a holder says that it holds a grant.
    pub const fn new(times: LeaseTimes, now: Moment) -> Self {
        Self { times, started: now, orders: 0, given: BTreeMap::new() }
    }

    /// Who was given each address last.
    pub fn holders(&self) -> BTreeMap<VirtualAddress, Address> {
        self.given.iter().map(|(address, given)| (address.clone(), given.server.clone())).collect()
    }

    /// An order for a server's agent that leaves now, and its number: what is wanted there and can be
    /// given. Without a nonce nothing can.
    pub fn order(
        &mut self,
        server: &Address,
        nonce: u64,
        wanted: &BTreeMap<VirtualAddress, Address>,
        now: Moment,
    ) -> (u64, ReaderGrant) {
        self.orders += 1;
        let order = self.orders;
        let mut addresses = BTreeSet::new();
        for (address, _) in wanted.iter().filter(|(_, to)| *to == server) {
            if nonce == 0 || !self.can_be_given(address, server, now) {
                continue;
            }
            let until = now + self.times.with_margin();
            self.given.insert(address.clone(), Given { server: server.clone(), until, order });
            addresses.insert(address.clone());
        }
        let take_over = BTreeSet::new();
        (order, ReaderGrant { nonce, ttl: self.times.ttl, addresses, take_over })
    }

    fn can_be_given(&self, address: &VirtualAddress, server: &Address, now: Moment) -> bool {
        match self.given.get(address) {
            Some(given) => given.server == *server || given.until <= now,
            None => self.started + self.times.with_margin() <= now,
        }
    }

    /// The answer to the order of this number, which was not refused.
    pub fn answered(&mut self, server: &Address, order: u64, said: &ReaderState, now: Moment) {
        for (address, given) in &mut self.given {
            let later = given.server == *server && given.order < order;
            if later && !said.granted.contains(address) && !said.held.contains(address) {
                given.until = Moment(0);
            }
        }
        // Another manager gave it, and will give it to nobody else: it leads no more.
        for address in &said.granted {
            let until = now + self.times.with_margin();
            let adopted = || Given { server: server.clone(), until, order: 0 };
            self.given.entry(address.clone()).or_insert_with(adopted);
        }
    }
}

/// Who shall have which address. Each holder keeps what it has while it is healthy and has no more
/// than its share; the rest goes to whoever has fewest. Where no replica is healthy, all go to
/// `instead` (the primary, if policy lets it), or to nobody.
pub fn spread(
    addresses: &[VirtualAddress],
    healthy: &BTreeSet<Address>,
    instead: Option<&Address>,
    holders: &BTreeMap<VirtualAddress, Address>,
) -> BTreeMap<VirtualAddress, Address> {
    if healthy.is_empty() {
        let all = addresses.iter();
        let to = |address: &VirtualAddress| Some((address.clone(), instead?.clone()));
        return all.filter_map(to).collect();
    }
    let share = addresses.len().div_ceil(healthy.len());
    let mut load: BTreeMap<&Address, usize> = healthy.iter().map(|server| (server, 0)).collect();
    let mut result = BTreeMap::new();
    for address in addresses {
        if let Some(holder) = holders.get(address)
            && let Some(count) = load.get_mut(holder)
            && *count < share
        {
            *count += 1;
            result.insert(address.clone(), holder.clone());
        }
    }
    for address in addresses {
        if result.contains_key(address) {
            continue;
        }
        let least = load.iter_mut().min_by_key(|(server, count)| (**count, *server));
        if let Some((server, count)) = least {
            *count += 1;
            result.insert(address.clone(), (*server).clone());
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: LeaseTimes = LeaseTimes::new(Millis::from_secs(10));

    fn vip(n: u8) -> VirtualAddress {
        format!("10.0.0.{n}").parse().unwrap()
    }

    fn server(name: &str) -> Address {
        Address::new(name, 3306)
    }

    fn all(names: &[&str]) -> BTreeSet<Address> {
        names.iter().map(|name| server(name)).collect()
    }

    #[test]
    fn addresses_are_spread_stay_where_they_are_and_go_to_the_primary_last() {
        let vips = [vip(1), vip(2), vip(3)];
        let first = spread(&vips, &all(&["b", "c"]), None, &BTreeMap::new());
        let of = |at: &BTreeMap<VirtualAddress, Address>, name: &str| {
            at.values().filter(|to| **to == server(name)).count()
        };
        assert_eq!((of(&first, "b"), of(&first, "c")), (2, 1));
        assert_eq!(spread(&vips, &all(&["b", "c"]), None, &first), first);
        let alone = spread(&vips, &all(&["c"]), None, &first);
        assert_eq!(of(&alone, "c"), 3);
        // One that returns takes its share and no more.
        let again = spread(&vips, &all(&["b", "c"]), None, &alone);
        assert_eq!((of(&again, "b"), of(&again, "c")), (1, 2));
        assert_eq!(of(&spread(&vips, &all(&[]), Some(&server("a")), &again), "a"), 3);
        assert!(spread(&vips, &all(&[]), None, &again).is_empty());
    }

    fn order(
        granter: &mut ReaderGranter,
        holder: &mut ReaderHolder,
        (to, nonce): (&str, u64),
        wanted: &str,
        at: u64,
    ) -> ReaderState {
        let wanted = BTreeMap::from([(vip(1), server(wanted))]);
        let (number, grant) = granter.order(&server(to), nonce, &wanted, Moment(at));
        holder.ordered(&grant, Moment(at));
        let granted = holder.may_hold(Moment(at));
        let said = ReaderState {
            nonce: holder.nonce(Moment(at)),
            held: granted.clone(),
            granted,
            problem: None,
        };
        granter.answered(&server(to), number, &said, Moment(at));
        said
    }

    #[test]
    fn an_address_moves_when_its_holder_has_given_it_up_or_its_time_is_over() {
        let mut granter = ReaderGranter::new(TIMES, Moment(0));
        let (mut b, mut c) = (ReaderHolder::new(0), ReaderHolder::new(0));
        let nonce = order(&mut granter, &mut b, ("b", 0), "b", 0).nonce;
        // It was just started: another manager may have given the address to somebody else.
        let said = order(&mut granter, &mut b, ("b", nonce), "b", 500);
        let said = order(&mut granter, &mut b, ("b", said.nonce), "b", 10_500);
        assert!(said.granted.is_empty());
        let said = order(&mut granter, &mut b, ("b", said.nonce), "b", 11_000);
        assert!(said.granted.contains(&vip(1)));
        let first = order(&mut granter, &mut c, ("c", 0), "c", 11_100).nonce;
        let said_c = order(&mut granter, &mut c, ("c", first), "c", 11_200);
        assert!(said_c.granted.is_empty(), "b has it");
        let said = order(&mut granter, &mut b, ("b", said.nonce), "c", 11_300);
        assert!(said.granted.is_empty());
        let said_c = order(&mut granter, &mut c, ("c", said_c.nonce), "c", 11_400);
        assert!(said_c.granted.contains(&vip(1)));
        // c is not heard of any more: it gives up at 60 %, and b gets it after 105 %.
        assert!(c.may_hold(Moment(17_199)).contains(&vip(1)));
        assert!(c.may_hold(Moment(17_200)).is_empty());
        let mut last = said;
        for at in [12_000, 21_000, 21_999] {
            last = order(&mut granter, &mut b, ("b", last.nonce), "b", at);
            assert!(last.granted.is_empty(), "at {at}");
        }
        last = order(&mut granter, &mut b, ("b", last.nonce), "b", 22_000);
        assert!(last.granted.contains(&vip(1)));
    }

    #[test]
    fn a_late_order_gives_nothing() {
        let mut granter = ReaderGranter::new(TIMES, Moment(0));
        let mut b = ReaderHolder::new(7);
        let nonce = b.nonce(Moment(20_000));
        let wanted = BTreeMap::from([(vip(1), server("b"))]);
        let (_, late) = granter.order(&server("b"), nonce, &wanted, Moment(20_010));
        b.nonce(Moment(20_020));
        b.ordered(&late, Moment(20_030));
        assert!(b.may_hold(Moment(20_031)).is_empty());
    }
}
