//! What is worth a word in an event beyond table, rows and statement.

use super::plain::plain_bytes;
use crate::event::{
    ChecksumAlgorithm, Compression, EventBody, FormatDescription, GtidEvent, IntVarKind,
    MariaDbGtidEvent, MariaDbGtidFlags, Query, TransactionPayload, UserVar,
};
use crate::payload;

/// Bytes shown of a value.
const VALUE: usize = 40;

/// In words; empty where there is nothing to add.
pub(super) fn details(body: &EventBody<'_>) -> String {
    match body {
        EventBody::FormatDescription(format) => of_format(format),
        EventBody::Rotate(rotate) => {
            format!("goes on in {}:{}", plain_bytes(rotate.file), rotate.position)
        }
        EventBody::Stop => "the server was shut down".to_owned(),
        EventBody::PreviousGtids(list) => {
            let set = list.set.to_string();
            if set.is_empty() { "nothing before".to_owned() } else { format!("before: {set}") }
        }
        EventBody::GtidList(list) if list.gtids.is_empty() => "nothing before".to_owned(),
        EventBody::GtidList(list) => {
            let gtids: Vec<String> = list.gtids.iter().map(ToString::to_string).collect();
            format!("before: {}", gtids.join(","))
        }
        EventBody::Gtid(gtid) => of_gtid(gtid),
        EventBody::MariaDbGtid(gtid) => of_mariadb_gtid(gtid),
        EventBody::Query(query) => of_query(query),
        EventBody::ExecuteLoadQuery(load) => format!("loads file {}", load.file_id),
        EventBody::Xid(xid) => format!("commit, XID {}", xid.xid),
        EventBody::XaPrepare(xa) if xa.one_phase => "commit in one phase".to_owned(),
        EventBody::XaPrepare(_) => "prepare".to_owned(),
        EventBody::TransactionPayload(payload) => of_payload(payload),
        EventBody::IntVar(var) => match var.kind {
            IntVarKind::LastInsertId => format!("LAST_INSERT_ID() is {}", var.value),
            IntVarKind::InsertId => format!("next AUTO_INCREMENT is {}", var.value),
            IntVarKind::Other(kind) => format!("value {kind} is {}", var.value),
        },
        EventBody::Rand(rand) => format!("seeds of RAND(): {} and {}", rand.first, rand.second),
        EventBody::UserVar(var) => of_user_variable(var),
        EventBody::BeginLoadQuery(block) => {
            format!("file {}, {} bytes", block.file_id, block.data.len())
        }
        EventBody::AppendBlock(block) => {
            format!("file {}, {} bytes more", block.file_id, block.data.len())
        }
        EventBody::DeleteFile(file) => format!("file {} is not needed", file.file_id),
        EventBody::Incident(incident) => {
            format!("the source lost events: {}", plain_bytes(incident.message))
        }
        EventBody::Heartbeat(beat) => {
            format!("the source is at {}:{}", plain_bytes(beat.file), beat.position)
        }
        EventBody::StartEncryption(start) => {
            format!("encrypted from here on, with version {} of the key", start.key_version)
        }
        EventBody::BinlogCheckpoint(point) => {
            format!("recovery would begin in {}", plain_bytes(point.file))
        }
        EventBody::Other(bytes) if !bytes.is_empty() => format!("{} bytes", bytes.len()),
        EventBody::TableMap(_)
        | EventBody::Rows(_)
        | EventBody::RowsQuery(_)
        | EventBody::Other(_) => String::new(),
    }
}

fn of_format(format: &FormatDescription) -> String {
    let mut words = vec![format!("server {}", plain_bytes(format.server_version.as_bytes()))];
    if format.relay_log {
        words.push("relay log".to_owned());
    }
    if format.checksum == ChecksumAlgorithm::Off {
        words.push("no checksums".to_owned());
    }
    if format.in_use {
        words.push("in use".to_owned());
    }
    words.join(", ")
}

fn of_gtid(gtid: &GtidEvent) -> String {
    let mut words = Vec::new();
    if gtid.gtid.is_none() {
        words.push("no GTID".to_owned());
    }
    if let (Some(last), Some(own)) = (gtid.last_committed, gtid.sequence_number) {
        words.push(format!("last_committed {last}, sequence_number {own}"));
    }
    if let Some(length) = gtid.transaction_length {
        words.push(format!("{length} bytes"));
    }
    words.join(", ")
}

fn of_mariadb_gtid(gtid: &MariaDbGtidEvent<'_>) -> String {
    const WORDS: [(MariaDbGtidFlags, &str); 5] = [
        (MariaDbGtidFlags::DDL, "DDL"),
        (MariaDbGtidFlags::STANDALONE, "one statement"),
        (MariaDbGtidFlags::PREPARED_XA, "XA prepare"),
        (MariaDbGtidFlags::COMPLETED_XA, "XA completed"),
        (MariaDbGtidFlags::WAITED, "waited for a lock"),
    ];
    let set = WORDS.iter().filter(|(flag, _)| gtid.flags.has(*flag));
    let mut words: Vec<String> = set.map(|(_, word)| (*word).to_owned()).collect();
    if let Some(id) = gtid.commit_id {
        words.push(format!("commit group {id}"));
    }
    words.join(", ")
}

fn of_query(query: &Query<'_>) -> String {
    match query.error_code {
        0 => String::new(),
        code => format!("ended with error {code} on the source"),
    }
}

fn of_payload(payload: &TransactionPayload<'_>) -> String {
    let form = match payload.compression {
        Compression::Zstd => "zstd".to_owned(),
        Compression::Off => "not compressed".to_owned(),
        Compression::Unknown(number) => format!("compression {number}"),
    };
    let size = payload.uncompressed_size.map_or_else(String::new, |n| format!(", {n} opened"));
    let mut text = format!("{form}, {} bytes{size}", payload.payload.len());
    if let Err(error) = payload::decompress(payload, super::OPENED) {
        text.push_str(&format!("; not opened: {error}"));
    }
    text
}

fn of_user_variable(var: &UserVar<'_>) -> String {
    let name = plain_bytes(var.name);
    match var.value {
        None => format!("@{name} is NULL"),
        Some(value) => {
            let head = value.get(..VALUE).unwrap_or(value);
            let more = if value.len() > VALUE { "..." } else { "" };
            format!("@{name} is {}{more}", plain_bytes(head))
        }
    }
}
