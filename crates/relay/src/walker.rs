//! Walks through a server's answer from packet header to packet header, and tells where it ends.
//!
//! Rows and column definitions are not looked at and not copied: of each packet the header and the
//! first byte decide. Only the packets that say something of the session (OK, EOF, error, the head
//! of a result) are read, in place where they came in one piece, else from a copy of at most
//! [`HELD_LIMIT`] bytes.
//!
//! Sources: "COM_QUERY Response", "COM_STMT_PREPARE Response", "COM_STMT_EXECUTE Response",
//! "COM_STMT_FETCH", "COM_FIELD_LIST Response", "LOCAL INFILE Request" in MySQL's source
//! documentation; "Result Set Packets", "COM_STMT_PREPARE", "COM_STMT_BULK_EXECUTE" in MariaDB's.

mod front;
mod phase;

use primacy_protocol::capability::{
    DEPRECATE_EOF, MARIADB_CACHE_METADATA, MARIADB_PROGRESS, OPTIONAL_METADATA,
};
use primacy_protocol::frame::{HEADER, MAX_FRAME};
use primacy_protocol::packet::{EOF, ERR, LOCAL_INFILE, MAX_COLUMNS, Malformed, OK, Reader};

use crate::command::{Cursor, Expected};
use crate::ending::{Bad, Ending, Failure, Progress};
use front::Front;
use phase::Phase;

/// The longest packet of those that are read, in bytes. The longest that servers send are OK
/// packets with session state: a few variables, a set of GTIDs.
pub const HELD_LIMIT: usize = 1 << 20;

/// What client and server agreed on: the low half is MySQL's capability flags, the upper half
/// MariaDB's extended ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed(u64);

impl Agreed {
    /// Of these flags.
    pub fn new(flags: u64) -> Self {
        Self(flags)
    }

    /// All flags.
    pub fn flags(self) -> u64 {
        self.0
    }

    /// Whether a flag of the low half is among them.
    pub fn has(self, flag: u32) -> bool {
        self.0 & u64::from(flag) != 0
    }

    /// Whether MariaDB may report progress.
    pub(crate) fn reports_progress(self) -> bool {
        self.0 & MARIADB_PROGRESS != 0
    }

    /// Whether the head of a result set says if column definitions follow.
    fn says_whether_columns_follow(self) -> bool {
        self.has(OPTIONAL_METADATA) || self.0 & MARIADB_CACHE_METADATA != 0
    }
}

/// The head of a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The server's number of the statement.
    pub statement_id: u32,
    /// How many columns its result has.
    pub columns: u16,
    /// How many parameters it has.
    pub parameters: u16,
    /// How many warnings preparing it gave.
    pub warnings: u16,
}

/// What an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A result set of so many columns begins.
    ResultSet {
        /// How many columns a row has.
        columns: usize,
    },
    /// A result ended: without rows, or after its last row, or with a cursor.
    Ended(Ending<'a>),
    /// An error ended the answer.
    Failed(Failure<'a>),
    /// The server asks for a file of the client, by a packet with this number. What it answers to
    /// the file is walked by the same walker.
    File {
        /// Name of the file.
        name: &'a [u8],
        /// Number of the packet; the client's packets go on after it.
        sequence: u8,
    },
    /// A statement is prepared.
    Prepared(Prepared),
    /// MariaDB reports progress.
    Progress(Progress<'a>),
    /// A packet of an authentication (a switch of the plugin, more data), which the client answers.
    Login(&'a [u8]),
}

/// How far the answer was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// How many bytes of the input belong to the answer.
    pub bytes: usize,
    /// Whether it ends with them.
    pub ends: bool,
}

/// A server's answer that is none. The connection to it cannot be used again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// A packet that does not hold what its kind must hold.
    #[error("the server's answer is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// A packet that has to be read, and is too long for it.
    #[error(
        "the server sent a packet of {length} bytes that says how a result ended; at most {HELD_LIMIT} are read"
    )]
    TooLong {
        /// Its length, in bytes.
        length: usize,
    },
}

