//! What agents and managers read of each other: requests and answers as JSON, and certificates.

use primacy_agent_api::{
    Capabilities, ExtendOrder, Fault, Fenced, FileEntry, FileOrder, GrantOrder, LeaseState,
    ListOrder, OfServer, Opened, Probe, Probed, RangeOrder, Release, StandingOrder, WatchOrder,
    Watched, WhoAmI,
};
use primacy_certs::Peer;
use primacy_types::VirtualAddress;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn target(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 4 {
        0 => {
            same::<OfServer>(bytes);
            same::<WatchOrder>(bytes);
            same::<Release>(bytes);
            same::<ListOrder>(bytes);
            same::<FileOrder>(bytes);
            same::<RangeOrder>(bytes);
            same::<Opened>(bytes);
            same::<Probe>(bytes);
        }
        1 => {
            same::<StandingOrder>(bytes);
            same::<GrantOrder>(bytes);
            same::<ExtendOrder>(bytes);
        }
        2 => {
            same::<LeaseState>(bytes);
            same::<WhoAmI>(bytes);
            same::<Capabilities>(bytes);
            same::<Watched>(bytes);
            same::<Fenced>(bytes);
            same::<Vec<FileEntry>>(bytes);
            same::<Vec<Probed>>(bytes);
            same::<Fault>(bytes);
        }
        _ => {
            let _ = Peer::of(&bytes.to_vec().into());
            if let Ok(address) = String::from_utf8_lossy(bytes).parse::<VirtualAddress>() {
                assert_eq!(address.to_string().parse().as_ref(), Ok(&address), "{address}");
            }
        }
    }
}

/// What is read is what would be written.
fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&read).expect("what was read can be written");
        let again = serde_json::from_slice::<T>(&written).expect("what was written can be read");
        assert_eq!(read, again);
    }
}
