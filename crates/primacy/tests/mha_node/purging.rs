//! `purge_relay_logs`, as cron calls it.

use std::fs;
use std::path::Path;

use primacy_testkit::{Cluster, cluster, eventually};

use crate::{
    LONG, PASSWORD, Ran, USER, command, count, has_everything, make_account, node, on_each_server,
};

/// A replica that has many small relay logs.
async fn that_keeps_them(server: &str) -> Cluster {
    let cluster = cluster(server)
        .replicas(1)
        .without_gtid()
        .option("relay_log_purge = OFF")
        .option("max_relay_log_size = 4096")
        .up()
        .await;
    make_account(&cluster).await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)").await;
    for _ in 0..20 {
        cluster.sql("s1", "INSERT INTO app.t (v) VALUES (REPEAT('x', 3000))").await;
    }
    has_everything(&cluster, "s2").await;
    assert!(relay_logs(&cluster) > 8);
    cluster
}

/// How many relay logs there are.
fn relay_logs(cluster: &Cluster) -> usize {
    let files = fs::read_dir(&cluster.server("s2").datadir).unwrap().flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let is_log =
        |name: &String| name.contains("relay") && name.ends_with(|end: char| end.is_ascii_digit());
    names.filter(is_log).count()
}

async fn keeps_them(cluster: &Cluster) -> bool {
    cluster.cell("s2", "SELECT @@global.relay_log_purge").await.as_deref() == Some("0")
}

fn words(cluster: &Cluster, more: &[&str]) -> Vec<String> {
    let address = cluster.address("s2");
    let work = cluster.server("s2").datadir.display().to_string();
    let mut words = vec![
        format!("--user={USER}"),
        format!("--host={}", address.host()),
        format!("--port={}", address.port()),
        // On purpose the worst folder for it.
        format!("--workdir={work}"),
    ];
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

fn purge(cluster: &Cluster, more: &[&str]) -> Ran {
    let words = words(cluster, more);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    node("purge_relay_logs", &words)
}

async fn applied_relay_logs_are_removed_and_others_never(server: &str) {
    let cluster = that_keeps_them(server).await;
    let password = format!("--password={PASSWORD}");
    let before = relay_logs(&cluster);
    let ran = purge(&cluster, &[&password]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("relay logs were removed"), "{ran:?}");
    assert!(relay_logs(&cluster) < 6 && before > 8, "{before}, {}", relay_logs(&cluster));
    assert!(keeps_them(&cluster).await);
    assert_eq!(count(&cluster.server("s2").datadir, "primacy-purge"), 0);

    // An applier that does not run: all of them stay.
    cluster.stop_applier("s2").await;
    for _ in 0..25 {
        cluster.sql("s1", "INSERT INTO app.t (v) VALUES (REPEAT('x', 3000))").await;
    }
    eventually(LONG, "relay logs pile up", async || relay_logs(&cluster) > 8).await;
    let before = relay_logs(&cluster);
    let ran = purge(&cluster, &[&password]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("does not run"), "{ran:?}");
    assert!(relay_logs(&cluster) >= before);
    cluster.start_applier("s2").await;
    has_everything(&cluster, "s2").await;

    // The password may come from a file.
    let file = cluster.place().join("my.cnf");
    let quoted = format!("[client]\nuser={USER}\npassword=\"{PASSWORD}\"\n");
    fs::write(&file, quoted).unwrap();
    let ran = purge(&cluster, &[&format!("--defaults_file={}", file.display())]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(relay_logs(&cluster) < before);

    // A server that does it itself is left alone, unless asked.
    cluster.sql("s2", "SET GLOBAL relay_log_purge = 1").await;
    let ran = purge(&cluster, &[&password]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!keeps_them(&cluster).await);
    let ran = purge(&cluster, &[&password, "--disable_relay_log_purge"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(keeps_them(&cluster).await);

    // No replica, wrong password, another host.
    let port = format!("--port={}", cluster.address("s1").port());
    assert_eq!(purge(&cluster, &[&password, &port]).code, Some(1));
    assert_eq!(purge(&cluster, &["--password=wrong"]).code, Some(1));
    let ran = purge(&cluster, &[&password, "--host=192.0.2.1"]);
    assert!(ran.code == Some(1) && ran.err.contains("is not this host"), "{ran:?}");
}

/// While it waits for a failover to end, nobody sees the password, and a signal ends it.
async fn a_password_is_not_shown_and_a_signal_puts_things_back(server: &str) {
    let cluster = that_keeps_them(server).await;
    let mut failover = cluster.root("s2").await;
    let lock = "SELECT GET_LOCK('MHA_Master_High_Availability_Failover', 1)";
    failover.query(lock, LONG).await.unwrap();
    let words = words(&cluster, &["--password", PASSWORD]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut child = command("purge_relay_logs", &words).spawn().unwrap();
    let line = Path::new("/proc").join(child.id().to_string()).join("cmdline");
    let shown = || String::from_utf8_lossy(&fs::read(&line).unwrap_or_default()).into_owned();
    eventually(LONG, "the password is hidden", async || shown().contains("********")).await;
    assert!(!shown().contains(PASSWORD) && shown().starts_with("purge_relay_logs"), "{}", shown());
    eventually(LONG, "it waits for the lock", async || {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE \
                   '%MHA_Master_High%' AND info NOT LIKE '%processlist%'";
        cluster.cell("s2", sql).await.as_deref() == Some("1")
    })
    .await;
    assert!(keeps_them(&cluster).await, "nothing is changed before it has the lock");
    let before = relay_logs(&cluster);
    failover
        .query("SELECT RELEASE_LOCK('MHA_Master_High_Availability_Failover')", LONG)
        .await
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(relay_logs(&cluster) < before);

    // The applier is held up, so that it waits in the middle.
    let mut reader = cluster.root("s2").await;
    reader.execute("LOCK TABLES app.t READ", LONG).await.unwrap();
    cluster.sql("s1", "INSERT INTO app.t (v) VALUES ('late')").await;
    let mut child = command("purge_relay_logs", &words).spawn().unwrap();
    eventually(LONG, "it has begun", async || !keeps_them(&cluster).await).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(keeps_them(&cluster).await);
    reader.close().await;
    has_everything(&cluster, "s2").await;
}

on_each_server!(
    applied_relay_logs_are_removed_and_others_never,
    a_password_is_not_shown_and_a_signal_puts_things_back,
);
