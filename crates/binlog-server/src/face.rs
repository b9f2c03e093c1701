//! What the manager hears from a binlog server, and what it can tell it to do.
//!
//! The statements are those that Primacy's own manager sends; whatever else is asked gets the
//! answers of a mere replication source, or a refusal. The replication account may not command.

mod rows;
mod words;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use primacy_replication::{Desk, Presented, Question, Reply, Report};
use primacy_types::{Address, BinlogPosition, Positioning, ServerFacts, TransactionSet};
use primacy_wire::packet::ErrPacket;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use crate::channel::{Channel, Source};
use crate::options::ServeOptions;
use crate::state::Upstream;
use crate::store::Store;

/// How many connections there may be.
pub(crate) const MAX_CONNECTIONS: usize = 500;

/// See the module.
pub(crate) struct Face {
    pub(crate) options: Arc<ServeOptions>,
    pub(crate) store: Arc<Store>,
    pub(crate) channel: Channel,
    pub(crate) upstream: watch::Receiver<Option<Upstream>>,
    pub(crate) server_id: u32,
    pub(crate) server_uuid: Uuid,
    pub(crate) host: String,
    pub(crate) started: Instant,
    /// Who is connected; there as soon as it listens.
    pub(crate) report: Arc<OnceLock<watch::Receiver<Report>>>,
}

fn refused(text: impl Into<String>) -> Reply {
    Reply::Err(ErrPacket::new(1235, "42000", text))
}

fn read_only() -> Reply {
    Reply::Err(ErrPacket::new(1290, "HY000", "a binlog server has no tables and is read-only"))
}

#[async_trait]
impl Desk for Face {
    fn presented(&self) -> Presented {
        let upstream = self.upstream();
        let unknown = || primacy_types::ServerVersion::mysql(5, 7, 0);
        Presented {
            version: upstream.as_ref().map_or_else(unknown, |upstream| upstream.version),
            version_text: upstream
                .as_ref()
                .map_or_else(|| "5.7.0".into(), |u| u.version_text.clone()),
            gtid_mode: upstream.is_some_and(|upstream| upstream.gtid_mode),
        }
    }

    fn accounts(&self) -> Vec<(String, SecretString)> {
        let manager = &self.options.manager;
        vec![(manager.user.clone(), manager.password.clone())]
    }

    async fn answer(&self, question: Question<'_>) -> Option<Reply> {
        if question.user != self.options.manager.user {
            return None;
        }
        let statement = question.statement.trim().trim_end_matches(';').trim_end();
        let words: Vec<String> =
            statement.split_whitespace().take(4).map(str::to_ascii_uppercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["SHOW", ..] => self.show(&words),
            ["SELECT", ..] => self.select(statement).await,
            ["SET", "STATEMENT", ..] | ["XA", "RECOVER"] => Some(rows::empty(&["nothing"])),
            ["SET", ..] => self.set(statement).await,
            ["STOP" | "START", ..] => {
                Some(self.start_or_stop(statement, words[0] == "START").await)
            }
            ["RESET", "SLAVE" | "REPLICA", ..] => Some(self.reset().await),
            ["CHANGE", ..] => Some(self.point(statement).await),
            _ => None,
        }
    }
}

impl Face {
    fn upstream(&self) -> Option<Upstream> {
        self.upstream.borrow().clone()
    }

    fn connections(&self) -> usize {
        self.report.get().map_or(0, |report| report.borrow().replicas.len())
    }

    fn show(&self, words: &[&str]) -> Option<Reply> {
        Some(match words {
            ["SHOW", "GLOBAL", "STATUS", ..] => self.counters(),
            ["SHOW", "GLOBAL", "VARIABLES", "WHERE"] => self.safety(),
            ["SHOW", "ALL", "SLAVES", "STATUS"] => self.replica_status(),
            ["SHOW", "REPLICA" | "SLAVE", "STATUS", ..] => self.replica_status(),
            ["SHOW", "MASTER" | "BINLOG", "STATUS"] => self.binlog_status(),
            ["SHOW", "BINARY", "LOG", "STATUS"] => self.binlog_status(),
            ["SHOW", "BINARY", "LOGS"] => self.binary_logs(),
            ["SHOW", "REPLICAS"] | ["SHOW", "SLAVE", "HOSTS"] => self.replicas(),
            ["SHOW", "GRANTS", ..] => {
                let user = &self.options.manager.user;
                let all = format!("GRANT ALL PRIVILEGES ON *.* TO `{user}`@`%` WITH GRANT OPTION");
                Reply::Rows(vec!["Grants".to_owned()], vec![vec![Some(all)]])
            }
            ["SHOW", "FULL", "PROCESSLIST"] => rows::empty(&["Id", "User", "Host", "Info"]),
            _ => return None,
        })
    }

