//! The server's first packet: who it is, what it can do, and the challenge of its default plugin.

use super::request::{UTF8MB4_GENERAL_CI, put_nul};
use super::{Malformed, Reader};
use crate::capability;

/// Version 10 of the initial handshake packet, sent by every server since MySQL 3.21.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// As the server writes it, such as `5.5.5-10.11.6-MariaDB-log`.
    pub version: String,
    /// Number of the connection, for `KILL`. Servers send the low 32 bits only.
    pub connection_id: u32,
    /// What the server can do: flags of [`capability`].
    pub capabilities: u32,
    /// Status flags.
    pub status: u16,
    /// The default plugin; empty where the server names none.
    pub plugin: String,
    /// The challenge, without its closing NUL.
    pub scramble: Vec<u8>,
}

impl Greeting {
    /// The packet that a server sends. The version and the plugin end at their first NUL, and the
    /// challenge must have 20 bytes without a NUL, as every client expects it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let flags = self.capabilities.to_le_bytes();
        let (first, second) = self.scramble.split_at(self.scramble.len().min(8));
        let mut out = vec![10];
        put_nul(&mut out, &self.version);
        out.extend_from_slice(&self.connection_id.to_le_bytes());
        out.extend_from_slice(first);
        out.push(0);
        out.extend_from_slice(&flags[..2]);
        out.push(UTF8MB4_GENERAL_CI);
        out.extend_from_slice(&self.status.to_le_bytes());
        out.extend_from_slice(&flags[2..]);
        out.push(self.scramble.len() as u8 + 1);
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(second);
        out.push(0);
        put_nul(&mut out, &self.plugin);
        out
    }
}

/// Parses the first packet of a server that does not begin with [`ERR`](super::ERR).
pub fn parse_greeting(packet: &[u8]) -> Result<Greeting, Malformed> {
    let mut reader = Reader::new(packet);
    let protocol = reader.u8()?;
    if protocol != 10 {
        return Err(Malformed::new(format!(
            "the greeting is of protocol version {protocol}, MySQL's and MariaDB's is 10"
        )));
    }
    let version = text(reader.nul_bytes()?);
    let connection_id = reader.u32()?;
    let mut scramble = reader.bytes(8)?.to_vec();
    reader.bytes(1)?;
    let mut capabilities = u32::from(reader.u16()?);
    if reader.is_empty() || capabilities & capability::PROTOCOL_41 == 0 {
        return Err(Malformed::new(format!("server {version} does not speak protocol 4.1")));
    }
    reader.u8()?; // The server's default character set, of which only the low byte is sent.
    let status = reader.u16()?;
    capabilities |= u32::from(reader.u16()?) << 16;
    let challenge_length = usize::from(reader.u8()?);
    reader.bytes(10)?; // Reserved; MariaDB keeps its own capabilities in the last four.
    // MySQL: "the rest of the challenge is max(13, length - 8) bytes", the last one a NUL.
    let second = challenge_length.saturating_sub(8).max(13).min(reader.len());
    let second = reader.bytes(second)?;
    scramble.extend_from_slice(second.strip_suffix(&[0]).unwrap_or(second));
    let plugin = if capabilities & capability::PLUGIN_AUTH == 0 {
        String::new()
    } else {
        // Some 5.5 and 5.6 versions leave out the closing NUL.
        let name = reader.rest();
        text(name.split(|byte| *byte == 0).next().unwrap_or(name))
    };
    Ok(Greeting { version, connection_id, capabilities, status, plugin, scramble })
}

/// A text for people and for comparison, whatever bytes were sent.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a MariaDB 10.11 sends.
    pub(in crate::packet) const MARIADB_GREETING: &[u8] =
        b"\x0a5.5.5-10.11.6-MariaDB\0\x07\0\0\0abcdefgh\0\xfe\xff\x2d\x02\0\xff\x81\x15\
          \0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

    #[test]
    fn a_mariadb_greeting_is_read() {
        let greeting = parse_greeting(MARIADB_GREETING).unwrap();
        assert_eq!(greeting.version, "5.5.5-10.11.6-MariaDB");
        assert_eq!(greeting.connection_id, 7);
        assert_eq!(greeting.plugin, "mysql_native_password");
        assert_eq!(greeting.scramble, b"abcdefghijklmnopqrst");
        assert_ne!(greeting.capabilities & capability::SSL, 0);
        assert_ne!(greeting.capabilities & capability::DEPRECATE_EOF, 0);
    }

    #[test]
    fn a_written_greeting_is_read_as_it_was() {
        let greeting = Greeting {
            version: "9.7.0".to_owned(),
            connection_id: 9,
            capabilities: capability::PROTOCOL_41 | capability::PLUGIN_AUTH,
            status: 2,
            plugin: "caching_sha2_password".to_owned(),
            scramble: b"abcdefghijklmnopqrst".to_vec(),
        };
        assert_eq!(parse_greeting(&greeting.to_bytes()), Ok(greeting));
    }

    #[test]
    fn every_torn_greeting_is_refused_or_read_without_a_panic() {
        for end in 0..MARIADB_GREETING.len() {
            let _ = parse_greeting(&MARIADB_GREETING[..end]);
        }
        assert!(parse_greeting(&MARIADB_GREETING[..40]).is_err());
        assert!(parse_greeting(b"SSH-2.0-OpenSSH_9.2\r\n").is_err());
        assert!(parse_greeting(b"").is_err());
    }
}
