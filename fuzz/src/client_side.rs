//! The relay at a client that says anything: a PROXY header, a login at the door, commands, and
//! compressed packets.

use std::sync::LazyLock;

use bytes::BytesMut;
use primacy_relay::accounts::{Account, Accounts, HostPattern, Peer, Require};
use primacy_relay::compression::{Algorithm, Compression};
use primacy_relay::credential::{ClientPlugin, Credential};
use primacy_relay::door::{Channel, Door, Identity, Step};
use primacy_relay::{Agreed, Inlet, Taken, command, proxy_header, statement_text};

use crate::input::Switches;

static ACCOUNTS: LazyLock<Accounts> = LazyLock::new(|| {
    let rows = [
        ("native", "mysql_native_password", &b"*14E65567ABDB5135D0CFD9A70B3032C179A49EE7"[..]),
        ("ed", "ed25519", b"ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"),
        (
            "caching",
            "caching_sha2_password",
            b"$A$005$abcdefghijklmnopqrstYy1cVJ5jT.fk4HyAGlowRhOkI55As4SAesbspXHQvFD",
        ),
        ("pam", "pam", b""),
        ("socket", "unix_socket", b""),
    ];
    let rows = rows.map(|(user, plugin, text)| Account {
        user: user.to_owned(),
        host: HostPattern::parse("%"),
        credential: Credential::parse(plugin, text),
        locked: false,
        expired: false,
        require: Require::Nothing,
    });
    Accounts::new(rows.to_vec(), true)
});

static IDENTITIES: LazyLock<[Identity; 2]> = LazyLock::new(|| {
    [("10.11.6-MariaDB", ClientPlugin::Native), ("9.7.4", ClientPlugin::CachingSha2)].map(
        |(version, plugin)| Identity {
            version: version.to_owned(),
            mariadb: plugin == ClientPlugin::Native,
            capabilities: 0x3F_FFFF_FFFF,
            collation: 45,
            plugin,
            tls: true,
            require_tls: false,
            decoy_key: [7; 32],
        },
    )
});

pub(crate) fn target(bytes: &[u8]) {
    let (switches, said) = Switches::split(bytes);
    if let Ok(proxy_header::Header::Whole { bytes: count, origin }) = proxy_header::parse(said) {
        assert!(count <= said.len());
        for version in [proxy_header::Version::One, proxy_header::Version::Two] {
            let written = proxy_header::header(&origin, version);
            let again = proxy_header::parse(&written);
            let whole = matches!(again, Ok(proxy_header::Header::Whole { bytes, .. }) if bytes == written.len());
            assert!(whole, "what was written is a header");
        }
    }
    door(switches, said);
    let chunk = 1 + switches.from(4);
    assert_eq!(commands(said, chunk), commands(said, usize::MAX), "pieces made a difference");
    for algorithm in [Algorithm::Zlib, Algorithm::Zstd] {
        let (mut compression, mut out, mut at) = (Compression::new(algorithm), Vec::new(), 0);
        while out.len() < said.len()
            && let Ok(Some(count)) = compression.inflate(&said[at..], &mut out)
        {
            at += count;
        }
    }
}

/// A login as any of them: nobody knows the answers beforehand.
fn door(switches: Switches, said: &[u8]) {
    let identity = &IDENTITIES[usize::from(switches.has(0))];
    let peer = Peer::at([10, 0, 0, 1].into());
    let mut random = |bytes: &mut [u8]| bytes.fill(0x41);
    let (mut door, mut step) = if switches.has(1) {
        let agreed = Agreed::new(0x3F_FFFF_FFFF);
        let channel = if switches.has(2) { Channel::Safe } else { Channel::Plain };
        Door::change_user(identity, peer, channel, agreed, said, &ACCOUNTS, &mut random)
    } else {
        Door::open(identity, peer, 7, &ACCOUNTS, &mut random)
    };
    let mut input = BytesMut::from(said);
    for _ in 0..16 {
        match step {
            Step::Wait | Step::Deny(..) => return,
            Step::Send(_) => {}
            Step::StartTls => door.secured(),
            // Only the server will know the password of this one.
            Step::Welcome(_, welcome) => {
                assert!(!welcome.checked, "a stranger was let in");
                return;
            }
        }
        step = door.hear(&mut input, &ACCOUNTS, &|_| None, &mut random);
    }
}

/// The commands in these bytes, as what they are and where they end.
fn commands(said: &[u8], chunk: usize) -> Vec<(u8, usize)> {
    let mut inlet = Inlet::new(1 << 20, 1 << 10);
    let (mut found, mut have, mut at) = (Vec::new(), 0_usize, 0_usize);
    loop {
        if inlet.is_passing() {
            let end = at.saturating_add(chunk).min(said.len());
            let Ok(passed) = inlet.pass(&said[at..end]) else { return found };
            at += passed.bytes;
            if passed.bytes == 0 && !passed.ends {
                return found;
            }
            continue;
        }
        have = have.max(at);
        match inlet.take(&said[at..have]) {
            Err(_) => return found,
            Ok(Taken::Needs(_)) if have == said.len() => return found,
            Ok(Taken::Needs(_)) => have = have.saturating_add(chunk).min(said.len()),
            Ok(Taken::Command(taken)) => {
                if let Some(kind) = command(taken.code) {
                    let _ = (kind.expected(taken.argument), kind.statement_id(taken.argument));
                }
                let _ = statement_text(taken.argument, Agreed::new(u64::MAX));
                at += taken.bytes;
                found.push((taken.code, at));
            }
        }
    }
}
