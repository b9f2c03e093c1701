//! The packets that end a result: OK, EOF and error, read in place.
//!
//! Sources: "OK_Packet", "EOF_Packet", "ERR_Packet" in MySQL's source documentation; "OK_Packet",
//! "ERR_Packet" (with progress reports) in MariaDB's manual.

use primacy_protocol::capability::{
    DEPRECATE_EOF, SESSION_TRACK, STATUS_IN_TRANSACTION, STATUS_MORE_RESULTS, STATUS_STATE_CHANGED,
};
use primacy_protocol::packet::{EOF, ErrPacket, Malformed, Reader};

use crate::session_state::Changes;
use crate::walker::Agreed;

/// How a result ended well: an OK or an EOF packet. EOF has no more than warnings and status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending<'a> {
    /// Rows changed.
    pub affected_rows: u64,
    /// First generated `AUTO_INCREMENT` value, or 0.
    pub last_insert_id: u64,
    /// Status flags (`STATUS_*` of `primacy_protocol::capability`).
    pub status: u16,
    /// How many warnings `SHOW WARNINGS` would list.
    pub warnings: u16,
    /// Text for people.
    pub info: &'a [u8],
    /// What changed of the session's state, not looked at yet.
    pub state: &'a [u8],
}

impl<'a> Ending<'a> {
    /// Reads an OK packet (first byte 0x00, or 0xFE at the end of a result set) or an EOF packet.
    pub(crate) fn parse(packet: &'a [u8], agreed: Agreed) -> Result<Self, Malformed> {
        let mut reader = Reader::new(packet);
        let first = reader.u8()?;
        // No OK packet is as short as EOF.
        if first == EOF && (packet.len() == 5 || !agreed.has(DEPRECATE_EOF)) {
            let (warnings, status) = (reader.u16()?, reader.u16()?);
            return Ok(Self { status, warnings, ..Self::default() });
        }
        let affected_rows = reader.lenenc_int()?;
        let last_insert_id = reader.lenenc_int()?;
        let (status, warnings) = (reader.u16()?, reader.u16()?);
        let ending = Self { affected_rows, last_insert_id, status, warnings, ..Self::default() };
        if !agreed.has(SESSION_TRACK) {
            return Ok(Self { info: text(reader.rest()), ..ending });
        }
        // Both are left out where both are empty.
        let info = if reader.is_empty() { &[] } else { reader.lenenc_bytes()? };
        let changed = status & STATUS_STATE_CHANGED != 0 && !reader.is_empty();
        let state = if changed { reader.lenenc_bytes()? } else { &[] };
        Ok(Self { info, state, ..ending })
    }

    /// Whether another result follows.
    pub fn more_results(&self) -> bool {
        self.status & STATUS_MORE_RESULTS != 0
    }

    /// Whether a transaction is open now.
    pub fn in_transaction(&self) -> bool {
        self.status & STATUS_IN_TRANSACTION != 0
    }

    /// What changed of the session's state.
    pub fn changes(&self) -> Changes<'a> {
        Changes::new(self.state)
    }
}

/// Without session tracking MySQL sends the text as it is; MariaDB puts its length before it.
fn text(rest: &[u8]) -> &[u8] {
    let mut measured = Reader::new(rest);
    match measured.lenenc_bytes() {
        Ok(text) if measured.is_empty() => text,
        _ => rest,
    }
}

/// How a result ended badly. An error ends the whole answer: no result follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// Error number, such as 1213.
    pub code: u16,
    /// SQLSTATE, five characters; empty where none was sent.
    pub sqlstate: &'a [u8],
    /// The server's words.
    pub message: &'a [u8],
}

/// A report of progress (MariaDB, `CLIENT_PROGRESS`), which may come any number of times before what
/// is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The stage, from 1.
    pub stage: u8,
    /// How many stages there are.
    pub stages: u8,
    /// Thousandths of a percent of this stage.
    pub progress: u32,
    /// Name of the stage.
    pub info: &'a [u8],
}