    async fn select(&self, statement: &str) -> Option<Reply> {
        if let Some(asked) = words::variables(statement) {
            let mut values = Vec::new();
            for (name, _) in &asked {
                let Some(value) = self.variable(name) else {
                    let text = format!("Unknown system variable '{name}'");
                    return Some(Reply::Err(ErrPacket::new(1193, "HY000", text)));
                };
                values.push(Some(value));
            }
            let columns = asked.into_iter().map(|(_, column)| column).collect();
            return Some(Reply::Rows(columns, vec![values]));
        }
        let upper = statement.to_ascii_uppercase();
        if upper.contains("GET_LOCK(") || upper.contains("IS_USED_LOCK(") {
            let name = ServerFacts::BINLOG_SERVER;
            return Some(refused(format!("{name}: it grants no locks and is not counted")));
        }
        let waits = ["MASTER_GTID_WAIT(", "WAIT_FOR_EXECUTED_GTID_SET(", "AFTER_GTIDS("];
        if waits.iter().any(|call| upper.contains(call)) {
            return Some(self.wait(statement).await);
        }
        if upper.contains("REPLICATION_CONNECTION_CONFIGURATION") {
            return Some(self.connection_tables());
        }
        if upper.contains(" FROM INFORMATION_SCHEMA.")
            || upper.contains(" FROM PERFORMANCE_SCHEMA.")
        {
            return Some(rows::empty(&["nothing"]));
        }
        upper.contains(" FROM PRIMACY.EPOCH").then(|| {
            let text = "Table 'primacy.epoch' doesn't exist: a binlog server has no tables";
            Reply::Err(ErrPacket::new(1146, "42S02", text))
        })
    }

