//! What a manager of MHA's does and ends with besides a failover that succeeds: only checks, only
//! watches, a shutdown_script that says 10, and a failover that is held.

use std::io::{Read, Seek, SeekFrom, Write};

use primacy_testkit::{Cluster, Net, Sshds, cluster, eventually};

use crate::{LONG, MANAGER, Site, contains_all, on_servers, ssh_options};

/// `--check_only`, with and without `--check_repl_health`, and `--monitor_only`.
async fn a_manager_that_only_checks_or_watches_touches_nothing(server: &str) {
    let cluster = cluster(server).up().await;
    let site = Site::new(None);
    site.write("app1", &cluster, "ssh_connection_timeout=1");
    let status = site.at("app1/app1.master_status.health");
    let check = |more: &[&str]| {
        let words = [&["--skip_check_ssh", "--check_only"], more].concat();
        let ran = site.on("masterha_manager", "app1", &words);
        assert!(!status.exists());
        ran.code
    };
    assert_eq!(check(&[]), Some(0), "{}", site.log("app1"));
    contains_all(&site.log("app1"), &["A manager can be started. Nothing was done"]);
    assert_eq!(check(&["--check_repl_health"]), Some(0), "{}", site.log("app1"));
    cluster.stop_applier("s3").await;
    assert_eq!(check(&["--check_repl_health"]), Some(1), "{}", site.log("app1"));
    contains_all(&site.log("app1"), &["its SQL thread is not running", "could not be started"]);
    // Not one that only watches either, and nor does the monitor.
    for command in ["masterha_manager", "masterha_master_monitor"] {
        let words = ["--skip_check_ssh", "--monitor_only", "--check_repl_health"];
        assert_eq!(site.on(command, "app1", &words).code, Some(1), "{command}");
    }
    cluster.start_applier("s3").await;
    cluster.all_replicate(&["s2", "s3"], "s1").await;

    let mut manager = site.manager("app1", &["--skip_check_ssh", "--monitor_only"]);
    site.is_running("app1").await;
    cluster.kill("s1").await;
    assert_eq!(manager.ends(|| site.log("app1")).await, 20, "{}", site.log("app1"));
    assert!(cluster.writable().await.is_empty(), "nobody was promoted");
    assert!(!status.exists());
    assert!(!site.at("app1/app1.failover.error").exists());
    assert_eq!(check(&["--check_repl_health"]), Some(1), "the primary is dead");
}

/// The script stops the process by its pid file and says that the host is up.
async fn a_shutdown_script_that_says_ten_lets_the_failover_go_on(server: &str) {
    let cluster = cluster(server).up().await;
    let site = Site::new(None);
    let told = site.at("told");
    let script = format!(
        "echo \"$*\" >> {}; for word in \"$@\"; do case $word in --command=status) exit 0;; \
         --pid_file=*) kill -9 $(cat ${{word#*=}});; esac; done; exit 10",
        told.display()
    );
    let script = site.script("power", &script);
    let line = format!("ssh_connection_timeout=1\nshutdown_script={script}");
    site.write("app1", &cluster, &line);
    let mut manager = site.manager("app1", &["--skip_check_ssh"]);
    site.is_running("app1").await;
    cluster.kill("s1").await;
    assert_eq!(manager.ends(|| site.log("app1")).await, 0, "{}", site.log("app1"));
    assert_eq!(cluster.writable().await, ["s2"]);
    cluster.all_replicate(&["s3"], "s2").await;
    contains_all(&site.log("app1"), &["its process was stopped (exit code 10)"]);
    let told = std::fs::read_to_string(told).unwrap();
    contains_all(&told, &["--command=status ", "--command=stop ", "--pid_file="]);
    assert!(site.at("app1/app1.failover.complete").exists());
}

/// What only the dead primary's disk has is damaged there: known to exist, and not to be had.
async fn a_failover_that_is_held_for_data_ends_the_manager(server: &str) {
    let Some(net) = Net::new(4) else { return };
    let Some(sshds) = Sshds::start(&net, MANAGER) else { return };
    let cluster = cluster(server).on(&net).up().await;
    let site = Site::new(Some(&net.host(MANAGER).namespace));
    site.write("app1", &cluster, &ssh_options(&sshds));
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB").await;
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
    }
    let mut manager = site.manager("app1", &[]);
    site.is_running("app1").await;
    for replica in ["s2", "s3"] {
        cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    }
    for id in 0..30 {
        cluster.sql("s1", &format!("INSERT INTO app.t VALUES ({id})")).await;
    }
    cluster.freeze("s1").await;
    damage(&cluster);
    cluster.kill("s1").await;
    eventually(LONG, "it is held", async || site.log("app1").contains("HELD: ")).await;
    let status = site.on("masterha_check_status", "app1", &[]);
    assert_eq!(status.code, Some(50), "{}", status.out);
    assert_eq!(manager.ends(|| site.log("app1")).await, 1, "{}", site.log("app1"));
    let conf = format!("--conf={}", site.at("app1.cnf").display());
    contains_all(
        &site.log("app1"),
        &["the failover could not go on for 60 seconds: HELD: ", &conf, "--ignore_last_failover"],
    );
    assert!(cluster.writable().await.is_empty(), "nobody was promoted");
    assert!(site.at("app1/app1.failover.error").exists());
    let again = site.on("masterha_manager", "app1", &[]);
    assert_eq!(again.code, Some(1));
    contains_all(&site.log("app1"), &["the last failover failed"]);
}

/// Changes a byte in the middle of the last events.
fn damage(cluster: &Cluster) {
    let path = cluster.server("s1").datadir.join("binlog.000001");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let at = SeekFrom::Start(file.metadata().unwrap().len() - 700);
    let mut byte = [0];
    file.seek(at).unwrap();
    file.read_exact(&mut byte).unwrap();
    byte[0] ^= 0x10;
    file.seek(at).unwrap();
    file.write_all(&byte).unwrap();
}

on_servers!(
    a_manager_that_only_checks_or_watches_touches_nothing,
    a_shutdown_script_that_says_ten_lets_the_failover_go_on,
    a_failover_that_is_held_for_data_ends_the_manager,
);