/// What begins with 0xFF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad<'a> {
    Failure(Failure<'a>),
    Progress(Progress<'a>),
}

/// The error number of a progress report.
const PROGRESS: u16 = 0xFFFF;

impl<'a> Bad<'a> {
    pub(crate) fn parse(packet: &'a [u8], agreed: Agreed) -> Result<Self, Malformed> {
        let mut reader = Reader::new(packet);
        reader.u8()?;
        let code = reader.u16()?;
        if code == PROGRESS && agreed.reports_progress() {
            // One text; its byte is there for reports with more of them.
            reader.u8()?;
            let (stage, stages) = (reader.u8()?, reader.u8()?);
            let thousandths = reader.bytes(3)?.iter().rev();
            let progress = thousandths.fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            let info = reader.lenenc_bytes()?;
            return Ok(Self::Progress(Progress { stage, stages, progress, info }));
        }
        let rest = reader.rest();
        let (sqlstate, message) = match rest.split_first() {
            Some((b'#', rest)) => rest.split_at_checked(5).unwrap_or((&[], rest)),
            _ => (&[][..], rest),
        };
        Ok(Self::Failure(Failure { code, sqlstate, message }))
    }
}

impl Failure<'_> {
    /// A copy that can be kept, and sent.
    pub fn to_packet(&self) -> ErrPacket {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let sqlstate = if self.sqlstate.is_empty() { b"HY000" } else { self.sqlstate };
        ErrPacket { code: self.code, sqlstate: text(sqlstate), message: text(self.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_protocol::capability::MARIADB_PROGRESS;

    #[test]
    fn an_ok_with_session_state_is_taken_apart() {
        // MySQL 9.7 to `USE test`, CLIENT_SESSION_TRACK.
        let packet = b"\0\0\0\x02\x40\0\0\0\x07\x01\x05\x04test";
        let agreed = Agreed::new(SESSION_TRACK.into());
        let ending = Ending::parse(packet, agreed).unwrap();
        assert_eq!((ending.status, ending.state.len()), (0x4002, 7));
        let plain = Ending::parse(b"\0\x01\0\x02\0\0\0", agreed).unwrap();
        assert_eq!((plain.affected_rows, plain.info, plain.state), (1, &b""[..], &b""[..]));
    }

    #[test]
    fn an_end_is_read_as_what_was_agreed() {
        let eof = Ending::parse(b"\xfe\x01\0\x22\0", Agreed::default()).unwrap();
        assert_eq!((eof.warnings, eof.status), (1, 0x22));
        let ok = Ending::parse(b"\xfe\0\0\x22\0\x01\0", Agreed::new(DEPRECATE_EOF.into())).unwrap();
        assert_eq!((ok.warnings, ok.status), (1, 0x22));
        assert!(Ending::parse(b"\xfe\0", Agreed::default()).is_err());
    }

    #[test]
    fn a_report_of_progress_is_no_error() {
        let packet = b"\xff\xff\xff\x01\x01\x02\x10\x27\0\x0bcopying tab";
        let agreed = Agreed::new(MARIADB_PROGRESS);
        let Bad::Progress(progress) = Bad::parse(packet, agreed).unwrap() else { panic!() };
        assert_eq!((progress.stage, progress.stages, progress.progress), (1, 2, 10_000));
        assert!(matches!(Bad::parse(packet, Agreed::default()), Ok(Bad::Failure(_))));
    }

    #[test]
    fn errors_with_and_without_sqlstate() {
        let Bad::Failure(failure) =
            Bad::parse(b"\xff\x15\x04#28000Access denied", Agreed::default()).unwrap()
        else {
            panic!()
        };
        assert_eq!((failure.code, failure.sqlstate), (1045, &b"28000"[..]));
        assert_eq!(failure.to_packet().message, "Access denied");
        let bare = Bad::parse(b"\xff\x10\x04Too many", Agreed::default()).unwrap();
        let Bad::Failure(bare) = bare else { panic!() };
        assert_eq!((bare.sqlstate, bare.to_packet().sqlstate.as_str()), (&b""[..], "HY000"));
    }
}
