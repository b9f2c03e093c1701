//! A failover by hand that does not go on.

use super::application::{Application, LONG, answered};
use crate::on_servers;
use primacy_testkit::eventually;

/// The script does not give the address to the new primary. It is not waited for without limit, and
/// the next manager finishes it when the script is mended.
async fn a_failover_by_hand_that_is_held_has_an_end(server: &str) {
    let app = Application::up(server).await;
    let mended = app.conf("mended");
    let text = format!(
        "case \"$*\" in *--command=start*) [ -e {} ] ;; *) exit 0 ;; esac\n",
        mended.display()
    );
    let script = app.script("script", &text);
    let lines = format!("master_ip_failover_script={script}\n");
    app.configure_with("app1.cnf", &["s1", "s2", "s3"], &lines);
    app.cluster.kill("s1").await;
    let ran = app.fail_over("s1", &["--interactive=0"], "").await;
    ran.is(1, "the failover could not go on for 15 seconds: HELD: failover_script --command=start");
    let told = std::fs::read_to_string(app.conf("app1.log")).unwrap();
    assert!(told.contains("--ignore_last_failover") && told.contains("primacy failover"), "{told}");
    assert!(app.cluster.writable().await.is_empty(), "nobody was promoted");
    assert!(app.conf("app1.failover.error").exists());
    assert!(!app.conf("app1.failover.complete").exists());
    app.fail_over("s1", &["--interactive=0"], "").await.is(1, "the last failover failed");

    std::fs::write(&mended, "").unwrap();
    let words = ["--skip_check_ssh", "--ignore_last_failover"];
    let manager = app.start("masterha_manager", &words);
    let ran = answered(manager, String::new()).await;
    let told = std::fs::read_to_string(app.conf("app1.log")).unwrap();
    assert_eq!(ran.code, Some(0), "{told}");
    eventually(LONG, "s2 is the primary", async || app.cluster.writable().await == ["s2"]).await;
    app.cluster.all_replicate(&["s3"], "s2").await;
}

on_servers!(a_failover_by_hand_that_is_held_has_an_end);