    /// Waits until these transactions are held.
    async fn wait(&self, statement: &str) -> Reply {
        let mariadb = self.upstream().is_some_and(|upstream| upstream.is_mariadb());
        let text = words::texts(statement).into_iter().next().unwrap_or_default();
        let parsed = match mariadb {
            true => text.parse().map(TransactionSet::MariaDb),
            false => text.parse().map(TransactionSet::MySql),
        };
        let set = match parsed {
            Ok(set) => set,
            Err(error) => return refused(error.to_string()),
        };
        let seconds = statement.rsplit(',').next().unwrap_or_default();
        let seconds: f64 = seconds.trim().trim_end_matches(')').parse().unwrap_or(0.0);
        let limit = Duration::try_from_secs_f64(seconds.clamp(0.0, 60.0)).unwrap_or_default();
        let mut changes = self.store.changes();
        let held = async {
            while !self.store.executed().covers(&set) {
                if changes.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        let old = mariadb || statement.to_ascii_uppercase().contains("AFTER_GTIDS(");
        let answer = match timeout(limit, held).await {
            Ok(()) => "0",
            Err(_) if old => "-1",
            Err(_) => "1",
        };
        Reply::Rows(vec!["waited".to_owned()], vec![vec![Some(answer.to_owned())]])
    }

    async fn set(&self, statement: &str) -> Option<Reply> {
        let upper = statement.to_ascii_uppercase();
        let Some(assignment) = upper.strip_prefix("SET GLOBAL ") else {
            // Of the session, or a replica's own variables.
            return upper.starts_with("SET SESSION ").then_some(Reply::Ok);
        };
        let (name, value) = assignment.split_once('=')?;
        let value = value.trim();
        let on = matches!(value, "1" | "ON" | "'ON'");
        Some(match name.trim() {
            "READ_ONLY" | "SUPER_READ_ONLY" if on => Reply::Ok,
            "READ_ONLY" | "SUPER_READ_ONLY" => read_only(),
            "RPL_SEMI_SYNC_REPLICA_ENABLED" | "RPL_SEMI_SYNC_SLAVE_ENABLED" => {
                self.channel.change(|wanted| wanted.semi_sync = on).await;
                Reply::Ok
            }
            // What it has is what it received.
            "GTID_SLAVE_POS" => Reply::Ok,
            _ => refused("a binlog server has no such setting"),
        })
    }

    async fn start_or_stop(&self, statement: &str, start: bool) -> Reply {
        let receiver = words::has_word(statement, "IO_THREAD");
        let applier = words::has_word(statement, "SQL_THREAD");
        let both = receiver == applier;
        if start && self.channel.wanted().source.is_none() {
            let text = "the binlog server was not told a source: CHANGE MASTER first";
            return Reply::Err(ErrPacket::new(1200, "HY000", text));
        }
        tracing::info!(start, receiver, applier, "the manager starts or stops replication");
        self.channel
            .change(|wanted| {
                if both || receiver {
                    wanted.receiver = start;
                }
                if both || applier {
                    wanted.applier = start;
                }
            })
            .await;
        Reply::Ok
    }

    async fn reset(&self) -> Reply {
        self.channel
            .change(|wanted| {
                (wanted.source, wanted.receiver, wanted.applier) = (None, false, false);
                wanted.generation += 1;
            })
            .await;
        Reply::Ok
    }

    /// CHANGE MASTER TO, CHANGE REPLICATION SOURCE TO.
    async fn point(&self, statement: &str) -> Reply {
        let wanted = self.channel.wanted();
        if wanted.receiver {
            let text = "this operation cannot be performed while the receiver runs: stop it first";
            return Reply::Err(ErrPacket::new(3021, "HY000", text));
        }
        let Some(said) = words::settings(statement) else {
            return refused("the statement does not end as it should");
        };
        let get = |key: &str| said.get(key).map(String::as_str);
        let old = wanted.source;
        let host = get("SOURCE_HOST").map(str::to_owned);
        let host = host.or_else(|| old.as_ref().map(|old| old.address.host().to_owned()));
        let port = get("SOURCE_PORT").and_then(|port| port.parse().ok());
        let port = port.or_else(|| old.as_ref().map(|old| old.address.port())).unwrap_or(3306);
        let Some(host) = host else { return refused("it does not say which host") };
        let mut positioning = old.as_ref().map_or(Positioning::FileAndPosition, |o| o.positioning);
        match get("SOURCE_USE_GTID").map(str::to_ascii_lowercase).as_deref() {
            Some("slave_pos") => positioning = Positioning::SlavePos,
            Some("current_pos") => positioning = Positioning::CurrentPos,
            Some(_) => positioning = Positioning::FileAndPosition,
            None => {}
        }
        match get("SOURCE_AUTO_POSITION") {
            Some("1") => positioning = Positioning::AutoPosition,
            Some(_) => positioning = Positioning::FileAndPosition,
            None => {}
        }
        let place = get("SOURCE_LOG_FILE").zip(get("SOURCE_LOG_POS").and_then(|p| p.parse().ok()));
        let seconds =
            |text: &str| text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let heartbeat = get("SOURCE_HEARTBEAT_PERIOD").and_then(seconds);
        let user = get("SOURCE_USER").map(str::to_owned);
        let source = Source {
            address: Address::new(host, port),
            user: user.unwrap_or_else(|| self.options.replication.user.clone()),
            password: get("SOURCE_PASSWORD").map(SecretString::from),
            positioning,
            at: place.map(|(file, offset)| BinlogPosition::new(file, offset)),
            heartbeat: heartbeat.filter(|h| !h.is_zero()).unwrap_or(self.options.heartbeat),
            connect_retry: get("SOURCE_CONNECT_RETRY").and_then(|n| n.parse().ok()).unwrap_or(1),
            tls: get("SOURCE_SSL") == Some("1"),
        };
        tracing::info!(
            source = %source.address, at = source.at.as_ref().map(ToString::to_string),
            gtid = source.positioning.is_gtid(), "the manager says whom to follow"
        );
        self.channel
            .change(|wanted| {
                wanted.source = Some(source);
                wanted.generation += 1;
            })
            .await;
        Reply::Ok
    }
}
