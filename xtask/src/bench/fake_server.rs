//! A server that is none: it lets everyone in and answers the manager's questions with the rows of
//! a healthy MariaDB cluster, so that hundreds fit on one machine.
//!
//! Not for tests of behaviour: nothing ever changes here but the counters of time.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use primacy_wire::capability::{
    LONG_FLAG, MULTI_RESULTS, PLUGIN_AUTH, PROTOCOL_41, SECURE_CONNECTION, TRANSACTIONS,
};
use primacy_wire::frame::Framer;
use primacy_wire::packet::{
    COM_PING, COM_QUERY, COM_QUIT, EOF, ERR, OK, put_lenenc_bytes, put_lenenc_int,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// No packet of the manager is longer.
const LONGEST: usize = 1 << 20;
/// What a real 10.11 says of itself.
const VERSION: &str = "5.5.5-10.11.14-MariaDB-log";

/// What all servers count together.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) queries: AtomicU64,
    pub(super) connections: AtomicU32,
    /// Statements that got an error because nobody told us the answer.
    pub(super) unknown: Mutex<BTreeSet<String>>,
}

/// One server of a cluster.
#[derive(Clone, Debug)]
pub(super) struct FakeServer {
    /// Its `server_id`.
    pub(super) id: u32,
    /// Its own port.
    pub(super) port: u16,
    /// The primary's port; its own if it is the primary.
    pub(super) source: u16,
    /// The ports of its replicas, if it is the primary.
    pub(super) replicas: Vec<u16>,
    pub(super) began: Instant,
    pub(super) counters: Arc<Counters>,
}

/// The answer to a statement.
enum Answer {
    Rows(Vec<String>, Vec<Vec<Option<String>>>),
    Ok,
    Unknown,
}

impl FakeServer {
    /// Answers on this listener for as long as the program runs.
    pub(super) async fn serve(self, listener: TcpListener) {
        while let Ok((socket, _)) = listener.accept().await {
            let connection = self.counters.connections.fetch_add(1, Ordering::Relaxed) + 1;
            let server = self.clone();
            tokio::spawn(async move {
                // The manager may hang up at any time.
                let _ = server.talk(socket, connection).await;
            });
        }
    }

