//! What is allowed and yet probably not meant, or dangerous enough to be said.

use std::net::IpAddr;

use primacy_types::{Address, Promotion, RefuseOrProceed, ServerPolicy, WithoutAcker};

use crate::model::{ClusterConfig, Config, TlsConfig};

impl Config {
    /// One sentence or two for each thing that deserves a second look; none of them stops the
    /// manager.
    pub fn warnings(&self) -> Vec<String> {
        if self.clusters.is_empty() && self.agent.is_none() {
            return vec!["no cluster is configured: write [cluster.NAME] with its servers".into()];
        }
        let notices = self.notices.iter().cloned();
        notices.chain(self.clusters.values().flat_map(of_cluster)).collect()
    }
}

fn of_cluster(cluster: &ClusterConfig) -> Vec<String> {
    let policy = &cluster.policy;
    let servers: Vec<_> = cluster.servers.iter().map(|a| (a, policy.server(a))).collect();
    let promotable: Vec<_> =
        servers.iter().filter(|(_, s)| s.promotion != Promotion::Never).collect();
    let mut said = Vec::new();
    match (servers.as_slice(), promotable.as_slice()) {
        ([_], _) => {
            said.push("only one server is listed, so nothing can take over from it".into());
        }
        (_, [(only, _)]) => said.push(format!(
            "only {only} may be primary, so nothing can take over from it; give another server \
             a `promotion` other than \"never\""
        )),
        _ => {}
    }
    for (address, server) in &servers {
        if server.delayed && server.promotion == Promotion::Prefer {
            said.push(format!(
                "{address} is delayed and preferred as primary: a delayed replica is promoted \
                 only if nothing else is left"
            ));
        }
    }
    if policy.stay_in_site {
        let homeless = addresses(servers.iter().filter(|(_, s)| s.site.is_none()));
        if !homeless.is_empty() {
            said.push(format!("`stay_in_site` is on, but no `site` is written for {homeless}"));
        }
    }
    if policy.unfenced == RefuseOrProceed::Proceed {
        said.push(
            "unfenced = \"proceed\": a primary that is only cut off from the manager may go on \
             accepting writes beside the new one"
                .into(),
        );
    }
    if let Some(semi_sync) = policy.semi_sync
        && usize::from(semi_sync.wait_count) + 1 == servers.len()
        && semi_sync.without_acker == WithoutAcker::Block
    {
        said.push(format!(
            "semi_sync_wait_count = {} needs every replica: when one is lost, commits wait; and \
             after a failover they wait until the old primary is back",
            semi_sync.wait_count
        ));
    }
    if cluster.tls == TlsConfig::Off {
        let remote = addresses(servers.iter().filter(|(a, _)| !is_loopback(a.host())));
        if !remote.is_empty() {
            said.push(format!(
                "TLS is off, so statements, and with them the replication password, cross the \
                 network unprotected to {remote}"
            ));
        }
    }
    let hooks = cluster.hooks.iter().map(|hook| &hook.at);
    for moments in hooks.chain(cluster.webhooks.iter().map(|webhook| &webhook.at)) {
        for word in crate::hooks::never_called(moments) {
            said.push(format!("nothing is called at {word} yet: this version does not come by it"));
        }
    }
    said.into_iter().map(|text| format!("cluster `{}`: {text}", cluster.name)).collect()
}

fn addresses<'a>(servers: impl Iterator<Item = &'a (&'a Address, ServerPolicy)>) -> String {
    servers.map(|(address, _)| address.to_string()).collect::<Vec<_>>().join(", ")
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
