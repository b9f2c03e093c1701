//! What MHA's own tests begin with: a primary with four replicas, all on this machine, an `app1.cnf`,
//! and the commands. As there, no replica is read-only unless a scenario makes it so.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, Sshds, cluster, eventually};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_primacy");

/// More than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The primary.
pub(crate) const M: &str = "s1";
/// Its replicas. The first one is a candidate, as the primary itself is.
pub(crate) const S1: &str = "s2";
pub(crate) const S2: &str = "s3";
pub(crate) const S3: &str = "s4";
pub(crate) const S4: &str = "s5";
pub(crate) const ALL: [&str; 5] = [M, S1, S2, S3, S4];
pub(crate) const SLAVES: [&str; 4] = [S1, S2, S3, S4];

const COUNT: &str = "SELECT COUNT(*) FROM app.t1";

/// What a run of a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    /// What the application's log has.
    pub(crate) log: String,
}

impl Ran {
    #[track_caller]
    fn failed(&self, wanted: &str) -> ! {
        panic!("{wanted}, but {:?}:\n{}\n{}\n{}", self.code, self.out, self.err, self.log)
    }

    /// It ended with 0.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> &Self {
        if self.code != Some(0) {
            self.failed("0 is wanted");
        }
        self
    }

    /// It ended with 1, and said this somewhere.
    #[track_caller]
    pub(crate) fn is_refused(&self, said: &str) -> &Self {
        self.ends(1, said)
    }

    /// It ended so, and said this somewhere.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32, said: &str) -> &Self {
        if self.code != Some(code) {
            self.failed(&format!("{code} is wanted"));
        }
        if ![&self.out, &self.err, &self.log].iter().any(|text| text.contains(said)) {
            self.failed(&format!("{said:?} is wanted"));
        }
        self
    }
}

/// An account as a configuration names it.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// The five servers and the application's files.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    /// Without it hosts are not reached.
    sshds: Option<Sshds>,
    /// Whether commands begin with a login everywhere. It takes long on a busy machine.
    pub(crate) ssh_is_checked: bool,
    by_place: bool,
    pub(crate) admin: Login,
    replica: Login,
}

impl Site {
    /// One row everywhere. MySQL 5.6 replicates by file and position, as MHA's tests do by default. Hosts
    /// are not reached over ssh, and nobody asks for it.
    pub(crate) async fn up(server: &str) -> Self {
        Self::with(server, 4, &[], None).await
    }

    /// The same with so many replicas.
    pub(crate) async fn of(server: &str, replicas: u8) -> Self {
        Self::with(server, replicas, &[], None).await
    }

    /// The same with a way to the hosts; `None`, and said so, where there is no sshd.
    pub(crate) async fn over_ssh(server: &str) -> Option<Self> {
        Self::over_ssh_with(server, &["relay_log_purge = OFF"]).await
    }

    /// The same with lines for the option files of the servers.
    pub(crate) async fn over_ssh_with(server: &str, options: &[&str]) -> Option<Self> {
        let sshds = Sshds::on_loopback()?;
        Some(Self::with(server, 4, options, Some(sshds)).await)
    }

    async fn with(server: &str, replicas: u8, options: &[&str], sshds: Option<Sshds>) -> Self {
        let by_place = server == "mysql-5.6";
        let mut builder = cluster(server).replicas(replicas);
        for option in options {
            builder = builder.option(option);
        }
        if by_place {
            builder = builder.without_gtid();
        }
        let cluster = builder.up().await;
        let login = |role| {
            let account = cluster.sandbox().info().account(role).unwrap();
            Login { user: account.user.clone(), password: account.password.clone() }
        };
        let (admin, replica) = (login(AccountRole::Manager), login(AccountRole::Replication));
        let site = Self { cluster, sshds, ssh_is_checked: false, by_place, admin, replica };
        fs::create_dir(site.workdir()).unwrap();
        site.configure("app1.cnf", &site.names(), "");
        let create = "CREATE TABLE app.t1 (id INT PRIMARY KEY, v VARCHAR(99)) ENGINE=InnoDB";
        site.cluster.sql(M, create).await;
        site.insert(M, 1).await;
        site.have(1, &site.names()).await;
        for slave in site.slaves() {
            site.set_read_only(slave, false).await;
        }
        site
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        ALL[..self.cluster.names().len()].to_vec()
    }