/// See the module. One walker is one answer.
#[derive(Clone, Debug)]
pub struct Walker {
    agreed: Agreed,
    phase: Phase,
    cursor: Cursor,
    front: Front,
    /// Bytes of the current frame that are still to come.
    left: usize,
    /// What came of a packet that is read and came in pieces.
    held: Vec<u8>,
    /// Whether the current packet is being held.
    holding: bool,
    /// Whether the current frame is full: the next one goes on with the same packet.
    full: bool,
    /// Whether the current frame goes on with a packet.
    continued: bool,
    begun: bool,
    sequence: u8,
}

impl Walker {
    /// For the answer to a command.
    pub fn new(expected: Expected, agreed: Agreed) -> Self {
        let cursor = match expected {
            Expected::Results(cursor) => cursor,
            _ => Cursor::None,
        };
        Self {
            agreed,
            phase: Phase::first(expected),
            cursor,
            front: Front::default(),
            left: 0,
            held: Vec::new(),
            holding: false,
            full: false,
            continued: false,
            begun: false,
            sequence: 0,
        }
    }

    /// Whether the answer has ended.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Whether nothing of the answer has come yet: it may still be asked for elsewhere.
    pub fn is_untouched(&self) -> bool {
        !self.begun
    }

    /// The number that the next packet of the answer has: for one that is put in its place.
    pub fn next_sequence(&self) -> u8 {
        self.sequence
    }

