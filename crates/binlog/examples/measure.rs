//! Makes a large binary log of real transactions and says how fast it is read and cut.
//!
//! `cargo run --release -p primacy-binlog --example measure -- make FIXTURE FILE MEGABYTES`, then
//! `... -- scan FILE`, `quick FILE`, `cut FOLDER FILE...` or `relay FOLDER FILE...`.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use primacy_binlog::{
    CutFrom, CutRequest, CutSource, EventKind, FormatDescription, Grouper, Reader, Thoroughness,
    cut, relay, scan,
};
use primacy_types::BinlogPosition;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let started = Instant::now();
    let file = match words[..] {
        ["make", fixture, file, megabytes] => {
            return make(Path::new(fixture), Path::new(file), megabytes.parse()?);
        }
        ["scan" | "quick", file] => {
            let thoroughness = match words[0] {
                "scan" => Thoroughness::Verified,
                _ => Thoroughness::Quick,
            };
            let found = scan(&mut Reader::open(Path::new(file))?, thoroughness)?;
            println!("{} transactions, {} events", found.transactions, found.events);
            file
        }
        ["cut" | "relay", folder, file, ..] => {
            let files: Vec<PathBuf> = words[2..].iter().map(PathBuf::from).collect();
            let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
            let from = match words[0] {
                "cut" => CutFrom::Position(BinlogPosition::new(name, 4)),
                _ => {
                    let all = relay::summarize(&files, None)?;
                    println!("{} abandoned, {} repeated", all.abandoned, all.repeated);
                    CutFrom::Position(all.from.ok_or("no transaction")?)
                }
            };
            let source = match words[0] {
                "cut" => CutSource::Binlogs(files),
                _ => CutSource::RelayLogs { files, hint: None },
            };
            let report =
                cut(&source, &CutRequest { from, until: None }, Path::new(folder), "a test")?;
            println!("{} transactions", report.archive.manifest().transactions);
            file
        }
        _ => return Err("make, scan, quick, cut or relay, and its files".into()),
    };
    let (bytes, seconds) = (std::fs::metadata(file)?.len(), started.elapsed().as_secs_f64());
    println!("{seconds:.3} s, {:.0} MB/s", bytes as f64 / 1e6 / seconds);
    Ok(())
}

/// Repeats the transactions of a MySQL file with GTIDs, each with its own number, positions and
/// checksums, as if they had been committed again and again.
fn make(fixture: &Path, file: &Path, megabytes: u64) -> Result<(), Box<dyn Error>> {
    let mut reader = Reader::open(fixture)?;
    let mut grouper = Grouper::new();
    let mut head = vec![0xfe, b'b', b'i', b'n'];
    let mut events: Vec<Vec<u8>> = Vec::new();
    let mut format: Option<FormatDescription> = None;
    while let Some((event, current)) = reader.next_in_format()? {
        let part = grouper.feed(&event, current)?.part;
        let in_head = events.is_empty() && part == primacy_binlog::Part::Outside;
        match event.kind() {
            EventKind::ROTATE if !events.is_empty() => {}
            _ if in_head => head.extend_from_slice(event.bytes()),
            _ => events.push(event.bytes().to_vec()),
        }
        format = Some(current.clone());
    }
    let checksums = format.is_some_and(|format| format.has_checksums());
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    out.write_all(&head)?;
    let (mut at, mut number) = (head.len() as u64, 1_000_u64);
    while at < megabytes * 1_000_000 {
        for event in &mut events {
            at += event.len() as u64;
            event[13..17].copy_from_slice(&u32::try_from(at & 0xffff_ffff)?.to_le_bytes());
            if event[4] == EventKind::GTID.0 {
                number += 1;
                event[36..44].copy_from_slice(&number.to_le_bytes());
            }
            if checksums {
                let end = event.len() - 4;
                let sum = crc32fast::hash(&event[..end]);
                event[end..].copy_from_slice(&sum.to_le_bytes());
            }
            out.write_all(event)?;
        }
    }
    Ok(out.flush()?)
}