    pub(crate) fn slaves(&self) -> Vec<&'static str> {
        self.names()[1..].to_vec()
    }

    pub(crate) fn workdir(&self) -> PathBuf {
        self.cluster.place().join("mha")
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.workdir().join(name)
    }

    /// Other accounts than those of the sandbox, made on every server with these names and passwords.
    pub(crate) async fn use_accounts(&mut self, admin: Login, replica: Login) {
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        for (login, rights) in [(&admin, "ALL"), (&replica, "REPLICATION SLAVE")] {
            let who = format!("{}@'%'", quoted(&login.user));
            let with = match login.password.is_empty() {
                true => String::new(),
                false => format!(" IDENTIFIED BY {}", quoted(&login.password)),
            };
            // Each by itself: MySQL 5.6 replicates an empty password as one that is none.
            for server in self.names() {
                self.here_only(server, &format!("CREATE USER {who}{with}")).await;
                let grant = format!("GRANT {rights} ON *.* TO {who} WITH GRANT OPTION");
                self.here_only(server, &grant).await;
            }
        }
        (self.admin, self.replica) = (admin, replica);
        self.configure("app1.cnf", &self.names(), "");
    }

    /// Writes a configuration with these servers and further lines for `[server default]`.
    pub(crate) fn configure(&self, file: &str, servers: &[&str], lines: &str) {
        self.configure_each(file, servers, lines, &[]);
    }

    /// The same with lines for the blocks of servers.
    pub(crate) fn configure_each(
        &self,
        file: &str,
        servers: &[&str],
        lines: &str,
        each: &[(&str, &str)],
    ) {
        let workdir = self.workdir();
        let mut text = format!(
            "[server default]\nuser={}\npassword={}\nrepl_user={}\nrepl_password={}\n\
             ssh_user=root\nmanager_workdir={}\nmanager_log={}\n{lines}\n",
            self.admin.user,
            self.admin.password,
            self.replica.user,
            self.replica.password,
            workdir.display(),
            self.at("app1.log").display(),
        );
        match &self.sshds {
            Some(sshds) => text.push_str(&format!("ssh_options=-F {}\n", sshds.config())),
            // Nobody listens there.
            None => text.push_str("ssh_port=1\n"),
        }
        for name in servers {
            let address = self.cluster.address(name);
            let (host, port) = (address.host(), address.port());
            let logs = self.cluster.server(name).datadir.display();
            text.push_str(&format!(
                "\n[server_{name}]\nhostname={host}\nport={port}\nmaster_binlog_dir=/nowhere,{logs}\n"
            ));
            if [M, S1].contains(name) {
                text.push_str("candidate_master=1\n");
            }
            for (_, line) in each.iter().filter(|(of, _)| of == name) {
                text.push_str(&format!("{line}\n"));
            }
        }
        fs::write(self.at(file), text).unwrap();
    }

    /// A script for a shell; its path.
    pub(crate) fn script(&self, name: &str, text: &str) -> String {
        let path = self.at(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// The way in, for commands that take ssh's options themselves.
    pub(crate) fn ssh_options(&self) -> String {
        let config = self.sshds.as_ref().map(Sshds::config);
        format!("-F {}", config.unwrap_or_default())
    }

    pub(crate) fn ssh_port(&self) -> u16 {
        self.sshds.as_ref().map_or(22, Sshds::port)
    }

    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["mha", name])
            .args(words)
            // Where a scenario puts programs of its own.
            .env("PATH", format!("{}:{path}", self.at("bin").display()))
            .env_remove("PRIMACY_CONFIG")
            .env_remove("PRIMACY_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end; its questions are not answered.
    pub(crate) async fn run(&self, name: &str, words: &[&str]) -> Ran {
        let child = self.command(name, words).spawn().unwrap();
        self.end_of(child).await
    }

    async fn end_of(&self, mut child: Child) -> Ran {
        let done = tokio::task::spawn_blocking(move || {
            let mut input = child.stdin.take().unwrap();
            let _unread = input.write_all(b"");
            drop(input);
            child.wait_with_output().unwrap()
        });
        let output = done.await.unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let log = fs::read_to_string(self.at("app1.log")).unwrap_or_default();
        let ran = Ran {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
            log,
        };
        for password in [&self.admin.password, &self.replica.password] {
            let shown = [&ran.out, &ran.err, &ran.log].iter().any(|text| text.contains(password));
            assert!(!shown || password.is_empty(), "a password is shown: {ran:#?}");
        }
        ran
    }

    fn words(&self, conf: &str, more: &[&str]) -> Vec<String> {
        let mut words = vec![
            format!("--conf={}", self.at(conf).display()),
            "--global_conf=/dev/null".to_owned(),
        ];
        if !self.ssh_is_checked {
            words.push("--skip_check_ssh".to_owned());
        }
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    async fn on(&self, name: &str, conf: &str, more: &[&str]) -> Ran {
        let words = self.words(conf, more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.run(name, &words).await
    }

    pub(crate) async fn check_repl(&self, conf: &str, more: &[&str]) -> Ran {
        self.on("masterha_check_repl", conf, more).await
    }

    /// A manager, to its end: the primary is dead already, or something stands against watching it.
    pub(crate) async fn manager(&self, conf: &str, more: &[&str]) -> Ran {
        self.on("masterha_manager", conf, more).await
    }

    /// A manager that watches the primary.
    pub(crate) async fn watching(&self, more: &[&str]) -> Manager {
        let words = self.words("app1.cnf", more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let child = self.command("masterha_manager", &words).spawn().unwrap();
        let mut manager = Manager { child: Some(child) };
        let status = self.at("app1.master_status.health");
        eventually(LONG, "the manager watches", async || {
            let ended = manager.child.as_mut().and_then(|child| child.try_wait().unwrap());
            let log = || fs::read_to_string(self.at("app1.log")).unwrap_or_default();
            assert!(ended.is_none(), "the manager ended ({ended:?}):\n{}", log());
            fs::read_to_string(&status).unwrap_or_default().contains("0:PING_OK")
        })
        .await;
        manager
    }

    /// The end of a manager that watched.
    pub(crate) async fn ended(&self, mut manager: Manager) -> Ran {
        self.end_of(manager.child.take().unwrap()).await
    }

    /// A planned switch that nobody is asked about.
    pub(crate) async fn online(&self, conf: &str, more: &[&str]) -> Ran {
        let words = [&["--master_state=alive", "--interactive=0"], more].concat();
        // An option of the manager's alone.
        let words: Vec<String> =
            self.words(conf, &words).into_iter().filter(|w| w != "--skip_check_ssh").collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.run("masterha_master_switch", &words).await
    }

    /// A failover by hand that nobody is asked about.
    pub(crate) async fn fail_over(&self, conf: &str, dead: &str, more: &[&str]) -> Ran {
        let address = self.cluster.address(dead);
        let host = format!("--dead_master_host={}", address.host());
        let port = format!("--dead_master_port={}", address.port());
        let words = [&["--master_state=dead", "--interactive=0", &host, &port], more].concat();
        self.on("masterha_master_switch", conf, &words).await
    }

    pub(crate) async fn insert(&self, server: &str, id: u32) {
        self.cluster.sql(server, &format!("INSERT INTO app.t1 VALUES ({id}, 'row')")).await;
    }

    /// Rows with these numbers, each in a transaction of its own.
    pub(crate) async fn insert_all(&self, server: &str, ids: std::ops::RangeInclusive<u32>) {
        let mut root = self.cluster.root(server).await;
        for id in ids {
            let sql = format!("INSERT INTO app.t1 VALUES ({id}, 'row')");
            root.execute(&sql, LONG).await.unwrap();
        }
        root.close().await;
    }

    /// A row that replication does not know of.
    pub(crate) async fn insert_here_only(&self, server: &str, id: u32) {
        self.here_only(server, &format!("INSERT INTO app.t1 VALUES ({id}, 'mine')")).await;
    }

    /// A statement that replication does not know of.
    pub(crate) async fn here_only(&self, server: &str, sql: &str) {
        let mut root = self.cluster.root(server).await;
        root.execute("SET SESSION sql_log_bin = 0", LONG).await.unwrap();
        root.execute(sql, LONG).await.unwrap();
        root.close().await;
    }

    pub(crate) async fn rows(&self, server: &str) -> Option<u32> {
        self.cluster.cell(server, COUNT).await?.parse().ok()
    }

    /// Waits until all these have so many rows.
    pub(crate) async fn have(&self, rows: u32, servers: &[&str]) {
        for server in servers {
            let mut found = None;
            for _ in 0..1200 {
                found = self.rows(server).await;
                if found == Some(rows) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let log = || fs::read_to_string(self.at("app1.log")).unwrap_or_default();
            assert_eq!(found, Some(rows), "rows of {server}\n{}", log());
        }
    }

    /// Every replica has applied what its source has.
    pub(crate) async fn settle(&self) {
        let mut id = 900_000;
        let marker = |id| format!("CREATE DATABASE m{id}");
        while self.cluster.cell(M, &format!("SHOW DATABASES LIKE 'm{id}'")).await.is_some() {
            id += 1;
        }
        self.cluster.sql(M, &marker(id)).await;
        for slave in self.slaves() {
            eventually(LONG, "everything is applied", async || {
                self.cluster.cell(slave, &format!("SHOW DATABASES LIKE 'm{id}'")).await.is_some()
            })
            .await;
        }
    }

    pub(crate) async fn set_read_only(&self, server: &str, on: bool) {
        let value = u8::from(on);
        self.cluster.sql(server, &format!("SET GLOBAL read_only = {value}")).await;
    }

    pub(crate) async fn is_read_only(&self, server: &str) -> bool {
        !self.cluster.is_writable(server).await
    }

    pub(crate) async fn source_of(&self, server: &str) -> Option<&'static str> {
        let source = self.cluster.source_of(server).await?;
        ALL.into_iter().find(|name| *name == source)
    }

    /// These replicas are configured to read from `source`, whether they can or not.
    pub(crate) async fn are_on(&self, slaves: &[&str], source: &str) {
        for slave in slaves {
            assert_eq!(self.source_of(slave).await, Some(source), "the source of {slave}");
        }
    }

    /// This one is the primary now, and it is seen that its rows arrive at these.
    pub(crate) async fn serves(&self, master: &str, slaves: &[&str], rows: u32) {
        self.have(rows, &[master]).await;
        self.have(rows, slaves).await;
        assert!(self.cluster.is_writable(master).await, "{master} is read-only");
        self.cluster.all_replicate(slaves, master).await;
    }

    /// Nothing was done: everybody follows the primary as before.
    pub(crate) async fn is_untouched(&self) {
        assert!(self.cluster.is_writable(M).await);
        self.cluster.all_replicate(&self.slaves(), M).await;
    }

    pub(crate) async fn stop_slave(&self, slave: &str) {
        self.cluster.say(slave, "STOP SLAVE", "STOP REPLICA").await;
    }

    pub(crate) async fn start_slave(&self, slave: &str) {
        self.cluster.say(slave, "START SLAVE", "START REPLICA").await;
    }

    pub(crate) async fn stop_receiver(&self, slave: &str) {
        self.cluster.say(slave, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    }

    pub(crate) async fn forget_source(&self, slave: &str) {
        self.stop_slave(slave).await;
        self.cluster.say(slave, "RESET SLAVE ALL", "RESET REPLICA ALL").await;
    }

    /// Makes a server read from another one, from where that stands now; both have the same.
    pub(crate) async fn point(&self, server: &str, source: &str) {
        if self.source_of(server).await.is_some() {
            self.stop_slave(server).await;
        }
        let address = self.cluster.address(source);
        let Login { user, password } = &self.replica;
        let (word, noun) = match self.cluster.speaks_old() {
            true => ("MASTER", "MASTER"),
            false => ("REPLICATION SOURCE", "SOURCE"),
        };
        let mut sql = format!(
            "CHANGE {word} TO {noun}_HOST='{}', {noun}_PORT={}, {noun}_USER='{user}', \
             {noun}_PASSWORD='{password}', {noun}_CONNECT_RETRY=1",
            address.host(),
            address.port()
        );
        if self.by_place {
            let rows = self.cluster.sql(source, "SHOW MASTER STATUS").await;
            let row = rows.first().unwrap();
            let (file, place) = (row.at(0).unwrap(), row.at(1).unwrap());
            sql.push_str(&format!(", MASTER_LOG_FILE='{file}', MASTER_LOG_POS={place}"));
        } else if self.cluster.is_mariadb() {
            let here = "SET GLOBAL gtid_slave_pos = @@global.gtid_binlog_pos";
            if self.cluster.cell(server, "SELECT @@global.gtid_slave_pos").await.as_deref()
                == Some("")
            {
                self.cluster.sql(server, here).await;
            }
            sql.push_str(", MASTER_USE_GTID=slave_pos");
        } else {
            sql.push_str(", SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1");
        }
        self.cluster.sql(server, &sql).await;
        self.start_slave(server).await;
        self.cluster.all_replicate(&[server], source).await;
    }
}

/// A manager in the background; killed when dropped.
pub(crate) struct Manager {
    child: Option<Child>,
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