    /// Walks on through what came, up to the end of the answer; what comes after it is not touched.
    ///
    /// # Errors
    /// What came is not an answer to the command. The walker is of no use after that.
    pub fn walk(
        &mut self,
        input: &[u8],
        mut tell: impl FnMut(Event<'_>),
    ) -> Result<Walked, WalkError> {
        let mut at = 0;
        self.begun |= !input.is_empty();
        while !self.has_ended() {
            if self.left == 0 {
                let before = at;
                if !self.front.fill(input, &mut at, self.continued) {
                    break;
                }
                self.begin(input, before, &mut at, &mut tell)?;
                continue;
            }
            let here = self.left.min(input.len() - at);
            if here == 0 {
                break;
            }
            if self.holding {
                self.held.extend_from_slice(&input[at..at + here]);
            }
            at += here;
            self.left -= here;
            if self.left == 0 {
                self.finish(&mut tell)?;
            }
        }
        Ok(Walked { bytes: at, ends: self.has_ended() })
    }

    /// A frame's header, and its first byte unless it goes on with a packet, are known.
    fn begin(
        &mut self,
        input: &[u8],
        before: usize,
        at: &mut usize,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), WalkError> {
        let (length, first) = (self.front.length(), self.front.first());
        self.sequence = self.front.sequence().wrapping_add(1);
        self.front.clear();
        self.full = length == MAX_FRAME;
        self.left = length - usize::from(first.is_some());
        self.holding = !self.continued && self.phase.reads(first, length, self.agreed);
        if self.holding {
            if length > HELD_LIMIT {
                return Err(WalkError::TooLong { length });
            }
            // Read in place where nothing of it came earlier and nothing is still to come.
            let payload = before + HEADER;
            if let Some(packet) = input.get(payload..payload + length)
                && *at == payload + usize::from(first.is_some())
            {
                *at = payload + length;
                self.left = 0;
                self.holding = false;
                return self.read(packet, tell);
            }
            self.held.clear();
            self.held.extend(first);
        }
        if self.left == 0 { self.finish(tell) } else { Ok(()) }
    }

    /// The current frame is at its end.
    fn finish(&mut self, tell: &mut impl FnMut(Event<'_>)) -> Result<(), WalkError> {
        if self.holding {
            self.holding = false;
            let packet = std::mem::take(&mut self.held);
            let read = self.read(&packet, tell);
            self.held = packet;
            if self.has_ended() {
                self.held = Vec::new();
            }
            return read;
        }
        self.continued = self.full;
        if !self.continued {
            self.phase = self.phase.passed(self.agreed)?;
        }
        Ok(())
    }

    /// Reads a packet that says something.
    fn read(&mut self, packet: &[u8], tell: &mut impl FnMut(Event<'_>)) -> Result<(), WalkError> {
        let first = packet.first().copied();
        if first == Some(ERR) {
            match Bad::parse(packet, self.agreed)? {
                Bad::Progress(progress) => tell(Event::Progress(progress)),
                Bad::Failure(failure) => {
                    self.phase = Phase::Done;
                    tell(Event::Failed(failure));
                }
            }
            return Ok(());
        }
        match (self.phase, first) {
            (_, None) => {
                Err(Malformed("an empty packet stands where a result belongs".to_owned()).into())
            }
            (Phase::Results, Some(LOCAL_INFILE)) => {
                let sequence = self.sequence.wrapping_sub(1);
                tell(Event::File { name: &packet[1..], sequence });
                Ok(())
            }
            (Phase::Results, Some(first)) if first != OK => self.result_set(packet, tell),
            (Phase::Prepared, Some(OK)) => self.prepared(packet, tell),
            (Phase::Login, Some(first)) if first != OK => {
                tell(Event::Login(packet));
                Ok(())
            }
            (Phase::Prepared, Some(first)) => {
                Err(Malformed(format!("{first:#04x} begins no prepared statement")).into())
            }
            (Phase::ParametersEnd { columns, defined }, _) => {
                Ending::parse(packet, self.agreed)?;
                self.phase = match defined {
                    true => Phase::columns_of_statement(columns),
                    false => Phase::ends_of_statement(0, columns, false),
                };
                Ok(())
            }
            (Phase::StatementEnd, _) => {
                Ending::parse(packet, self.agreed)?;
                self.phase = Phase::Done;
                Ok(())
            }
            (Phase::ColumnsEnd, _) => {
                let ending = Ending::parse(packet, self.agreed)?;
                self.phase = Phase::Rows { alone: false };
                let cursor = primacy_protocol::capability::STATUS_CURSOR_EXISTS;
                if self.cursor == Cursor::Wanted && ending.status & cursor != 0 {
                    self.ended(ending, tell);
                }
                Ok(())
            }
            (_, Some(OK | EOF)) => {
                let ending = Ending::parse(packet, self.agreed)?;
                self.ended(ending, tell);
                Ok(())
            }
            (_, Some(first)) => {
                Err(Malformed(format!("{first:#04x} does not begin an OK packet")).into())
            }
        }
    }

    fn ended(&mut self, ending: Ending<'_>, tell: &mut impl FnMut(Event<'_>)) {
        self.phase = match self.phase {
            Phase::Results | Phase::Rows { alone: false } if ending.more_results() => {
                Phase::Results
            }
            _ => Phase::Done,
        };
        tell(Event::Ended(ending));
    }

    fn result_set(
        &mut self,
        packet: &[u8],
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), WalkError> {
        let mut reader = Reader::new(packet);
        let count = reader.lenenc_int()?;
        let columns = usize::try_from(count).ok().filter(|count| *count <= MAX_COLUMNS);
        let columns = columns
            .ok_or_else(|| Malformed(format!("a result set of {count} columns was announced")))?;
        let defined =
            !self.agreed.says_whether_columns_follow() || reader.is_empty() || reader.u8()? != 0;
        let definitions = if defined { columns } else { 0 };
        self.phase = Phase::columns(definitions, self.agreed.has(DEPRECATE_EOF));
        tell(Event::ResultSet { columns });
        Ok(())
    }

    fn prepared(
        &mut self,
        packet: &[u8],
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), WalkError> {
        let mut reader = Reader::new(packet);
        reader.u8()?;
        let statement_id = reader.u32()?;
        let (columns, parameters) = (reader.u16()?, reader.u16()?);
        reader.u8()?;
        let warnings = if reader.is_empty() { 0 } else { reader.u16()? };
        let defined = !self.agreed.has(OPTIONAL_METADATA) || reader.is_empty() || reader.u8()? != 0;
        self.phase = match defined {
            true => Phase::parameters_of_statement(parameters, columns),
            false => {
                let no_eof = self.agreed.has(DEPRECATE_EOF);
                Phase::ends_of_statement(parameters, columns, no_eof)
            }
        };
        tell(Event::Prepared(Prepared { statement_id, columns, parameters, warnings }));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
