//! The short answers of a server: OK, error, EOF, and the request to use another plugin.

use super::request::{put_lenenc_int, put_nul};
use super::{EOF, ERR, Malformed, OK, Reader};

/// Statement done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OkPacket {
    /// Rows changed.
    pub affected_rows: u64,
    /// First generated `AUTO_INCREMENT` value, or 0.
    pub last_insert_id: u64,
    /// Status flags.
    pub status: u16,
    /// How many warnings `SHOW WARNINGS` would list.
    pub warnings: u16,
    /// Text for people, such as `Rows matched: 1  Changed: 0  Warnings: 0`.
    pub info: String,
}

/// The server's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrPacket {
    /// Error number, such as 1045.
    pub code: u16,
    /// SQLSTATE; `HY000` where none was sent.
    pub sqlstate: String,
    /// The server's words.
    pub message: String,
}

/// Another authentication plugin is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthSwitch {
    /// Name of the plugin.
    pub plugin: String,
    /// Its challenge, without the closing NUL.
    pub challenge: Vec<u8>,
}

impl OkPacket {
    /// The packet. A text for people is sent as it is, which clients of both families read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![OK];
        put_lenenc_int(&mut out, self.affected_rows);
        put_lenenc_int(&mut out, self.last_insert_id);
        out.extend_from_slice(&self.status.to_le_bytes());
        out.extend_from_slice(&self.warnings.to_le_bytes());
        out.extend_from_slice(self.info.as_bytes());
        out
    }
}

impl ErrPacket {
    /// An error of this number.
    pub fn new(code: u16, sqlstate: &str, message: impl Into<String>) -> Self {
        Self { code, sqlstate: sqlstate.to_owned(), message: message.into() }
    }

    /// The packet. Texts are cut where servers cut them (`MYSQL_ERRMSG_SIZE`, 512 bytes).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![ERR];
        out.extend_from_slice(&self.code.to_le_bytes());
        out.push(b'#');
        out.extend(self.sqlstate.bytes().chain(std::iter::repeat(b'0')).take(5));
        let mut end = self.message.len().min(511);
        while !self.message.is_char_boundary(end) {
            end -= 1;
        }
        out.extend_from_slice(&self.message.as_bytes()[..end]);
        out
    }
}

impl AuthSwitch {
    /// The packet.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![EOF];
        put_nul(&mut out, &self.plugin);
        out.extend_from_slice(&self.challenge);
        out.push(0);
        out
    }
}

/// The old EOF packet, without warnings.
pub fn eof_packet(status: u16) -> Vec<u8> {
    let status = status.to_le_bytes();
    vec![EOF, 0, 0, status[0], status[1]]
}

/// Parses an OK packet (first byte 0x00, or 0xFE at the end of a result set). The connection must
/// not have asked for session tracking: the rest of the packet is text for people.
pub fn parse_ok(packet: &[u8]) -> Result<OkPacket, Malformed> {
    let mut reader = Reader::new(packet);
    let first = reader.u8()?;
    if first != OK && first != EOF {
        return Err(Malformed::new(format!("{first:#04x} does not begin an OK packet")));
    }
    let affected_rows = reader.lenenc_int()?;
    let last_insert_id = reader.lenenc_int()?;
    let status = reader.u16()?;
    let warnings = reader.u16()?;
    // MariaDB encodes the length, MySQL without session tracking sends the text as it is.
    let rest = reader.rest();
    let mut measured = Reader::new(rest);
    let info = match measured.lenenc_bytes() {
        Ok(text) if measured.is_empty() => text,
        _ => rest,
    };
    let info = String::from_utf8_lossy(info).into_owned();
    Ok(OkPacket { affected_rows, last_insert_id, status, warnings, info })
}

