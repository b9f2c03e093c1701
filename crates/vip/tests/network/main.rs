//! Real interfaces, addresses and frames, in network namespaces.

mod acquire;
mod announce;
mod ear;
mod faults;
mod net;
mod release;

use primacy_vip::VirtualAddress;

/// The same test for both families.
const BOTH: [&str; 2] = ["10.77.0.100", "fd77::100"];

fn vip(text: &str) -> VirtualAddress {
    text.parse().expect("a virtual address")
}
