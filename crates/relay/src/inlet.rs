//! Cuts what a client sends into commands, inside the buffer that it was read into.
//!
//! A command that fits the window is given out when all of it is there. A longer one is given out
//! with what is there of it, and the rest is passed on as it comes: a packet of a gigabyte is never
//! kept. The same for the file that a client sends for `LOAD DATA LOCAL`.
//!
//! Sources: "MySQL Packets", "Sending More Than 16Mb" and "LOCAL INFILE Data" in MySQL's source
//! documentation; `ER_NET_PACKET_TOO_LARGE`, `ER_NET_PACKETS_OUT_OF_ORDER` in its error reference.

use primacy_protocol::frame::{HEADER, MAX_FRAME};
use primacy_protocol::packet::ErrPacket;

use crate::command::Refusal;

/// What is wrong with what a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A packet longer than `max_allowed_packet`.
    #[error("the client sends a packet of {announced} bytes or more, {limit} are allowed")]
    TooLong {
        /// What was announced so far, in bytes.
        announced: u64,
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// A frame that does not have the number that belongs here.
    #[error("the client sent packet number {found} where {expected} belongs")]
    OutOfOrder {
        /// The number that it has.
        found: u8,
        /// The number that it should have.
        expected: u8,
    },
    /// A packet without a command.
    #[error("the client sent an empty packet where a command belongs")]
    Empty,
}

impl CommandError {
    /// What a server answers before it ends the connection.
    pub fn answer(&self) -> ErrPacket {
        match self {
            Self::TooLong { .. } => {
                ErrPacket::new(1153, "08S01", "Got a packet bigger than 'max_allowed_packet' bytes")
            }
            Self::OutOfOrder { .. } => ErrPacket::new(1156, "08S01", "Got packets out of order"),
            Self::Empty => Refusal::Unknown.answer(),
        }
    }
}

/// A command, or its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Its number.
    pub code: u8,
    /// What follows the number: all of it, or what is there of its first frame.
    pub argument: &'a [u8],
    /// How many bytes of the input belong to it, headers included.
    pub bytes: usize,
    /// Whether nothing of it is still to come; else [`Inlet::pass`] takes the rest.
    pub whole: bool,
}

/// What [`Inlet::take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<'a> {
    /// At least so many more bytes are needed.
    Needs(usize),
    /// A command.
    Command(Command<'a>),
}

/// What [`Inlet::pass`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How many bytes of the input belong to what is passed on.
    pub bytes: usize,
    /// Whether it ends with them.
    pub ends: bool,
}

/// What is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// Nothing: a command is next.
    Nothing,
    /// The rest of a command.
    Command,
    /// The packets of a file, of which the last one is empty.
    File,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Inlet {
    limit: u64,
    window: usize,
    passing: Passing,
    /// Bytes of the current frame that have not been passed.
    left: usize,
    /// Whether another frame of the same packet follows.
    continues: bool,
    /// A header that has not come as a whole.
    header: [u8; HEADER],
    have: usize,
    /// Length of the packet up to here.
    length: u64,
    sequence: u8,
}

impl Inlet {
    /// For packets of at most `limit` bytes (`max_allowed_packet`), of which those of at most
    /// `window` bytes are given out whole.
    pub fn new(limit: u64, window: usize) -> Self {
        Self {
            limit,
            window: window.clamp(1, MAX_FRAME - 1),
            passing: Passing::Nothing,
            left: 0,
            continues: false,
            header: [0; HEADER],
            have: 0,
            length: 0,
            sequence: 0,
        }
    }

    /// The longest packet from now on: the session's `max_allowed_packet`.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Whether the rest of something has to be passed on before the next command.
    pub fn is_passing(&self) -> bool {
        self.passing != Passing::Nothing
    }

    /// The number that an answer to the command (or to the file) begins with.
    pub fn next_sequence(&self) -> u8 {
        self.sequence
    }

