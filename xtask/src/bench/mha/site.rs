//! What both managers find: hosts with sshd, the application's file, its scripts, and the programs.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, bail};
use primacy_sandbox::AccountRole;
use primacy_testkit::{Cluster, Net, Sshds};

use super::{MANAGER, Who};

/// What lets MHA run here; see its first lines.
const CURRENT_PERL: &str = include_str!("CurrentPerl.pm");
/// Where the system's programs are.
const SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// MHA's manager, as its package installs it.
const MHA: &str = "/usr/bin/masterha_manager";
/// MHA calls MariaDB's `mariadb-binlog` by its old name, which not every package has.
const BINLOG: &str = "/usr/bin/mariadb-binlog";

/// A folder with everything but the clusters, and an sshd on each of their hosts.
pub(super) struct Site {
    folder: tempfile::TempDir,
    primacy: PathBuf,
    sshds: Sshds,
    runs: AtomicU32,
}

impl Site {
    pub(super) fn new(primacy: &Path, net: &Net) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("ptmha").tempdir()?;
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "perl", "links"] {
            fs::create_dir(at(name))?;
        }
        fs::write(at("perl/CurrentPerl.pm"), CURRENT_PERL)?;
        symlink(BINLOG, at("bin/mysqlbinlog"))?;
        fs::write(at("bin/no_address"), "#!/bin/sh\nexit 0\n")?;
        fs::set_permissions(at("bin/no_address"), fs::Permissions::from_mode(0o755))?;
        let links = at("links").display().to_string();
        answer(Command::new(primacy).args(["install-mha-links", &links]))?;
        // scp has to have a subsystem for files since OpenSSH 9.
        let variables = environment(folder.path());
        let sshds = Sshds::start_with(net, MANAGER, "Subsystem sftp internal-sftp\n", &variables)
            .context("there is no sshd")?;
        Ok(Self { folder, primacy: primacy.to_owned(), sshds, runs: AtomicU32::new(0) })
    }

    /// Starts a manager with a folder of its own, and does not wait.
    pub(super) async fn start(
        &self,
        who: Who,
        cluster: &Cluster,
        line: &str,
        net: &Net,
    ) -> anyhow::Result<Running> {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(format!("run{number}"));
        fs::create_dir(&folder)?;
        let conf = folder.join("app1.cnf");
        fs::write(&conf, self.configuration(&folder, cluster, line).await?)?;
        fs::set_permissions(&conf, fs::Permissions::from_mode(0o600))?;
        let program = match who {
            Who::Mha => PathBuf::from(MHA),
            Who::Primacy => self.folder.path().join("links/masterha_manager"),
        };
        let output = File::create(folder.join("output"))?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &net.host(MANAGER).namespace]).arg(program);
        command.arg(format!("--conf={}", conf.display()));
        command.envs(environment(self.folder.path()));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().context("the manager was not started")?;
        Ok(Running { child, folder })
    }

    /// The application's file, the same for both.
    async fn configuration(
        &self,
        folder: &Path,
        cluster: &Cluster,
        line: &str,
    ) -> anyhow::Result<String> {
        let info = cluster.sandbox().info();
        let admin = info.account(AccountRole::Manager)?;
        let replication = info.account(AccountRole::Replication)?;
        // MHA wants all of it.
        let grant = format!("GRANT ALL ON *.* TO '{}'@'%' WITH GRANT OPTION", admin.user);
        cluster.sql("s1", &grant).await;
        let mut text = format!(
            "[server default]\nmanager_workdir={folder}\nmanager_log={folder}/manager.log\n\
             user={}\npassword={}\nrepl_user={}\nrepl_password={}\nssh_user=root\n\
             ssh_options={}\nmaster_ip_failover_script={}\n{line}",
            admin.user,
            admin.password,
            replication.user,
            replication.password,
            self.sshds.option(),
            self.folder.path().join("bin/no_address").display(),
            folder = folder.display(),
        );
        for (number, server) in info.servers.iter().enumerate() {
            let files = folder.join(&server.name);
            fs::create_dir(&files)?;
            text.push_str(&format!(
                "\n[server{}]\nhostname={}\nport={}\nmaster_binlog_dir={}\nremote_workdir={}\n",
                number + 1,
                server.address.host(),
                server.address.port(),
                server.datadir.display(),
                files.display(),
            ));
        }
        Ok(text)
    }

    /// What is measured, in one line.
    pub(super) fn versions(&self) -> anyhow::Result<String> {
        let package = answer(Command::new("dpkg-query").args([
            "--show",
            "--showformat=${Package} ${Version}",
            "mha4mysql-manager",
        ]));
        let mha = match package {
            Ok(package) => format!("Debian's {package}"),
            Err(_) => answer(Command::new(MHA).arg("--version"))?,
        };
        let perl = answer(Command::new("perl").args(["-e", "printf 'Perl %vd', $^V"]))?;
        let ours = answer(Command::new(&self.primacy).arg("--version"))?;
        Ok(format!("{mha} ({perl}), and {ours}"))
    }
}

/// What programs find on every host, whoever starts them.
fn environment(folder: &Path) -> [(&'static str, String); 2] {
    let folder = folder.display();
    [
        ("PATH", format!("{folder}/bin:{SYSTEM}")),
        ("PERL5OPT", format!("-I{folder}/perl -MCurrentPerl")),
    ]
}

/// What a program that ends at once prints.
#[expect(clippy::disallowed_methods, reason = "each prints a line and ends")]
fn answer(command: &mut Command) -> anyhow::Result<String> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{shown} was not started"))?;
    if !output.status.success() {
        bail!("{shown}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A manager; killed when dropped.
pub(super) struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    /// Whether its status file says so.
    pub(super) fn is_watching(&self) -> bool {
        let status = fs::read_to_string(self.folder.join("app1.master_status.health"));
        status.is_ok_and(|text| text.contains("0:PING_OK"))
    }

    /// With what it has ended, if it has.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The end of its log.
    pub(super) fn log(&self) -> String {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// What its log says first about why it does not go on.
    pub(super) fn first_error(&self) -> String {
        let text = self.text();
        let error = text.lines().find_map(|line| line.split_once("[error]"));
        error.map_or_else(|| self.log(), |(_, error)| error.trim().to_owned())
    }

    fn text(&self) -> String {
        let read = |name| fs::read(self.folder.join(name)).unwrap_or_default();
        let all = [read("output"), read("manager.log")].concat();
        String::from_utf8_lossy(&all).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