/// Parses an error packet. Before login, servers may leave out the SQLSTATE.
pub fn parse_err(packet: &[u8]) -> Result<ErrPacket, Malformed> {
    let mut reader = Reader::new(packet);
    let first = reader.u8()?;
    if first != ERR {
        return Err(Malformed::new(format!("{first:#04x} does not begin an error packet")));
    }
    let code = reader.u16()?;
    let mut sqlstate = "HY000".to_owned();
    if reader.peek() == Some(b'#') && reader.len() >= 6 {
        reader.bytes(1)?;
        sqlstate = String::from_utf8_lossy(reader.bytes(5)?).into_owned();
    }
    let message = String::from_utf8_lossy(reader.rest());
    let message = message.trim_end_matches('\0').to_owned();
    Ok(ErrPacket { code, sqlstate, message })
}

/// Parses the old EOF packet and returns the number of warnings and the status flags.
pub fn parse_eof(packet: &[u8]) -> Result<(u16, u16), Malformed> {
    let mut reader = Reader::new(packet);
    if reader.u8()? != EOF || packet.len() >= 9 {
        return Err(Malformed::new("a packet that should be EOF is none"));
    }
    Ok((reader.u16()?, reader.u16()?))
}

/// Parses the request to log in with another plugin. The packet of one byte is that of servers
/// before 4.1: the plugin is `mysql_old_password`.
pub fn parse_auth_switch(packet: &[u8]) -> Result<AuthSwitch, Malformed> {
    let mut reader = Reader::new(packet);
    if reader.u8()? != EOF {
        return Err(Malformed::new("a request to switch plugins is malformed"));
    }
    if reader.is_empty() {
        return Ok(AuthSwitch { plugin: "mysql_old_password".to_owned(), challenge: Vec::new() });
    }
    let plugin = String::from_utf8_lossy(reader.nul_bytes()?).into_owned();
    let challenge = reader.rest();
    let challenge = challenge.strip_suffix(&[0]).unwrap_or(challenge).to_vec();
    Ok(AuthSwitch { plugin, challenge })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_with_and_without_sqlstate() {
        let err = parse_err(b"\xff\x15\x04#28000Access denied").unwrap();
        assert_eq!((err.code, err.sqlstate.as_str()), (1045, "28000"));
        assert_eq!(err.message, "Access denied");
        let err = parse_err(b"\xff\x10\x04Too many connections").unwrap();
        assert_eq!((err.code, err.message.as_str()), (1040, "Too many connections"));
        assert!(parse_err(b"\xff\x10").is_err());
        assert_eq!(parse_err(b"\xff\x10\x04#28").unwrap().message, "#28");
    }

    #[test]
    fn the_info_of_both_families_is_read() {
        let plain = parse_ok(b"\0\x01\0\x02\0\0\0Rows matched: 1").unwrap();
        let measured = parse_ok(b"\0\x01\0\x02\0\0\0\x0fRows matched: 1").unwrap();
        assert_eq!(plain.info, "Rows matched: 1");
        assert_eq!(plain, measured);
        assert!(parse_ok(b"\0\xfc\x01").is_err());
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let err = ErrPacket::new(1236, "HY000", "the saved events begin at b.000004:4");
        assert_eq!(parse_err(&err.to_bytes()), Ok(err));
        let long = ErrPacket::new(1, "HY000", "é".repeat(500)).to_bytes();
        assert!(long.len() <= 520 && parse_err(&long).unwrap().message.ends_with('é'));
        let ok = OkPacket { affected_rows: 300, status: 2, ..OkPacket::default() };
        assert_eq!(parse_ok(&ok.to_bytes()), Ok(ok));
        let switch = AuthSwitch { plugin: "x".to_owned(), challenge: vec![7; 20] };
        assert_eq!(parse_auth_switch(&switch.to_bytes()), Ok(switch));
        assert_eq!(parse_eof(&eof_packet(2)), Ok((0, 2)));
    }

    #[test]
    fn a_plugin_switch_is_read() {
        let switch = parse_auth_switch(b"\xfeclient_ed25519\0abc\0").unwrap();
        assert_eq!(
            (switch.plugin.as_str(), &switch.challenge[..]),
            ("client_ed25519", &b"abc"[..])
        );
        assert_eq!(parse_auth_switch(b"\xfe").unwrap().plugin, "mysql_old_password");
        assert!(parse_auth_switch(b"\xfeclient").is_err());
    }
}
