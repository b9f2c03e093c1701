//! Making replicas of servers: the statements in each version's words, and waiting until they run.
//!
//! All of it goes through the servers' Unix sockets, which also reach into network namespaces.

use std::time::{Duration, Instant};

use primacy_types::ServerVersion;
use primacy_wire::{ConnectOptions, Session, TlsMode, quote};
use secrecy::SecretString;

use crate::info::{AccountRole, SandboxInfo, ServerInfo};
use crate::{Error, Result};

const LIMIT: Duration = Duration::from_secs(30);
const RUNS_WITHIN: Duration = Duration::from_secs(20);

/// Logs in as root.
pub(crate) async fn root(info: &SandboxInfo, server: &ServerInfo) -> Result<Session> {
    let account = info.account(AccountRole::Root)?;
    let options = ConnectOptions {
        address: server.address.clone(),
        user: account.user.clone(),
        password: SecretString::from(account.password.clone()),
        tls: TlsMode::Off,
        connect_timeout: Duration::from_secs(5),
        database: None,
        program: "primacy-sandbox".into(),
        unix_socket: Some(server.socket.clone()),
    };
    Session::connect(&options).await.map_err(|error| refused(server, &error))
}

pub(crate) async fn run(session: &mut Session, server: &ServerInfo, sql: &str) -> Result<()> {
    session.execute(sql, LIMIT).await.map(drop).map_err(|error| refused(server, &error))
}

fn refused(server: &ServerInfo, error: &primacy_wire::WireError) -> Error {
    Error::Server { server: server.name.clone(), what: error.to_string(), log: String::new() }
}

/// Makes a replica of the primary: from the very beginning of its binary log, which all servers
/// share what was before.
pub(crate) async fn attach(
    info: &SandboxInfo,
    primary: &ServerInfo,
    replica: &ServerInfo,
) -> Result<()> {
    let mut session = root(info, replica).await?;
    let words = Words::of(info.version);
    run(&mut session, replica, &change_source(info, primary)?).await?;
    run(&mut session, replica, words.start).await?;
    wait_until_running(&mut session, &words, replica).await?;
    session.close().await;
    Ok(())
}

async fn wait_until_running(
    session: &mut Session,
    words: &Words,
    replica: &ServerInfo,
) -> Result<()> {
    let deadline = Instant::now() + RUNS_WITHIN;
    loop {
        let rows = session.query(words.status, LIMIT).await.map_err(|e| refused(replica, &e))?;
        let field = |name: &str| rows.first().and_then(|row| row.get(name)).unwrap_or_default();
        let runs = |name: &str| field(name) == "Yes";
        if runs(words.receiver) && runs(words.applier) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::Server {
                server: replica.name.clone(),
                what: format!(
                    "replication did not begin within {} s: {} {}",
                    RUNS_WITHIN.as_secs(),
                    field("Last_IO_Error"),
                    field("Last_SQL_Error")
                ),
                log: String::new(),
            });
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// Opens the primary for writes; with semi-sync its commits wait from now on.
pub(crate) async fn open(info: &SandboxInfo, primary: &ServerInfo) -> Result<()> {
    let mut session = root(info, primary).await?;
    if info.semi_sync {
        let enable = Words::of(info.version).wait_for_replicas;
        run(&mut session, primary, enable).await?;
    }
    // Where there is super_read_only, this ends it as well.
    run(&mut session, primary, "SET GLOBAL read_only = OFF").await?;
    session.close().await;
    Ok(())
}

/// How a version says it.
struct Words {
    change: &'static str,
    prefix: &'static str,
    start: &'static str,
    status: &'static str,
    receiver: &'static str,
    applier: &'static str,
    wait_for_replicas: &'static str,
}

impl Words {
    fn of(version: ServerVersion) -> Self {
        let new = version.is_mysql() && version.at_least(8, 0, 26);
        if new {
            Self {
                change: "CHANGE REPLICATION SOURCE TO",
                prefix: "SOURCE",
                start: "START REPLICA",
                status: "SHOW REPLICA STATUS",
                receiver: "Replica_IO_Running",
                applier: "Replica_SQL_Running",
                wait_for_replicas: "SET GLOBAL rpl_semi_sync_source_enabled = ON",
            }
        } else {
            Self {
                change: "CHANGE MASTER TO",
                prefix: "MASTER",
                start: "START SLAVE",
                status: "SHOW SLAVE STATUS",
                receiver: "Slave_IO_Running",
                applier: "Slave_SQL_Running",
                wait_for_replicas: "SET GLOBAL rpl_semi_sync_master_enabled = ON",
            }
        }
    }
}

fn change_source(info: &SandboxInfo, primary: &ServerInfo) -> Result<String> {
    let version = info.version;
    let words = Words::of(version);
    let account = info.account(AccountRole::Replication)?;
    let mut settings = vec![
        ("HOST", quote(primary.address.host())),
        ("PORT", primary.address.port().to_string()),
        ("USER", quote(&account.user)),
        ("PASSWORD", quote(&account.password)),
        ("CONNECT_RETRY", "1".into()),
        ("HEARTBEAT_PERIOD", "1".into()),
    ];
    if version.is_mysql() {
        settings.push(("RETRY_COUNT", "1000000".into()));
    }
    match &info.tls_ca {
        Some(ca) => {
            settings.push(("SSL", "1".into()));
            settings.push(("SSL_CA", quote(&ca.display().to_string())));
        }
        None if version.is_mariadb() => {
            settings.push(("SSL", "0".into()));
            settings.push(("SSL_VERIFY_SERVER_CERT", "0".into()));
        }
        None => {}
    }
    match (info.gtid, version.is_mariadb()) {
        (true, true) => settings.push(("USE_GTID", "slave_pos".into())),
        (true, false) => settings.push(("AUTO_POSITION", "1".into())),
        (false, maria) => {
            if maria {
                settings.push(("USE_GTID", "no".into()));
            }
            settings.push(("LOG_FILE", "'binlog.000001'".into()));
            settings.push(("LOG_POS", "4".into()));
        }
    }
    let mut list: Vec<String> =
        settings.iter().map(|(key, value)| format!("{}_{key} = {value}", words.prefix)).collect();
    if version.is_mysql() && version.at_least(8, 0, 4) && info.tls_ca.is_none() {
        // caching_sha2_password without TLS: the password is encrypted with the source's key.
        list.push(format!("GET_{}_PUBLIC_KEY = 1", words.prefix));
    }
    Ok(format!("{} {}", words.change, list.join(", ")))
}
