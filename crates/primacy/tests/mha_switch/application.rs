//! An application of MHA on three real servers, and its commands.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, cluster, eventually};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_primacy");

/// More than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What a run of a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// It ended so and said this somewhere.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, said: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.out.contains(said) || self.err.contains(said), "no {said:?} in {self:#?}");
    }
}

pub(crate) struct Application {
    pub(crate) cluster: Cluster,
}

impl Application {
    /// Three servers with two rows everywhere. `s2` is the one that is wanted as the next primary.
    pub(crate) async fn up(server: &str) -> Self {
        let cluster = cluster(server).up().await;
        let app = Self { cluster };
        fs::create_dir(app.workdir()).unwrap();
        app.configure("app1.cnf", &["s1", "s2", "s3"]);
        let create = "CREATE TABLE app.t1 (id INT PRIMARY KEY, n INT) ENGINE=InnoDB";
        app.cluster.sql("s1", create).await;
        app.insert("s1", 1).await;
        app.insert("s1", 2).await;
        app.have(2, &["s1", "s2", "s3"]).await;
        app
    }

    pub(crate) fn workdir(&self) -> PathBuf {
        self.cluster.place().join("mha")
    }

    /// Writes a configuration file with these servers.
    pub(crate) fn configure(&self, file: &str, servers: &[&str]) {
        self.configure_with(file, servers, "");
    }

    /// The same with further lines in `[server default]`.
    pub(crate) fn configure_with(&self, file: &str, servers: &[&str], lines: &str) {
        let login = |role| self.cluster.sandbox().info().account(role).unwrap();
        let (manager, replica) = (login(AccountRole::Manager), login(AccountRole::Replication));
        let workdir = self.workdir();
        let mut text = format!(
            "# The application.\n[server default]\nuser={}\npassword={}\nrepl_user={}\n\
             repl_password={}\nssh_user=root\nmanager_workdir={}\nmanager_log={}\n",
            manager.user,
            manager.password,
            replica.user,
            replica.password,
            workdir.display(),
            workdir.join("app1.log").display(),
        );
        text.push_str(lines);
        for name in servers {
            let address = self.cluster.address(name);
            text.push_str(&format!(
                "\n# This is {name}.\n[server{}]\nhostname={}\nport={}\n",
                &name[1..],
                address.host(),
                address.port()
            ));
            if *name == "s2" {
                text.push_str("candidate_master=1\n");
            }
        }
        fs::write(self.conf(file), text).unwrap();
    }

    /// Writes a script for a shell; its path.
    pub(crate) fn script(&self, name: &str, text: &str) -> String {
        let path = self.conf(name);
        fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    pub(crate) fn conf(&self, file: &str) -> PathBuf {
        self.workdir().join(file)
    }

    /// Starts a command of MHA with the application's configuration.
    pub(crate) fn start(&self, command: &str, args: &[&str]) -> Child {
        self.start_with("app1.cnf", command, args)
    }

    fn start_with(&self, conf: &str, command: &str, args: &[&str]) -> Child {
        Command::new(PROGRAM)
            .args(["mha", command, "--conf"])
            .arg(self.conf(conf))
            // No global file of this machine is read.
            .arg("--global_conf=/dev/null")
            .args(args)
            .env_remove("PRIMACY_CONFIG")
            .env_remove("PRIMACY_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs `masterha_master_switch`, answering its questions with these lines.
    pub(crate) async fn switch_with(&self, conf: &str, args: &[&str], answers: &str) -> Ran {
        let child = self.start_with(conf, "masterha_master_switch", args);
        let ran = answered(child, answers.to_owned()).await;
        for (_, password) in self.cluster.passwords() {
            assert!(!ran.out.contains(&password) && !ran.err.contains(&password), "a password");
        }
        ran
    }

    pub(crate) async fn switch(&self, args: &[&str]) -> Ran {
        self.switch_with("app1.cnf", args, "").await
    }

    /// A planned switch that nobody is asked about.
    pub(crate) async fn online(&self, args: &[&str]) -> Ran {
        let all = [&["--master_state=alive", "--interactive=0"], args].concat();
        self.switch(&all).await
    }

    /// The words that call a server dead.
    pub(crate) fn dead(&self, server: &str) -> [String; 3] {
        let address = self.cluster.address(server);
        [
            "--master_state=dead".to_owned(),
            format!("--dead_master_host={}", address.host()),
            format!("--dead_master_port={}", address.port()),
        ]
    }

    /// A failover by hand.
    pub(crate) async fn fail_over(&self, dead: &str, args: &[&str], answers: &str) -> Ran {
        let words = self.dead(dead);
        let all: Vec<&str> = words.iter().map(String::as_str).chain(args.iter().copied()).collect();
        self.switch_with("app1.cnf", &all, answers).await
    }

    pub(crate) async fn insert(&self, server: &str, id: u32) {
        let mut app = self.cluster.app(server).await;
        let sql = format!("INSERT INTO app.t1 VALUES ({id}, 0)");
        app.execute(&sql, LONG).await.unwrap();
    }

    /// Waits until all these have so many rows.
    pub(crate) async fn have(&self, rows: u32, servers: &[&str]) {
        for server in servers {
            let what = format!("{server} has {rows} rows");
            eventually(LONG, &what, async || {
                let found = self.cluster.cell(server, "SELECT COUNT(*) FROM app.t1").await;
                found == Some(rows.to_string())
            })
            .await;
        }
    }

    /// Everything is as it was made.
    pub(crate) async fn is_untouched(&self) {
        assert_eq!(self.cluster.writable().await, ["s1"]);
        self.cluster.all_replicate(&["s2", "s3"], "s1").await;
    }
}

/// Waits for the end of a command whose input is this and then ends.
pub(crate) async fn answered(mut child: Child, answers: String) -> Ran {
    let done = tokio::task::spawn_blocking(move || {
        let mut input = child.stdin.take().unwrap();
        // It may end without having read anything.
        let _unread = input.write_all(answers.as_bytes());
        drop(input);
        child.wait_with_output().unwrap()
    });
    let output = done.await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}
