use std::collections::BTreeSet;

use primacy_types::{FenceRung, Millis, RefuseOrProceed};

use super::*;
use crate::findings_reference;
use crate::hosts::{Can, promises};
use crate::testing::{World, addr, cluster};

fn agent(server: &Address) -> AgentSeen {
    AgentSeen {
        address: Address::new(server.host(), 7620),
        version: "1.0.0".into(),
        name: server.host().into(),
        certificate_left: 300 * DAY,
        lease: Some(Millis::from_secs(3)),
        clock_ahead: Some(12),
        serves: vec![server.clone()],
        login: None,
        guarded: Some(true),
    }
}

/// Three servers with agents, and nothing wrong.
fn healthy() -> (World, HostsSeen) {
    let mut world = cluster(["a", "b", "c"]);
    let mut seen =
        HostsSeen { version: "1.0.0".into(), certificate_left: Some(300 * DAY), hosts: Vec::new() };
    for name in ["a", "b", "c"] {
        let server = addr(name);
        world.snapshot.policy.servers.entry(server.clone()).or_default().host_access =
            HostAccessKind::Agent;
        let mut host = HostSeen::new(server.clone(), HostAccessKind::Agent);
        (host.watch, host.kill, host.read_files) = (Can::Yes, Can::Yes, Can::Yes);
        (host.lease, host.addresses) = (Can::Yes, Can::Yes);
        host.agent = Some(agent(&server));
        seen.hosts.push(host);
    }
    (world, seen)
}

/// The smallest world in which a check finds something; `None` for one without a world.
fn trouble(code: &str) -> Option<(World, HostsSeen)> {
    let (mut world, mut seen) = healthy();
    let host = &mut seen.hosts[1];
    let no = || Can::No("it may not".into());
    if let Some(agent) = &mut host.agent {
        match code {
            "agent-unaware" => agent.serves = vec![addr("x")],
            "agent-login" => agent.login = Some("Access denied".into()),
            "agent-unguarded" => agent.guarded = Some(false),
            "agent-lease-differs" => agent.lease = Some(Millis::from_secs(5)),
            "agent-version-differs" => agent.version = "0.9.0".into(),
            "certificate-expiring" => agent.certificate_left = 2 * DAY,
            "certificate-expires-soon" => agent.certificate_left = 29 * DAY,
            "clocks-differ" => agent.clock_ahead = Some(-9_000),
            _ => {}
        }
    }
    match code {
        "host-unreached" => host.unreached = Some("connection refused".into()),
        "host-cannot-kill" => host.kill = no(),
        "host-files-unreadable" => host.read_files = no(),
        "unit-not-masked" => (host.unit, host.mask_unit) = (Some("mariadb.service".into()), no()),
        "addresses-impossible" => host.addresses = no(),
        "shutdown-script-fails" => host.script = no(),
        "failover-script-fails" => host.address_script = no(),
        "leases-not-in-force" => {
            world.snapshot.policy.servers.entry(addr("c")).or_default().host_access =
                HostAccessKind::None;
        }
        _ if host.agent.as_ref() == Some(&agent(&addr("b"))) => return None,
        _ => {}
    }
    Some((world, seen))
}

#[test]
fn each_check_finds_its_own_world_and_nothing_is_wrong_with_a_healthy_one() {
    let (world, seen) = healthy();
    assert_eq!(host_findings(&world.snapshot, &seen), []);
    for check in CHECKS {
        let (world, seen) = trouble(check.code).unwrap_or_else(|| panic!("{}", check.code));
        let found = host_findings(&world.snapshot, &seen);
        let codes: Vec<_> = found.iter().map(|f| &*f.code).collect();
        assert_eq!(codes, [check.code]);
        let finding = &found[0];
        assert!(!finding.sentence.ends_with('.') && !finding.mend.is_empty(), "{finding:?}");
    }
}

#[test]
fn the_reference_explains_every_code_once() {
    let page = findings_reference();
    let mut codes = BTreeSet::new();
    for check in CHECKS {
        assert!(codes.insert(check.code), "{}", check.code);
        let heading = format!("## `{}`\n", check.code);
        assert_eq!(page.matches(&heading).count(), 1, "{}", check.code);
        assert!(!check.title.ends_with('.') && check.doc.ends_with('.'), "{}", check.code);
    }
}

#[test]
fn a_certificate_counts_by_the_days_that_are_left() {
    let said = |left: i64| {
        let (world, mut seen) = healthy();
        seen.certificate_left = Some(left);
        let found = host_findings(&world.snapshot, &seen);
        found.into_iter().map(|f| (f.severity, f.sentence)).next()
    };
    assert_eq!(said(30 * DAY), None);
    let soon = "the certificate of the manager expires in 29 days".to_owned();
    assert_eq!(said(30 * DAY - 1), Some((Severity::Advice, soon)));
    let now = "the certificate of the manager expires in 2 days".to_owned();
    assert_eq!(said(3 * DAY - 1), Some((Severity::Risk, now)));
    let over = "the certificate of the manager has expired".to_owned();
    assert_eq!(said(-1), Some((Severity::Risk, over)));
}

#[test]
fn an_agent_of_several_servers_has_one_certificate() {
    let (world, mut seen) = healthy();
    for host in &mut seen.hosts {
        let agent = host.agent.as_mut().unwrap();
        agent.address = addr("a");
        agent.certificate_left = DAY;
    }
    assert_eq!(host_findings(&world.snapshot, &seen).len(), 1);
}

#[test]
fn what_a_failover_promises_follows_from_what_the_host_allows() {
    let (mut world, seen) = healthy();
    let mut host = seen.hosts[0].clone();
    let says = |world: &World, host: &HostSeen| promises(&world.snapshot, host);
    assert_eq!(
        says(&world, &host),
        [
            "dies or hangs: its agent fences it, and what nobody received is read from its disk"
                .to_owned(),
            format!(
                "host lost: {}; what nobody received stays on its disk",
                FenceRung::Lease.guarantee()
            ),
        ]
    );
    host.lease = Can::Unasked;
    host.unreached = Some("connection refused".into());
    assert_eq!(
        says(&world, &host),
        [
            "dies: it is replaced, and what nobody received stays on its disk; one that only \
             falls silent is not replaced",
            "host lost: it is not replaced before a person says that it is off",
        ]
    );
    world.snapshot.policy.unfenced = RefuseOrProceed::Proceed;
    assert!(says(&world, &host)[1].contains("may accept writes that nobody else gets"));
    host.script = Can::Yes;
    assert!(says(&world, &host)[0].starts_with("dies or hangs: shutdown_script fences it"));
    assert!(says(&world, &host)[1].contains("shutdown_script has to power it off"));
}
