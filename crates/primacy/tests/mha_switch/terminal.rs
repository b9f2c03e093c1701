//! A person at a real terminal: questions that are answered wrongly, not at all, or with Ctrl-C, and
//! Ctrl-C in the midst of a switch.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use primacy_testkit::{eventually, until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::application::{Application, LONG, PROGRAM};

/// What Ctrl-C and Ctrl-D are to a terminal.
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A command of MHA at a terminal of its own; killed when dropped.
struct Terminal {
    child: Child,
    keys: File,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(app: &Application, command: &str, args: &[&str]) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let line = || OpenOptions::new().read(true).write(true).open(&name).unwrap();
        let keys = File::from(master);
        // A session of its own, whose terminal this is: only so is Ctrl-C a signal.
        let child = Command::new("setsid")
            .args(["--ctty", PROGRAM, "mha", command, "--conf"])
            .arg(app.conf("app1.cnf"))
            .arg("--global_conf=/dev/null")
            .args(args)
            .env_remove("PRIMACY_CONFIG")
            .env_remove("PRIMACY_LOG")
            .stdin(line())
            .stdout(line())
            .stderr(line())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut from, to) = (keys.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            // It fails when nobody has the other end any more.
            while let Ok(count @ 1..) = from.read(&mut some) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&some[..count]));
            }
        });
        Self { child, keys, shown }
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    fn type_in(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    async fn shows(&self, what: &str) {
        let shows = eventually(LONG, what, async || self.shown().contains(what));
        if tokio::time::timeout(LONG * 2 / 3, shows).await.is_err() {
            panic!("no {what:?} in:\n{}", self.shown());
        }
    }

    async fn ends(&mut self) -> Option<i32> {
        until(LONG, "it ends", async || self.child.try_wait().unwrap()).await.code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Application {
    /// Nobody has one of MHA's locks any more.
    async fn locks_are_free(&self, servers: &[&str]) {
        for server in servers {
            for lock in ["Monitor", "Failover"] {
                let sql = format!("SELECT IS_FREE_LOCK('MHA_Master_High_Availability_{lock}')");
                eventually(LONG, "the locks are released", async || {
                    self.cluster.cell(server, &sql).await.as_deref() == Some("1")
                })
                .await;
            }
        }
    }

    /// What a person does at each question, and what is shown before the end with 1.
    async fn is_given_up(&self, args: &[&str], cases: &[(&[(&str, &str)], &str)]) {
        for (answers, said) in cases {
            let mut terminal = Terminal::start(self, "masterha_master_switch", args);
            for (question, keys) in *answers {
                terminal.shows(question).await;
                terminal.type_in(keys);
            }
            terminal.shows(said).await;
            let code = terminal.ends().await;
            assert_eq!(code, Some(1), "{answers:?}: {}", terminal.shown());
            for (_, password) in self.cluster.passwords() {
                assert!(!terminal.shown().contains(&password), "a password on the screen");
            }
        }
    }
}

const START: &str = "Start the switch? (yes/NO): ";
const DEAD: &str = "Is it dead, and to be replaced? (yes/NO): ";
const FAIL_OVER: &str = "Start the failover? (yes/NO): ";
const WHO: &str = "nothing ends it)? ";
const NOBODY: &str = "no other server was named, so nothing was done";
const UNANSWERED: &str = "the input ended without an answer, so nothing was done";
const INTERRUPTED: &str = "SIGINT: ended; nothing was done";

/// Whatever is answered but a plain yes: nothing is touched, all locks are released, and it ends with 1.
async fn a_question_that_is_not_answered_with_yes_changes_nothing(server: &str) {
    let app = Application::up(server).await;
    let words = ["--master_state=alive"];
    app.is_given_up(
        &words,
        &[
            (&[(START, CTRL_C)], INTERRUPTED),
            (&[(START, CTRL_D)], UNANSWERED),
            (&[(START, "yess\r"), (WHO, "\r")], NOBODY),
            (&[(START, "no\r"), (WHO, CTRL_C)], INTERRUPTED),
            (&[(START, "no\r"), (WHO, "nowhere\r"), ("is no server of", CTRL_D)], UNANSWERED),
        ],
    )
    .await;
    app.is_untouched().await;
    app.locks_are_free(&["s1", "s2", "s3"]).await;
    // It is not the terminal that keeps it from being done: a signal at the question, and a yes.
    let mut terminal = Terminal::start(&app, "masterha_master_switch", &words);
    terminal.shows(START).await;
    let pid = i32::try_from(terminal.child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(terminal.ends().await, Some(1), "{}", terminal.shown());
    app.is_untouched().await;

    app.cluster.kill("s1").await;
    let dead = app.dead("s1");
    let dead: Vec<&str> = dead.iter().map(String::as_str).collect();
    app.is_given_up(
        &dead,
        &[
            (&[(DEAD, CTRL_C)], INTERRUPTED),
            (&[(DEAD, CTRL_D)], UNANSWERED),
            (&[(DEAD, "maybe\r")], "not agreed to, so nothing was done"),
            (&[(DEAD, "yes\r"), (FAIL_OVER, CTRL_C)], INTERRUPTED),
            (&[(DEAD, "yes\r"), (FAIL_OVER, CTRL_D)], UNANSWERED),
            (&[(DEAD, "yes\r"), (FAIL_OVER, "no\r"), (WHO, CTRL_C)], INTERRUPTED),
            (&[(DEAD, "yes\r"), (FAIL_OVER, "no\r"), (WHO, "\r")], NOBODY),
        ],
    )
    .await;
    assert!(app.cluster.writable().await.is_empty(), "nobody was promoted");
    for replica in ["s2", "s3"] {
        assert_eq!(app.cluster.source_of(replica).await.as_deref(), Some("s1"));
    }
    app.locks_are_free(&["s2", "s3"]).await;
    for flag in ["app1.failover.complete", "app1.failover.error"] {
        assert!(!app.conf(flag).exists(), "{flag}");
    }
    // The monitor asks as well, and leaves no status file behind.
    let mut terminal = Terminal::start(&app, "masterha_master_monitor", &["--skip_check_ssh"]);
    let log = app.workdir().join("app1.log");
    terminal.shows("Is that what is to be reported? (yes/NO): ").await;
    terminal.type_in(CTRL_C);
    let code = terminal.ends().await;
    assert_eq!(code, Some(1), "{}\n{:?}", terminal.shown(), fs::read_to_string(log));
    assert!(!app.conf("app1.master_status.health").exists());
}

/// Scripts that wait, so that a signal comes in the midst of it: what was begun is finished.
async fn what_was_begun_is_finished_after_ctrl_c(server: &str) {
    let app = Application::up(server).await;
    let (called, go_on) = (app.conf("called"), app.conf("go-on"));
    let text = format!(
        "touch {}\nwhile [ ! -e {} ]; do sleep 0.05; done\n",
        called.display(),
        go_on.display()
    );
    let script = app.script("script", &text);
    let lines = format!("master_ip_online_change_script={script}\n");
    app.configure_with("app1.cnf", &["s1", "s2", "s3"], &lines);
    let is_called = async || {
        eventually(LONG, "the script is called", async || called.exists()).await;
    };
    let words = ["--master_state=alive", "--interactive=0", "--orig_master_is_new_slave"];

    // Once: it is finished.
    let mut terminal = Terminal::start(&app, "masterha_master_switch", &words);
    is_called().await;
    terminal.type_in(CTRL_C);
    terminal.shows("it is under way and will be finished or put back").await;
    assert!(terminal.child.try_wait().unwrap().is_none());
    fs::write(&go_on, "").unwrap();
    assert_eq!(terminal.ends().await, Some(0), "{}", terminal.shown());
    app.cluster.is_whole("s2").await;
    app.locks_are_free(&["s1", "s2", "s3"]).await;

    // Twice: the waiting ends, and the next manager puts everything back.
    for file in [&called, &go_on] {
        fs::remove_file(file).unwrap();
    }
    let mut terminal = Terminal::start(&app, "masterha_master_switch", &words);
    is_called().await;
    terminal.type_in(CTRL_C);
    terminal.shows("it is under way and will be finished or put back").await;
    terminal.type_in(CTRL_C);
    assert_eq!(terminal.ends().await, Some(1), "{}", terminal.shown());
    terminal.shows("start masterha_manager").await;
    app.locks_are_free(&["s1", "s2", "s3"]).await;
    fs::write(&go_on, "").unwrap();
    let manager = Terminal::start(&app, "masterha_manager", &["--skip_check_ssh"]);
    eventually(LONG, "one of them is the primary, and all others follow it", async || {
        let writable = app.cluster.writable().await;
        let [primary] = writable.as_slice() else { return false };
        let mut follow = true;
        for server in ["s1", "s2", "s3"].into_iter().filter(|server| server != primary) {
            follow &= app.cluster.source_of(server).await.as_ref() == Some(primary);
        }
        follow
    })
    .await;
    let status = app.conf("app1.master_status.health");
    eventually(LONG, "it watches", async || {
        fs::read_to_string(&status).unwrap_or_default().contains("PING_OK")
    })
    .await;

    // A manager that only watches ends at Ctrl-C, and nothing of it is left.
    let mut manager = manager;
    manager.type_in(CTRL_C);
    let log = fs::read_to_string(app.conf("app1.log")).unwrap_or_default();
    assert_eq!(manager.ends().await, Some(1), "{log}");
    assert!(!status.exists());
    app.locks_are_free(&["s1", "s2", "s3"]).await;
}

/// A manager that is ended in the midst of a failover: the next one finishes it.
async fn a_failover_whose_manager_is_ended_is_finished_by_the_next(server: &str) {
    let app = Application::up(server).await;
    let (called, go_on) = (app.conf("called"), app.conf("go-on"));
    let text = format!(
        "case \"$*\" in *--command=start*) touch {}\nwhile [ ! -e {} ]; do sleep 0.05; done;; esac\n",
        called.display(),
        go_on.display()
    );
    let script = app.script("script", &text);
    let lines = format!("master_ip_failover_script={script}\n");
    app.configure_with("app1.cnf", &["s1", "s2", "s3"], &lines);
    let status = app.conf("app1.master_status.health");
    let log = || fs::read_to_string(app.conf("app1.log")).unwrap_or_default();
    let mut manager = Terminal::start(&app, "masterha_manager", &["--skip_check_ssh"]);
    eventually(LONG, "it watches", async || {
        fs::read_to_string(&status).unwrap_or_default().contains("PING_OK")
    })
    .await;
    app.cluster.kill("s1").await;
    eventually(LONG, "the script is called", async || called.exists()).await;
    assert!(app.cluster.writable().await.is_empty());
    manager.type_in(CTRL_C);
    eventually(LONG, "it heard it", async || log().contains("Got SIGINT")).await;
    // What is under way is waited for, and goes on as soon as it can.
    fs::write(&go_on, "").unwrap();
    assert_eq!(manager.ends().await, Some(1), "{}", log());
    assert!(!status.exists());
    app.locks_are_free(&["s2", "s3"]).await;
    let next =
        Terminal::start(&app, "masterha_manager", &["--skip_check_ssh", "--ignore_fail_on_start"]);
    eventually(LONG, "s2 is the primary, and s3 follows it", async || {
        app.cluster.writable().await == ["s2"]
            && app.cluster.source_of("s3").await.as_deref() == Some("s2")
    })
    .await;
    drop(next);
}

primacy_testkit::on_servers!(
    [mariadb_10_11],
    [],
    a_question_that_is_not_answered_with_yes_changes_nothing,
    what_was_begun_is_finished_after_ctrl_c,
    a_failover_whose_manager_is_ended_is_finished_by_the_next
);