    async fn talk(&self, mut socket: TcpStream, connection: u32) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let mut framer = Framer::default();
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        framer.encode(&greeting(connection), &mut output);
        socket.write_all_buf(&mut output).await?;
        read(&mut socket, &mut framer, &mut input).await?;
        framer.encode(&ok(), &mut output);
        socket.write_all_buf(&mut output).await?;
        loop {
            framer.restart();
            let packet = read(&mut socket, &mut framer, &mut input).await?;
            match packet.split_first() {
                Some((&COM_QUERY, sql)) => {
                    self.counters.queries.fetch_add(1, Ordering::Relaxed);
                    let sql = String::from_utf8_lossy(sql);
                    if sql.starts_with("SELECT SLEEP(") {
                        tokio::time::sleep(seconds_of(&sql)).await;
                    }
                    put_answer(&mut framer, &mut output, &self.answer(&sql, connection));
                }
                Some((&COM_PING, _)) => framer.encode(&ok(), &mut output),
                Some((&COM_QUIT, _)) | None => return Ok(()),
                Some(_) => put_answer(&mut framer, &mut output, &Answer::Unknown),
            }
            socket.write_all_buf(&mut output).await?;
        }
    }

    fn answer(&self, sql: &str, connection: u32) -> Answer {
        let begins = |head: &str| sql.starts_with(head);
        if begins("SHOW GLOBAL STATUS") {
            let rows = self.status().into_iter().map(|(name, value)| vec![some(name), Some(value)]);
            Answer::Rows(vec!["Variable_name".into(), "Value".into()], rows.collect())
        } else if begins("SHOW ALL SLAVES STATUS") {
            self.replica_status()
        } else if begins("SHOW SLAVE HOSTS") {
            let columns = ["Server_id", "Host", "Port", "Master_id"].map(str::to_owned).to_vec();
            let rows = self.replicas.iter().zip(2..).map(|(port, id): (_, u32)| {
                vec![Some(id.to_string()), some("127.0.0.1"), Some(port.to_string()), some("1")]
            });
            Answer::Rows(columns, rows.collect())
        } else if begins("SHOW BINLOG STATUS") {
            one_row(&[("File", "binlog.000002"), ("Position", "48211")])
        } else if begins("SELECT ") {
            self.select(sql, connection)
        } else if begins("SET ") {
            Answer::Ok
        } else {
            self.unknown(sql)
        }
    }

    /// `SELECT expression AS name, ...`: each name has its value.
    fn select(&self, sql: &str, connection: u32) -> Answer {
        let list = sql.trim_start_matches("SELECT ").split(" /*").next().unwrap_or_default();
        let list = list.split(" FROM ").next().unwrap_or_default();
        let (mut columns, mut row) = (Vec::new(), Vec::new());
        for item in list.split(", ") {
            // The comma in GET_LOCK('...', 0) parts it in two; the second half has the name.
            let Some((_, name)) = item.rsplit_once(" AS ") else {
                if item.starts_with("SLEEP(") {
                    columns.push(item.to_owned());
                    row.push(some("0"));
                }
                continue;
            };
            let Some(value) = self.value(name.trim(), connection) else { return self.unknown(sql) };
            columns.push(name.trim().to_owned());
            row.push(Some(value));
        }
        Answer::Rows(columns, vec![row])
    }

    fn value(&self, name: &str, connection: u32) -> Option<String> {
        let is_primary = self.source == self.port;
        Some(match name {
            "server_id" => self.id.to_string(),
            "read_only" => u8::from(!is_primary).to_string(),
            "log_bin" | "log_replica_updates" | "gtid_strict_mode" | "got" | "mine" | "epoch" => {
                "1".into()
            }
            "gtid_binlog_pos" | "gtid_slave_pos" if is_primary && name == "gtid_slave_pos" => {
                String::new()
            }
            "gtid_binlog_pos" | "gtid_slave_pos" => "0-1-1234567".into(),
            "max_connections" => "500".into(),
            "hostname" => format!("db{}", self.id),
            "pid_file" => format!("/nonexistent/{}/mysqld.pid", self.port),
            "datadir" => format!("/nonexistent/{}/", self.port),
            "log_bin_basename" => format!("/nonexistent/{}/binlog", self.port),
            "semi_source_enabled" => u8::from(is_primary).to_string(),
            "semi_replica_enabled" => "1".into(),
            "semi_timeout" => "3600000".into(),
            "semi_wait_point" => "AFTER_SYNC".into(),
            "me" | "id" => connection.to_string(),
            _ => return None,
        })
    }

    fn status(&self) -> Vec<(&'static str, String)> {
        let is_primary = self.source == self.port;
        let switch = |on: bool| if on { "ON".to_owned() } else { "OFF".into() };
        let clients = if is_primary { self.replicas.len() } else { 0 };
        let mut rows = vec![
            ("Rpl_semi_sync_master_clients", clients.to_string()),
            ("Rpl_semi_sync_master_no_tx", "0".into()),
            ("Rpl_semi_sync_master_status", switch(is_primary)),
            ("Rpl_semi_sync_master_yes_tx", "1234000".into()),
            ("Rpl_semi_sync_slave_send_ack", "617000".into()),
            ("Rpl_semi_sync_slave_status", switch(!is_primary)),
            ("Threads_connected", "17".into()),
            ("Uptime", self.uptime().to_string()),
        ];
        // A real server tells ten more of them.
        rows.extend(MORE_STATUS.iter().map(|name| (*name, "0".to_owned())));
        rows
    }

    fn replica_status(&self) -> Answer {
        if self.source == self.port {
            return Answer::Rows(
                STATUS.iter().map(|(name, _)| (*name).to_owned()).collect(),
                vec![],
            );
        }
        let (port, beats) = (self.source.to_string(), self.uptime().to_string());
        let row: Vec<_> = STATUS
            .iter()
            .map(|(name, value)| match *name {
                "Master_Port" => (*name, port.as_str()),
                "Slave_received_heartbeats" => (*name, beats.as_str()),
                _ => (*name, *value),
            })
            .collect();
        one_row(&row)
    }

    fn uptime(&self) -> u64 {
        3600 + self.began.elapsed().as_secs()
    }

    fn unknown(&self, sql: &str) -> Answer {
        let mut unknown = self.counters.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.insert(sql.to_owned());
        Answer::Unknown
    }
}

const MORE_STATUS: &[&str] = &[
    "Rpl_semi_sync_master_get_ack",
    "Rpl_semi_sync_master_net_avg_wait_time",
    "Rpl_semi_sync_master_net_wait_time",
    "Rpl_semi_sync_master_net_waits",
    "Rpl_semi_sync_master_no_times",
    "Rpl_semi_sync_master_request_ack",
    "Rpl_semi_sync_master_timefunc_failures",
    "Rpl_semi_sync_master_tx_avg_wait_time",
    "Rpl_semi_sync_master_tx_wait_time",
    "Rpl_semi_sync_master_tx_waits",
];

