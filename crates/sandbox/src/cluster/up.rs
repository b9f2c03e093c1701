//! Making a sandbox: folder, servers in parallel, replication, and the files for Primacy.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::User;
use primacy_types::Address;
use tokio::task::{JoinSet, spawn_blocking};

use super::{OURS, Sandbox, launch};
use crate::info::{AccountRole, Role, SandboxInfo, ServerInfo, UpOptions};
use crate::installation::{Installation, find_installation};
use crate::mycnf::{Certificates, option_file};
use crate::registry::Registry;
use crate::{Error, Result, accounts, places, ports, replication, template, tls};

/// The longest path that a Unix socket can have (`sun_path`, less the final zero).
const SOCKET_PATH_LIMIT: usize = 107;

/// Everything that the steps need, decided before the first server is touched.
struct Plan {
    options: UpOptions,
    installation: Installation,
    info: SandboxInfo,
    template: PathBuf,
    user: Option<User>,
}

pub(super) async fn up(options: UpOptions) -> Result<Sandbox> {
    options.check()?;
    let plan = Arc::new(blocking(move || prepare(options)).await?);
    let sandbox = Sandbox { info: plan.info.clone() };
    match build(&plan).await {
        Ok(()) => Ok(sandbox),
        Err(error) => {
            if let Err(other) = sandbox.down().await {
                tracing::warn!(error = %other, "what is left of the sandbox was not removed");
            }
            Err(error)
        }
    }
}

/// Finds the server, takes name and ports, makes the folder. From here on `down` can undo it.
fn prepare(options: UpOptions) -> Result<Plan> {
    let installation = find_installation(options.server.as_deref())?;
    check_server(&options, &installation)?;
    let template = template::template(&installation)?;
    let registry = Registry::open()?;
    if let Some(dir) = registry.find(&options.name) {
        return Err(Error::refused(
            format!("there is a sandbox called {} already, in {}", options.name, dir.display()),
            "take it down first, or choose another name",
        ));
    }
    let dir = std::path::absolute(&options.dir).map_err(Error::file("find", &options.dir))?;
    let empty = || fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none());
    if dir.exists() && !empty() {
        return Err(Error::refused(
            format!("{} exists and is not empty", dir.display()),
            "choose another folder with --dir",
        ));
    }
    let base_port = choose_ports(&options, &registry)?;
    places::make_dir(&dir, 0o711)?;
    places::write_private(&dir.join(OURS), "`primacy sandbox down` removes this folder.\n")?;
    let user = places::service_user(&[&installation.root, &dir]);
    let servers = (0..options.servers()).map(|i| server(&options, &dir, base_port, i)).collect();
    let info = SandboxInfo {
        name: options.name.clone(),
        dir: dir.clone(),
        installation: installation.name.clone(),
        version: installation.version,
        gtid: options.gtid,
        semi_sync: options.semi_sync,
        semi_sync_wait_count: options.semi_sync_wait_count,
        tls_ca: options.tls.then(|| dir.join("tls/ca.pem")),
        servers,
        accounts: accounts::new_accounts(),
        config: dir.join("primacy.toml"),
    };
    info.write()?;
    registry.add(&info)?;
    Ok(Plan { options, installation, info, template, user })
}

fn check_server(options: &UpOptions, installation: &Installation) -> Result<()> {
    let Installation { name, version, .. } = installation;
    if options.semi_sync && !installation.has_semisync {
        return Err(Error::refused(
            format!("{name} came without its semi-sync plugin"),
            "choose another server, or go without --semi-sync",
        ));
    }
    if options.semi_sync && options.semi_sync_wait_count > 1 && version.is_mariadb() {
        return Err(Error::refused(
            "MariaDB waits for one acknowledgement only",
            "use a wait count of 1, or MySQL",
        ));
    }
    if options.tls && version.is_mysql() && !version.at_least(5, 7, 0) {
        return Err(Error::refused(
            format!("{name} knows only TLS versions that are given up"),
            "go without --tls",
        ));
    }
    let socket = socket_of(&std::path::absolute(&options.dir).unwrap_or_default(), "s99");
    if socket.as_os_str().len() > SOCKET_PATH_LIMIT {
        return Err(Error::refused(
            format!("the path {} is too long for a socket", socket.display()),
            "choose a shorter folder with --dir",
        ));
    }
    Ok(())
}

fn choose_ports(options: &UpOptions, registry: &Registry) -> Result<u16> {
    let count = u16::from(options.replicas) + 1;
    let Some(base) = options.base_port else {
        // In namespaces or on several hosts a port is looked for at the first one's.
        let host = if options.netns.is_some() { "127.0.0.1" } else { &options.host };
        return ports::free_ports(host, count, &registry.ports()?);
    };
    for i in 0..count {
        let host = options.hosts.get(usize::from(i)).unwrap_or(&options.host);
        let free = options.netns.is_some() || ports::is_free(host, base.saturating_add(i));
        if base.checked_add(i).is_none() || !free {
            return Err(Error::refused(
                format!("port {} at {host} cannot be used", base.saturating_add(i)),
                "choose another --base-port, or none",
            ));
        }
    }
    Ok(base)
}

fn server(options: &UpOptions, dir: &Path, base_port: u16, i: usize) -> ServerInfo {
    let name = format!("s{}", i + 1);
    let host = options.hosts.get(i).unwrap_or(&options.host);
    let offset = u16::try_from(i).unwrap_or_default();
    let home = dir.join(&name);
    ServerInfo {
        address: Address::new(host, base_port + offset),
        role: if i == 0 { Role::Primary } else { Role::Replica },
        datadir: home.join("data"),
        socket: socket_of(dir, &name),
        pid_file: home.join("mysqld.pid"),
        config_file: home.join("my.cnf"),
        error_log: home.join("error.log"),
        server_id: u32::from(offset) + 1,
        netns: options.netns.as_ref().and_then(|list| list.get(i).cloned()),
        dir: home,
        name,
    }
}

