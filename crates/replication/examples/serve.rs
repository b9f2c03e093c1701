//! Serves an archive over loopback to a receiver of our own that reads as fast as it can, and says
//! how fast that was: `cargo run --release -p primacy-replication --example serve -- FOLDER`.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use primacy_binlog::Archive;
use primacy_replication::{
    ArchiveFeed, Received, Receiver, ReceiverOptions, Source, SourceOptions, StartAt,
};
use primacy_types::{Address, ServerVersion};
use primacy_wire::{ConnectOptions, TlsMode};
use secrecy::SecretString;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("the folder of an archive")?;
    let archive = Archive::open_unverified(Path::new(&folder))?;
    let manifest = archive.manifest().clone();
    let version: ServerVersion = manifest.server_version.parse()?;
    let password = SecretString::from("loopback");
    let start = archive.from_position().ok_or("an empty archive")?;
    let options = SourceOptions {
        bind: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0),
        user: "serve".to_owned(),
        password: password.clone(),
        server_id: 4_000_000_001,
        server_uuid: Uuid::from_u128(1),
        version,
        version_text: manifest.server_version.clone(),
        gtid_mode: false,
        tls: None,
        require_tls: false,
        max_connections: 4,
        login_limit: LIMIT,
        send_limit: LIMIT,
    };
    let source = Source::start(options, ArchiveFeed::new(archive)).await?;
    let address = source.address();
    let options = ReceiverOptions {
        connect: ConnectOptions {
            address: Address::new(address.ip().to_string(), address.port()),
            user: "serve".to_owned(),
            password,
            tls: TlsMode::Off,
            connect_timeout: LIMIT,
            database: None,
            program: "serve".to_owned(),
            unix_socket: None,
        },
        server_id: 4_000_000_002,
        uuid: Uuid::from_u128(2),
        report_host: String::new(),
        report_port: 0,
        heartbeat: Duration::from_secs(1),
        silence: LIMIT,
        semi_sync: false,
        limit: LIMIT,
    };
    let mut receiver = Receiver::connect(&options, &StartAt::Position(start)).await?;
    let (began, mut events, mut bytes) = (Instant::now(), 0_u64, 0_u64);
    while events < manifest.events {
        if let Received::Event(event) = receiver.next().await? {
            events += 1;
            bytes += event.bytes.len() as u64;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{events} events, {bytes} bytes");
    println!("{seconds:.3} s, {:.0} MB/s", bytes as f64 / 1e6 / seconds);
    Ok(())
}