/// The row of a healthy replica, as MariaDB 10.11 gives it.
#[rustfmt::skip]
const STATUS: &[(&str, &str)] = &[
    ("Connection_name", ""), ("Slave_SQL_State", "Slave has read all relay log; waiting for more updates"),
    ("Slave_IO_State", "Waiting for master to send event"), ("Master_Host", "127.0.0.1"),
    ("Master_User", "repl"), ("Master_Port", ""), ("Connect_Retry", "1"),
    ("Master_Log_File", "binlog.000002"), ("Read_Master_Log_Pos", "48211"),
    ("Relay_Log_File", "relay.000004"), ("Relay_Log_Pos", "48508"),
    ("Relay_Master_Log_File", "binlog.000002"), ("Slave_IO_Running", "Yes"),
    ("Slave_SQL_Running", "Yes"), ("Replicate_Do_DB", ""), ("Replicate_Ignore_DB", ""),
    ("Replicate_Do_Table", ""), ("Replicate_Ignore_Table", ""), ("Replicate_Wild_Do_Table", ""),
    ("Replicate_Wild_Ignore_Table", ""), ("Last_Errno", "0"), ("Last_Error", ""),
    ("Skip_Counter", "0"), ("Exec_Master_Log_Pos", "48211"), ("Relay_Log_Space", "96811"),
    ("Until_Condition", "None"), ("Until_Log_File", ""), ("Until_Log_Pos", "0"),
    ("Master_SSL_Allowed", "No"), ("Master_SSL_CA_File", ""), ("Master_SSL_CA_Path", ""),
    ("Master_SSL_Cert", ""), ("Master_SSL_Cipher", ""), ("Master_SSL_Key", ""),
    ("Seconds_Behind_Master", "0"), ("Master_SSL_Verify_Server_Cert", "No"),
    ("Last_IO_Errno", "0"), ("Last_IO_Error", ""), ("Last_SQL_Errno", "0"), ("Last_SQL_Error", ""),
    ("Replicate_Ignore_Server_Ids", ""), ("Master_Server_Id", "1"), ("Master_SSL_Crl", ""),
    ("Master_SSL_Crlpath", ""), ("Using_Gtid", "Slave_Pos"), ("Gtid_IO_Pos", "0-1-1234567"),
    ("Replicate_Do_Domain_Ids", ""), ("Replicate_Ignore_Domain_Ids", ""),
    ("Parallel_Mode", "optimistic"), ("SQL_Delay", "0"), ("SQL_Remaining_Delay", "0"),
    ("Slave_SQL_Running_State", "Slave has read all relay log; waiting for more updates"),
    ("Slave_DDL_Groups", "26"), ("Slave_Non_Transactional_Groups", "0"),
    ("Slave_Transactional_Groups", "617000"), ("Replicate_Rewrite_DB", ""),
    ("Retried_transactions", "0"), ("Max_relay_log_size", "1073741824"),
    ("Executed_log_entries", "2468000"), ("Slave_received_heartbeats", ""),
    ("Slave_heartbeat_period", "1.000"), ("Gtid_Slave_Pos", "0-1-1234567"),
];

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn one_row(cells: &[(&str, &str)]) -> Answer {
    let (columns, row) =
        cells.iter().map(|(name, value)| ((*name).to_owned(), some(value))).unzip();
    Answer::Rows(columns, vec![row])
}

/// The number in `SLEEP(n)`.
fn seconds_of(sql: &str) -> Duration {
    let digits = sql.split(['(', ')']).nth(1).and_then(|text| text.parse().ok());
    Duration::from_secs(digits.unwrap_or(0))
}

async fn read(
    socket: &mut TcpStream,
    framer: &mut Framer,
    input: &mut BytesMut,
) -> io::Result<bytes::Bytes> {
    loop {
        match framer.decode(input, LONGEST).map_err(io::Error::other)? {
            Some(packet) => return Ok(packet.payload),
            None if socket.read_buf(input).await? == 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            None => {}
        }
    }
}

fn greeting(connection: u32) -> Vec<u8> {
    let flags =
        LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | MULTI_RESULTS | PLUGIN_AUTH;
    let [a, b, c, d] = flags.to_le_bytes();
    let mut out = vec![10];
    out.extend(VERSION.as_bytes());
    out.push(0);
    out.extend(connection.to_le_bytes());
    out.extend(b"abcdefgh\0");
    out.extend([a, b, 45, 2, 0, c, d, 21]);
    out.extend([0; 10]);
    out.extend(b"ijklmnopqrst\0mysql_native_password\0");
    out
}

/// OK, autocommit.
fn ok() -> Vec<u8> {
    vec![OK, 0, 0, 2, 0, 0, 0]
}

/// The old end of columns and of rows.
const END: [u8; 5] = [EOF, 0, 0, 2, 0];

fn put_answer(framer: &mut Framer, out: &mut BytesMut, answer: &Answer) {
    let (columns, rows) = match answer {
        Answer::Rows(columns, rows) => (columns, rows),
        Answer::Ok => return framer.encode(&ok(), out),
        Answer::Unknown => {
            let [low, high] = 1064_u16.to_le_bytes();
            let mut packet = vec![ERR, low, high];
            packet.extend(b"#42000this is a simulated server");
            return framer.encode(&packet, out);
        }
    };
    let mut packet = Vec::new();
    put_lenenc_int(&mut packet, columns.len() as u64);
    framer.encode(&packet, out);
    for name in columns {
        let mut packet = Vec::new();
        for text in ["def", "", "", "", name, ""] {
            put_lenenc_bytes(&mut packet, text.as_bytes());
        }
        // Length of what follows, character set, width, type VAR_STRING, flags, decimals.
        packet.extend([12, 45, 0, 0, 1, 0, 0, 253, 0, 0, 0, 0, 0]);
        framer.encode(&packet, out);
    }
    framer.encode(&END, out);
    for row in rows {
        let mut packet = Vec::new();
        for cell in row {
            match cell {
                Some(text) => put_lenenc_bytes(&mut packet, text.as_bytes()),
                None => packet.push(0xFB),
            }
        }
        framer.encode(&packet, out);
    }
    framer.encode(&END, out);
}
