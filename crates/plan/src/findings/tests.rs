//! Every check finds its own world, nothing is found where nothing is wrong, and what is said to
//! block is what the planners refuse.

use std::collections::BTreeSet;

use primacy_types::{
    ContactFailure, FileAccess, HostAccessKind, Millis, Positioning, ReceiverState, Repository,
    ServerVersion,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::table::{CHECKS, Grade};
use super::view::View;
use super::worlds::{VERSIONS, asynchronous, healthy, on_version, triggers};
use super::{Finding, Severity, findings, findings_reference};
use crate::OperationKind;
use crate::testing::{World, addr, cluster};

fn found(world: &World, code: &str) -> Vec<Finding> {
    findings(&world.snapshot).into_iter().filter(|f| f.code == code).collect()
}

/// The only finding of this code in the world.
fn the(world: &World, code: &str) -> Finding {
    let mut found = found(world, code);
    assert_eq!(found.len(), 1, "{code}: {found:#?}");
    found.remove(0)
}

/// Every trigger on every version, and as it is.
fn all_worlds() -> Vec<(String, World)> {
    let mut worlds = Vec::new();
    for check in CHECKS {
        let world = triggers(check.code).expect("a world for each check");
        for version in VERSIONS {
            let name = format!("{} on {version}", check.code);
            worlds.push((name, on_version(world.clone(), version)));
        }
        worlds.push((check.code.to_owned(), world));
    }
    worlds
}

#[test]
fn each_check_finds_its_own_world() {
    for check in CHECKS {
        let world = triggers(check.code);
        let world = world.unwrap_or_else(|| panic!("no world triggers {}", check.code));
        assert!(!found(&world, check.code).is_empty(), "{} finds nothing", check.code);
    }
}

/// A server that refuses the login is not to be brought back: it lives.
#[test]
fn who_refuses_the_manager_is_told_from_who_is_gone() {
    let world = triggers("primary-unknown").expect("a world");
    let denied = ContactFailure::AccessDenied("Access denied".to_owned());
    let mut world =
        world.failing("b", denied, 1000, 3).failing("c", ContactFailure::Refused, 1000, 3);
    for name in ["b", "c"] {
        world.server(name).facts = None;
    }
    let unknown = the(&world, "primary-unknown");
    assert!(unknown.sentence.contains("c:3306 never answered"), "{unknown:?}");
    assert!(unknown.sentence.contains("b:3306 never told the manager anything"), "{unknown:?}");
    let [gone, denied] =
        ["c:3306 back", "log in to b:3306"].map(|words| unknown.mend.contains(words));
    assert!(gone && denied, "{unknown:?}");
    let told = found(&world, "unreachable");
    assert!(told.iter().any(|f| f.sentence.contains("b:3306 lives and is of no use")), "{told:?}");
    assert!(told.iter().any(|f| f.sentence.contains("c:3306 does not answer")), "{told:?}");
}

#[test]
fn nothing_is_wrong_with_a_healthy_cluster() {
    let serious = |world: &World| -> Vec<Finding> {
        let all = findings(&world.snapshot).into_iter();
        all.filter(|f| f.severity != Severity::Advice).collect()
    };
    assert_eq!(serious(&healthy()), []);
    assert_eq!(serious(&asynchronous()), []);
    assert_eq!(serious(&cluster(["a", "b"]).local("a").readable("a")), []);
    for version in VERSIONS {
        assert_eq!(serious(&on_version(asynchronous(), version)), [], "{version}");
        assert_eq!(serious(&on_version(healthy(), version)), [], "{version}");
    }
}

#[test]
fn a_primary_that_is_not_on_record_is_found_by_the_checks_too() {
    let mut world = healthy();
    world.snapshot.primary = None;
    assert_eq!(findings(&world.snapshot), findings(&healthy().snapshot));
}

#[test]
fn whatever_the_planners_refuse_is_found_and_nothing_else_is_said_to_block() {
    for (name, world) in all_worlds() {
        let view = View::of(&world.snapshot);
        let unknown = view.primary().is_none();
        let failover = unknown || view.failover.is_some();
        let switchover = unknown || view.switchover.is_some();
        let blocks = findings(&world.snapshot).iter().any(|f| f.severity == Severity::Blocks);
        assert_eq!(blocks, failover || switchover, "{name}: {:#?}", findings(&world.snapshot));
    }
}

#[test]
fn a_check_that_refuses_an_operation_is_right_about_which() {
    for check in CHECKS {
        let (Grade::Refuses(_) | Grade::LastResort(_)) = check.grade else {
            continue;
        };
        let world = triggers(check.code).expect("a world");
        let view = View::of(&world.snapshot);
        for kind in check.grade.refuses(&view, None) {
            let refusal = match kind {
                OperationKind::Failover => &view.failover,
                _ => &view.switchover,
            };
            let refused = refusal.is_some() || view.primary().is_none();
            assert!(refused, "{}: the {kind} is not refused", check.code);
        }
    }
}

#[test]
fn each_exclusion_of_a_server_has_a_check_or_a_key_that_ends_it() {
    for (name, world) in all_worlds() {
        for judged in View::of(&world.snapshot).judged {
            for exclusion in &judged.exclusions {
                let way = super::roles::way_out(exclusion);
                let known = way.starts_with("see ") || way.ends_with("in the configuration");
                assert!(known, "{name}: {exclusion:?}: {way}");
            }
        }
    }
}

#[test]
fn an_excluded_server_blocks_only_where_no_other_is_left() {
    let mut world = healthy();
    world.facts("b").log_bin = false;
    assert_eq!(the(&world, "log-bin-off").severity, Severity::Risk);
    assert_eq!(found(&world, "no-candidate"), []);
    world.channel("c").filters.insert("Replicate_Do_DB=x".to_owned());
    assert_eq!(the(&world, "log-bin-off").severity, Severity::Blocks);
    let nobody = the(&world, "no-candidate");
    assert_eq!(nobody.severity, Severity::Blocks);
    assert_eq!(
        nobody.mend,
        "mend what stands against one of them: b:3306 (see log-bin-off), \
         c:3306 (see replication-filters)"
    );
}

#[test]
fn a_stopped_thread_blocks_a_switchover_to_the_server_that_would_be_chosen() {
    let severity = |name: &str, code| {
        let mut world = healthy();
        world.channel(name).receiver = ReceiverState::Stopped;
        world.channel(name).applier_running = false;
        assert_eq!(found(&world, "switchover-refused"), []);
        the(&world, code).severity
    };
    for code in ["receiver-stopped", "applier-stopped"] {
        assert_eq!(severity("b", code), Severity::Blocks);
        assert_eq!(severity("c", code), Severity::Risk);
    }
}

#[test]
fn writes_on_their_way_to_the_replicas_are_no_reason_to_refuse() {
    let mut world = healthy();
    world.facts("a").executed = crate::testing::pos("0-1-107");
    assert_eq!(findings(&world.snapshot), []);
}

#[test]
fn a_dead_primary_is_reported_with_what_to_do() {
    let world = healthy().primary_killed();
    assert_eq!(the(&world, "unreachable").server, Some(addr("a")));
    assert!(the(&world, "switchover-refused").mend.contains("primacy failover"));
    assert_eq!(found(&world, "failover-refused"), []);
}

#[test]
fn sentences_and_mends_are_ready_to_be_shown() {
    for (name, world) in all_worlds() {
        for Finding { sentence, mend, .. } in findings(&world.snapshot) {
            for text in [&sentence, &mend] {
                let clean = !text.is_empty()
                    && !text.contains("  ")
                    && !text.contains("{}")
                    && !text.ends_with(['.', ' ', ':', ';'])
                    && text.trim() == text;
                assert!(clean, "{name}: {text:?}");
            }
        }
    }
}

#[test]
fn each_server_is_addressed_in_its_own_words() {
    let foreign = |version: ServerVersion| -> &[&str] {
        match version {
            v if v.is_mariadb() => {
                &["REPLICA", "SOURCE", "FOR CHANNEL", "PERSIST", "rpl_semi_sync_source"]
            }
            v if v.at_least(8, 0, 23) => &["SLAVE", "MASTER", "SLAVE STATUS"],
            v if v.at_least(5, 7, 6) => &["REPLICA ", "SOURCE", "PERSIST"],
            _ => &["REPLICA ", "SOURCE", "PERSIST", "FOR CHANNEL", "super_read_only"],
        }
    };
    for check in CHECKS {
        let world = triggers(check.code).expect("a world");
        for version in VERSIONS {
            let world = on_version(world.clone(), version);
            // A server that is of another version on purpose has words of its own.
            let servers = world.snapshot.servers.values();
            if servers.filter_map(|s| s.facts.as_ref()).any(|f| f.version != version) {
                continue;
            }
            for finding in findings(&world.snapshot) {
                for word in foreign(version) {
                    // Their planners' words are for all versions.
                    let general = finding.code.ends_with("-refused");
                    assert!(general || !finding.mend.contains(word), "{version}: {finding:#?}");
                }
            }
        }
    }
}

#[test]
fn the_heartbeat_is_mended_in_the_words_of_each_version() {
    let mend = |version, channel: &str| {
        let mut world = on_version(asynchronous(), version);
        world.snapshot.policy.channel = channel.into();
        for name in ["b", "c"] {
            world.channel(name).name = channel.into();
        }
        world.channel("b").heartbeat_period = Some(Millis::from_secs(30));
        the(&world, "heartbeat-slow").mend
    };
    assert_eq!(
        mend(ServerVersion::mysql(9, 7, 4), ""),
        "with its applier running, so that its relay log stays: STOP REPLICA IO_THREAD; \
         CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 1; START REPLICA IO_THREAD"
    );
    assert_eq!(
        mend(ServerVersion::mysql(5, 7, 44), "east"),
        "with its applier running, so that its relay log stays: STOP SLAVE IO_THREAD FOR CHANNEL \
         'east'; CHANGE MASTER TO MASTER_HEARTBEAT_PERIOD = 1 FOR CHANNEL 'east'; START SLAVE \
         IO_THREAD FOR CHANNEL 'east'"
    );
    assert_eq!(
        mend(ServerVersion::mariadb(10, 11, 6), "east"),
        "only when it has caught up, because the change drops what its relay log holds unapplied: \
         STOP SLAVE 'east' IO_THREAD; when SHOW ALL SLAVES STATUS says that it has read all relay \
         log: STOP SLAVE 'east'; CHANGE MASTER 'east' TO MASTER_HEARTBEAT_PERIOD = 1; START SLAVE \
         'east'"
    );
}

#[test]
fn heartbeat_and_retry_are_mended_by_one_change() {
    let mut world = on_version(asynchronous(), ServerVersion::mysql(8, 4, 0));
    world.channel("b").heartbeat_period = Some(Millis::from_secs(30));
    world.channel("b").connect_retry_seconds = 60;
    let heartbeat = the(&world, "heartbeat-slow").mend;
    assert!(heartbeat.contains("SOURCE_HEARTBEAT_PERIOD = 1, SOURCE_CONNECT_RETRY = 1"));
    assert_eq!(the(&world, "connect-retry-long").mend, heartbeat);
}

#[test]
fn mariadb_is_not_told_to_drop_a_relay_log_while_the_primary_is_away() {
    let mut world = healthy().received("b", "0-1-100", "0-1-90");
    world.channel("b").receiver = ReceiverState::Stopped;
    world.channel("b").applier_running = false;
    assert!(the(&world, "applier-stopped").mend.starts_with("only while its source answers"));
    world.channel("b").receiver = ReceiverState::Running;
    assert_eq!(the(&world, "applier-stopped").mend, "START SLAVE SQL_THREAD");
}

#[test]
fn what_would_be_rescued_from_files_is_said_with_the_reason_it_could_not() {
    let mut world = healthy();
    let reason = "user ops may not read it; add ops to a group";
    world.server("a").files = Some(FileAccess::Unreadable(reason.into()));
    assert!(the(&world, "no-file-access").sentence.contains("user ops may not read it"));
    world.server("a").files = None;
    assert!(the(&world, "no-file-access").mend.contains("host_access = \"ssh\""));
    world.snapshot.policy.servers.get_mut(&addr("a")).unwrap().host_access = HostAccessKind::Ssh;
    assert!(the(&world, "no-file-access").sentence.contains("not been seen over ssh yet"));
}

#[test]
fn what_purges_relay_logs_matters_without_gtid_only() {
    let mut world = healthy();
    for name in ["b", "c"] {
        let safety = &mut world.facts(name).safety;
        (safety.relay_log_purge, safety.relay_log_recovery) = (Some(true), Some(true));
        safety.applier_place = Some(Repository::File);
    }
    assert_eq!(findings(&world.snapshot), []);
    world.channel("c").positioning = Positioning::FileAndPosition;
    for code in ["relay-log-recovery", "positions-in-files"] {
        assert_eq!(the(&world, code).server, Some(addr("c")), "{code}");
    }
    assert_eq!(
        found(&world, "relay-logs-purged"),
        [],
        "it has no sibling that could lack anything"
    );
    world.channel("b").positioning = Positioning::FileAndPosition;
    assert_eq!(found(&world, "relay-logs-purged").len(), 2);
}

#[test]
fn a_cluster_that_replicates_by_file_and_position_throughout_is_only_advised() {
    let world = triggers("file-and-position").unwrap();
    for version in VERSIONS {
        let mut world = on_version(world.clone(), version);
        if version.is_mysql() {
            for name in ["a", "b", "c"] {
                world.facts(name).gtid_mode = primacy_types::GtidMode::Off;
            }
        }
        let found = findings(&world.snapshot);
        let codes: Vec<_> = found.iter().map(|f| (&*f.code, f.severity)).collect();
        assert_eq!(codes, [("file-and-position", Severity::Advice)], "{version}");
    }
    let mut mixed = triggers("channel-by-position").unwrap();
    assert_eq!(found(&mixed, "file-and-position"), []);
    mixed.channel("b").receiver = ReceiverState::Running;
    assert_eq!(the(&mixed, "channel-by-position").server, Some(addr("b")));
}

#[test]
fn appliers_of_mariadb_commit_in_order_by_themselves() {
    let mut world = healthy();
    world.facts("b").safety.parallel_workers = Some(8);
    assert_eq!(findings(&world.snapshot), []);
    let on = |version| {
        let mut world = on_version(world.clone(), version);
        world.facts("b").safety.preserve_commit_order = version.at_least(5, 7, 5).then_some(false);
        the(&world, "parallel-without-order").mend
    };
    assert_eq!(
        on(ServerVersion::mysql(8, 4, 0)),
        "STOP REPLICA SQL_THREAD; SET PERSIST replica_preserve_commit_order = ON; START REPLICA \
         SQL_THREAD"
    );
    assert!(on(ServerVersion::mysql(5, 6, 24)).contains("SET GLOBAL slave_parallel_workers = 0"));
}

#[test]
fn a_server_that_may_lose_commits_in_a_crash_says_which_settings_do_it() {
    let mut world = healthy();
    world.facts("b").safety.sync_binlog = Some(1);
    world.facts("b").safety.flush_log_at_commit = Some(1);
    assert_eq!(found(&world, "log-not-synced"), []);
    world.facts("b").safety.sync_binlog = Some(0);
    world.facts("b").safety.flush_log_at_commit = Some(2);
    let lax = the(&world, "log-not-synced");
    assert!(lax.sentence.contains("sync_binlog is 0 and innodb_flush_log_at_trx_commit is 2"));
    let never = primacy_types::Promotion::Never;
    world.snapshot.policy.servers.get_mut(&addr("b")).unwrap().promotion = never;
    assert_eq!(found(&world, "log-not-synced"), [], "it is no candidate");
}

#[test]
fn the_reference_explains_every_code() {
    let page = findings_reference();
    let mut codes = BTreeSet::new();
    for check in CHECKS {
        let kebab = check.code.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(kebab && codes.insert(check.code), "{}", check.code);
        assert!(page.contains(&format!("## `{}`\n", check.code)), "{}", check.code);
        assert!(!check.title.ends_with('.') && check.doc.ends_with('.'), "{}", check.code);
    }
}

#[test]
fn a_finding_can_be_sent_and_read_back() {
    fn travels<T: Serialize + DeserializeOwned>() {}
    travels::<Vec<Finding>>();
}

#[test]
fn the_weightiest_comes_first() {
    for (name, world) in all_worlds() {
        let severities: Vec<_> = findings(&world.snapshot).iter().map(|f| f.severity).collect();
        assert!(severities.is_sorted(), "{name}");
    }
}