fn socket_of(dir: &Path, server: &str) -> PathBuf {
    dir.join(server).join("mysqld.sock")
}

async fn build(plan: &Arc<Plan>) -> Result<()> {
    let certificates = Arc::new(certificates(plan).await?);
    let mut starts = JoinSet::new();
    for server in plan.info.servers.clone() {
        let (plan, certificates) = (Arc::clone(plan), Arc::clone(&certificates));
        starts.spawn(async move { first_start(plan, server, certificates).await });
    }
    while let Some(started) = starts.join_next().await {
        joined(started)??;
    }
    let (primary, replicas) = plan.info.servers.split_first().ok_or(Error::NoServer)?;
    let mut attached = JoinSet::new();
    for replica in replicas {
        let (plan, primary, replica) = (Arc::clone(plan), primary.clone(), replica.clone());
        attached.spawn(async move { replication::attach(&plan.info, &primary, &replica).await });
    }
    while let Some(done) = attached.join_next().await {
        joined(done)??;
    }
    replication::open(&plan.info, primary).await?;
    write_config(&plan.info)
}

async fn certificates(plan: &Arc<Plan>) -> Result<Option<Certificates>> {
    if !plan.options.tls {
        return Ok(None);
    }
    let plan = Arc::clone(plan);
    let make = move || {
        let dir = plan.info.dir.join("tls");
        let hosts: Vec<_> = plan.info.servers.iter().map(|s| s.address.host().to_owned()).collect();
        let made = tls::make(&dir, &hosts)?;
        plan.user.as_ref().map_or(Ok(()), |user| places::give(&dir, user))?;
        Ok(Some(made))
    };
    blocking(make).await
}

/// Makes a server's folder, and starts it with the SQL that makes the accounts.
async fn first_start(
    plan: Arc<Plan>,
    server: ServerInfo,
    certificates: Arc<Option<Certificates>>,
) -> Result<()> {
    let init_file = server.dir.join("init.sql");
    let prepared = {
        let (plan, server, init_file) = (Arc::clone(&plan), server.clone(), init_file.clone());
        move || make_server(&plan, &server, &init_file, certificates.as_ref().as_ref())
    };
    blocking(prepared).await?;
    let more = [format!("--init-file={}", init_file.display())];
    let process = launch::start(&plan.installation, &server, &more)?;
    launch::wait_until_ready(&plan.info, &server, &process).await?;
    fs::remove_file(&init_file).map_err(Error::file("remove", &init_file))
}

fn make_server(
    plan: &Plan,
    server: &ServerInfo,
    init_file: &Path,
    certificates: Option<&Certificates>,
) -> Result<()> {
    places::make_dir(&server.dir, 0o711)?;
    places::make_dir(&server.dir.join("tmp"), 0o700)?;
    template::copy(&plan.template, &server.datadir)?;
    let sql = accounts::init_sql(plan.installation.version, &plan.info.accounts);
    places::write_private(init_file, &sql)?;
    let user = match &plan.user {
        Some(user) => Some(user.name.as_str()),
        None if nix::unistd::Uid::effective().is_root() => Some("root"),
        None => None,
    };
    let text = option_file(&plan.installation, &plan.options, server, user, certificates);
    places::write_private(&server.config_file, &text)?;
    places::write_private(&server.error_log, "")?;
    plan.user.as_ref().map_or(Ok(()), |user| places::give(&server.dir, user))
}

/// `primacy.toml` with its password files, all private.
fn write_config(info: &SandboxInfo) -> Result<()> {
    let passwords = info.dir.join("passwords");
    places::make_dir(&passwords, 0o700)?;
    places::make_dir(&info.dir.join("state"), 0o700)?;
    for (role, file) in [
        (AccountRole::Manager, "manager"),
        (AccountRole::Replication, "replication"),
        (AccountRole::Application, "application"),
        (AccountRole::Root, "root"),
    ] {
        let text = format!("{}\n", info.account(role)?.password);
        places::write_private(&passwords.join(file), &text)?;
    }
    places::write_private(&info.config, &config_text(info)?)
}

fn config_text(info: &SandboxInfo) -> Result<String> {
    let name = &info.name;
    let servers: Vec<_> = info.servers.iter().map(|s| format!("\"{}\"", s.address)).collect();
    let mut text = format!("[cluster.{name}]\nservers = [{}]\n", servers.join(", "));
    if info.semi_sync {
        let count = info.semi_sync_wait_count;
        text.push_str(&format!("\n[cluster.{name}.policy]\nsemi_sync_wait_count = {count}\n"));
    }
    if info.tls_ca.is_some() {
        // The certificate names every server's host.
        text.push_str(&format!(
            "\n[cluster.{name}.tls]\nmode = \"full\"\nca_file = \"tls/ca.pem\"\n"
        ));
    }
    for (role, file) in
        [(AccountRole::Manager, "manager"), (AccountRole::Replication, "replication")]
    {
        let user = &info.account(role)?.user;
        text.push_str(&format!(
            "\n[cluster.{name}.accounts.{file}]\nuser = \"{user}\"\n\
             password_file = \"passwords/{file}\"\n"
        ));
    }
    text.push_str("\n[manager]\nstate_dir = \"state\"\nsocket = \"state/primacy.sock\"\n");
    Ok(text)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    joined(spawn_blocking(work).await)?
}

fn joined<T>(outcome: std::result::Result<T, tokio::task::JoinError>) -> Result<T> {
    outcome.map_err(|error| Error::refused(format!("a task ended badly: {error}"), "report this"))
}