    /// Looks at the front of `input` for the next command. Nothing is kept of the input: unless a
    /// command is found, the same bytes and more are given again. While something
    /// [is passed](Self::is_passing) no command is found.
    ///
    /// # Errors
    /// The client does not follow the protocol, or sends more than it may.
    pub fn take<'a>(&mut self, input: &'a [u8]) -> Result<Taken<'a>, CommandError> {
        if self.is_passing() {
            return Ok(Taken::Needs(1));
        }
        let Some((&[a, b, c, sequence], payload)) = input.split_first_chunk::<HEADER>() else {
            return Ok(Taken::Needs(HEADER - input.len()));
        };
        let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        self.check(length as u64, sequence, 0)?;
        if length == 0 {
            return Err(CommandError::Empty);
        }
        let wanted = length.min(self.window);
        let Some((&code, rest)) = payload.split_first().filter(|_| payload.len() >= wanted) else {
            return Ok(Taken::Needs(wanted - payload.len()));
        };
        let here = payload.len().min(length);
        self.sequence = 1;
        self.length = length as u64;
        let whole = here == length && length < MAX_FRAME;
        if !whole {
            self.passing = Passing::Command;
            self.left = length - here;
            self.continues = length == MAX_FRAME;
            self.have = 0;
        }
        let argument = &rest[..here - 1];
        Ok(Taken::Command(Command { code, argument, bytes: HEADER + here, whole }))
    }

    /// The client is asked for a file by a packet with this number: its next packets are the file.
    pub fn expect_file(&mut self, asked: u8) {
        self.passing = Passing::File;
        self.left = 0;
        self.continues = false;
        self.have = 0;
        self.length = 0;
        self.sequence = asked.wrapping_add(1);
    }

    /// Takes from the front of `input` what belongs to what is passed on.
    ///
    /// # Errors
    /// The client does not follow the protocol, or sends more than it may.
    pub fn pass(&mut self, input: &[u8]) -> Result<Passed, CommandError> {
        let mut at = 0;
        while self.is_passing() {
            let here = self.left.min(input.len() - at);
            at += here;
            self.left -= here;
            if self.left > 0 {
                break;
            }
            if self.passing == Passing::Command && !self.continues {
                self.passing = Passing::Nothing;
                break;
            }
            while self.have < HEADER && at < input.len() {
                self.header[self.have] = input[at];
                self.have += 1;
                at += 1;
            }
            if self.have < HEADER {
                break;
            }
            let [a, b, c, sequence] = self.header;
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let before = if self.continues { self.length } else { 0 };
            self.check(before + length as u64, sequence, self.sequence)?;
            // A file ends with an empty packet; an empty frame after a full one ends but a packet.
            if self.passing == Passing::File && length == 0 && !self.continues {
                self.passing = Passing::Nothing;
            }
            self.have = 0;
            self.length = before + length as u64;
            self.sequence = sequence.wrapping_add(1);
            self.left = length;
            self.continues = length == MAX_FRAME;
        }
        Ok(Passed { bytes: at, ends: !self.is_passing() })
    }

    fn check(&self, announced: u64, found: u8, expected: u8) -> Result<(), CommandError> {
        if found != expected {
            return Err(CommandError::OutOfOrder { found, expected });
        }
        if announced > self.limit {
            return Err(CommandError::TooLong { announced, limit: self.limit });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(payload: &[u8], mut sequence: u8) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = payload;
        loop {
            let (frame, tail) = rest.split_at(rest.len().min(MAX_FRAME));
            out.extend_from_slice(&(frame.len() as u32).to_le_bytes()[..3]);
            out.push(sequence);
            out.extend_from_slice(frame);
            sequence = sequence.wrapping_add(1);
            rest = tail;
            if frame.len() < MAX_FRAME {
                return out;
            }
        }
    }

    /// How many bytes of the input are a command and all that is passed on for it.
    fn extent(
        inlet: &mut Inlet,
        input: &[u8],
        chunk: usize,
    ) -> Result<Option<usize>, CommandError> {
        let mut have = 0;
        let mut at = 0;
        loop {
            have = (have + chunk).min(input.len());
            match inlet.take(&input[..have])? {
                Taken::Needs(_) if have == input.len() => return Ok(None),
                Taken::Needs(_) => continue,
                Taken::Command(command) => at += command.bytes,
            }
            while inlet.is_passing() {
                let end = (at + chunk).min(input.len());
                if end == at {
                    return Ok(None);
                }
                at += inlet.pass(&input[at..end])?.bytes;
            }
            return Ok(Some(at));
        }
    }

    #[test]
    fn a_short_command_comes_whole_and_the_next_one_stays() {
        let mut input = frames(b"\x03SELECT 1", 0);
        let length = input.len();
        input.extend(frames(b"\x0e", 0));
        let mut inlet = Inlet::new(1 << 20, 4096);
        assert_eq!(inlet.take(&input[..2]), Ok(Taken::Needs(2)));
        assert_eq!(inlet.take(&input[..length - 1]), Ok(Taken::Needs(1)));
        let command = Command { code: 3, argument: b"SELECT 1", bytes: length, whole: true };
        assert_eq!(inlet.take(&input), Ok(Taken::Command(command)));
        let ping = Command { code: 0x0E, argument: b"", bytes: 5, whole: true };
        assert_eq!(inlet.take(&input[length..]), Ok(Taken::Command(ping)));
    }

    #[test]
    fn packets_around_16_mib_are_passed_to_their_end_and_no_further() {
        for length in [MAX_FRAME - 1, MAX_FRAME, MAX_FRAME + 1, 2 * MAX_FRAME] {
            let mut input = frames(&vec![3; length], 0);
            let whole = input.len();
            input.extend(frames(b"\x0e", 0));
            for chunk in [1 << 14, MAX_FRAME + 3, usize::MAX / 2] {
                let mut inlet = Inlet::new(u64::MAX, 1 << 12);
                assert_eq!(extent(&mut inlet, &input, chunk), Ok(Some(whole)), "{length} {chunk}");
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused_by_its_header() {
        let input = frames(&[3; 100], 0);
        let error = Inlet::new(99, 4096).take(&input[..4]).unwrap_err();
        assert_eq!(error, CommandError::TooLong { announced: 100, limit: 99 });
        assert_eq!(error.answer().code, 1153);
        let long = frames(&vec![3; MAX_FRAME + 10], 0);
        let limit = MAX_FRAME as u64 + 9;
        let refused = extent(&mut Inlet::new(limit, 4096), &long, 1 << 16).unwrap_err();
        assert_eq!(refused, CommandError::TooLong { announced: limit + 1, limit });
    }

    #[test]
    fn numbers_out_of_order_and_empty_packets_are_refused() {
        let found = Inlet::new(99, 99).take(b"\x01\0\0\x05\x0e").unwrap_err();
        assert_eq!(found, CommandError::OutOfOrder { found: 5, expected: 0 });
        let empty = Inlet::new(99, 99).take(b"\0\0\0\0").unwrap_err();
        assert_eq!((empty, empty.answer().code), (CommandError::Empty, 1047));
    }

    #[test]
    fn a_file_ends_with_an_empty_packet_but_not_with_an_empty_frame() {
        // A packet of exactly one full frame, a short one, and the end.
        let mut input = frames(&vec![7; MAX_FRAME], 2);
        input.extend(frames(b"a\n", 4));
        input.extend(frames(b"", 5));
        let length = input.len();
        input.extend(frames(b"\x0e", 0));
        for chunk in [1 << 15, usize::MAX / 2] {
            let mut inlet = Inlet::new(u64::MAX, 99);
            inlet.expect_file(1);
            let mut at = 0;
            while inlet.is_passing() {
                at += inlet.pass(&input[at..(at + chunk.min(input.len() - at))]).unwrap().bytes;
            }
            assert_eq!((at, inlet.next_sequence()), (length, 6));
        }
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_commands(
            bytes in prop::collection::vec(prop_oneof![Just(0_u8), 0_u8..9, any::<u8>()], 0..200),
            window in 1_usize..40,
            chunk in 1_usize..20,
        ) {
            let whole = extent(&mut Inlet::new(5000, window), &bytes, usize::MAX / 2);
            let pieces = extent(&mut Inlet::new(5000, window), &bytes, chunk);
            prop_assert_eq!(whole, pieces);
        }
    }
}
