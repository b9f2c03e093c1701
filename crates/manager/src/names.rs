//! Servers under other names. A replica names its source by the host that it was given, which need not
//! be the one in the configuration: a name here, an address there. While the source lives its UUID or its
//! number tells who it is; of one that was never seen only its host can.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use primacy_types::{Address, ClusterSnapshot};
use tokio::time::{Instant, timeout};

/// How long a name may take to be resolved.
const LIMIT: Duration = Duration::from_millis(500);

/// After so long a name that was nobody's of ours is resolved again.
const AGAIN: Duration = Duration::from_secs(60);

/// What was found out of names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    found: BTreeMap<Address, (Option<Address>, Instant)>,
}

impl Names {
    /// Whether it is to be found out who this is.
    pub(crate) fn wants(&self, source: &Address) -> bool {
        match self.found.get(source) {
            None => true,
            Some((server, at)) => server.is_none() && at.elapsed() >= AGAIN,
        }
    }

    pub(crate) fn learn(&mut self, source: Address, server: Option<Address>) {
        self.found.insert(source, (server, Instant::now()));
    }

    /// Gives each source that nothing else tells its name in the configuration. One that has another
    /// UUID than the server of that name is somebody else.
    pub(crate) fn apply(&self, snapshot: &mut ClusterSnapshot) {
        if self.found.is_empty() {
            return;
        }
        let uuids: BTreeMap<Address, Option<String>> = snapshot
            .servers
            .iter()
            .map(|(a, s)| (a.clone(), s.facts.as_ref().and_then(|f| f.server_uuid.clone())))
            .collect();
        for facts in snapshot.servers.values_mut().filter_map(|server| server.facts.as_mut()) {
            for channel in &mut facts.channels {
                let Some((Some(server), _)) = self.found.get(&channel.source) else { continue };
                let own = uuids.get(server).and_then(Option::as_ref);
                let other = matches!((own, &channel.source_uuid), (Some(a), Some(b)) if a != b);
                if !other {
                    channel.source = server.clone();
                }
            }
        }
    }
}

/// The one server of these that is meant by another name.
pub(crate) async fn same_server(source: &Address, servers: &[Address]) -> Option<Address> {
    let meant = resolved(source).await;
    let mut found = None;
    for server in servers.iter().filter(|server| server.port() == source.port()) {
        if meant.is_disjoint(&resolved(server).await) {
            continue;
        }
        if found.replace(server.clone()).is_some() {
            return None;
        }
    }
    found
}

/// What a name stands for; nothing if that cannot be told.
async fn resolved(address: &Address) -> BTreeSet<IpAddr> {
    let asked = tokio::net::lookup_host((address.host(), address.port()));
    match timeout(LIMIT, asked).await {
        Ok(Ok(all)) => all.map(|one| one.ip()).collect(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use primacy_plan::managed_source;
    use primacy_plan::testing::{addr, cluster};

    use super::*;

    #[tokio::test]
    async fn a_name_and_an_address_of_one_host_are_the_same_server() {
        let server = |text: &str| text.parse::<Address>().unwrap();
        let ours = [server("127.0.0.1:3306"), server("127.0.0.1:3307"), server("192.0.2.1:3306")];
        let found = same_server(&server("localhost:3307"), &ours).await;
        assert_eq!(found, Some(server("127.0.0.1:3307")));
        assert_eq!(same_server(&server("localhost:3308"), &ours).await, None);
        assert_eq!(same_server(&server("192.0.2.2:3306"), &ours).await, None);
    }

    #[test]
    fn a_dead_source_that_was_never_seen_is_known_by_its_host_unless_its_uuid_differs() {
        let mut names = Names::default();
        names.learn(addr("other"), Some(addr("a")));
        for (uuid, known) in [(None, true), (Some("x"), true), (Some("y"), false)] {
            let mut world = cluster(["a", "b"]);
            world.channel("b").source = addr("other");
            world.channel("b").source_server_id = 0;
            world.channel("b").source_uuid = uuid.map(str::to_owned);
            world.facts("a").server_uuid = (uuid == Some("y")).then(|| "x".to_owned());
            names.apply(&mut world.snapshot);
            let source = managed_source(&world.snapshot, &addr("b"));
            assert_eq!(source == Some(addr("a")), known, "{uuid:?}");
        }
    }
}
