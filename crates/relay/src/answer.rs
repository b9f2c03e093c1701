//! Answers of the relay's own: OK, errors, ends of result sets, as the client agreed to read them.

use primacy_protocol::capability::{DEPRECATE_EOF, SESSION_TRACK, STATUS_STATE_CHANGED};
use primacy_protocol::frame::MAX_FRAME;
use primacy_protocol::packet::{EOF, ErrPacket, OK, put_lenenc_bytes, put_lenenc_int};

use crate::walker::Agreed;

/// What an OK packet says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done<'a> {
    /// Rows changed.
    pub affected_rows: u64,
    /// First generated `AUTO_INCREMENT` value, or 0.
    pub last_insert_id: u64,
    /// Status flags. Whether the state changed is seen by `state`.
    pub status: u16,
    /// How many warnings `SHOW WARNINGS` would list.
    pub warnings: u16,
    /// Text for people.
    pub info: &'a [u8],
    /// Changes of the session's state as they stand in a packet; left out where the client does not
    /// track it.
    pub state: &'a [u8],
}

/// Writes packets behind one another, with their numbers.
#[derive(Debug)]
pub struct Answers<'a> {
    out: &'a mut Vec<u8>,
    agreed: Agreed,
    sequence: u8,
}

impl<'a> Answers<'a> {
    /// Appends to `out`; `sequence` is the number of the first packet, 1 for the answer to a
    /// command of one frame.
    pub fn new(out: &'a mut Vec<u8>, agreed: Agreed, sequence: u8) -> Self {
        Self { out, agreed, sequence }
    }

    /// The number of the next packet.
    pub fn next_sequence(&self) -> u8 {
        self.sequence
    }

    /// An OK packet.
    pub fn ok(&mut self, done: &Done<'_>) {
        let payload = self.done(OK, done);
        self.packet(&payload);
    }

    /// The end of a result set, or of its columns: an EOF packet, or the OK packet in its place.
    pub fn end(&mut self, done: &Done<'_>) {
        if self.agreed.has(DEPRECATE_EOF) {
            let payload = self.done(EOF, done);
            return self.packet(&payload);
        }
        let mut payload = vec![EOF];
        payload.extend_from_slice(&done.warnings.to_le_bytes());
        payload.extend_from_slice(&(done.status & !STATUS_STATE_CHANGED).to_le_bytes());
        self.packet(&payload);
    }

    /// An error packet.
    pub fn error(&mut self, error: &ErrPacket) {
        self.packet(&error.to_bytes());
    }

    /// Any packet, in as many frames as it needs.
    pub fn packet(&mut self, payload: &[u8]) {
        let mut rest = payload;
        loop {
            let (frame, tail) = rest.split_at(rest.len().min(MAX_FRAME));
            self.out.extend_from_slice(&(frame.len() as u32).to_le_bytes()[..3]);
            self.out.push(self.sequence);
            self.sequence = self.sequence.wrapping_add(1);
            self.out.extend_from_slice(frame);
            rest = tail;
            if frame.len() < MAX_FRAME {
                return;
            }
        }
    }

    fn done(&self, first: u8, done: &Done<'_>) -> Vec<u8> {
        let tracks = self.agreed.has(SESSION_TRACK) && !done.state.is_empty();
        let flag = if tracks { STATUS_STATE_CHANGED } else { 0 };
        let mut out = vec![first];
        put_lenenc_int(&mut out, done.affected_rows);
        put_lenenc_int(&mut out, done.last_insert_id);
        out.extend_from_slice(&(done.status & !STATUS_STATE_CHANGED | flag).to_le_bytes());
        out.extend_from_slice(&done.warnings.to_le_bytes());
        if !self.agreed.has(SESSION_TRACK) {
            out.extend_from_slice(done.info);
        } else if tracks || !done.info.is_empty() {
            put_lenenc_bytes(&mut out, done.info);
            if tracks {
                put_lenenc_bytes(&mut out, done.state);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Expected;
    use crate::walker::{Event, Walker};
    use proptest::prelude::*;

    #[test]
    fn an_end_is_written_as_the_client_agreed() {
        let mut out = Vec::new();
        let done = Done { status: 0x22, warnings: 3, ..Done::default() };
        Answers::new(&mut out, Agreed::default(), 5).end(&done);
        assert_eq!(out, b"\x05\0\0\x05\xfe\x03\0\x22\0");
        out.clear();
        Answers::new(&mut out, Agreed::new(DEPRECATE_EOF.into()), 5).end(&done);
        assert_eq!(out, b"\x07\0\0\x05\xfe\0\0\x22\0\x03\0");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            affected_rows: u64,
            last_insert_id: u64,
            warnings: u16,
            info in prop::collection::vec(b' '..b'z', 0..300),
            state in prop::collection::vec(any::<u8>(), 0..300),
            tracks: bool,
        ) {
            let agreed = Agreed::new(if tracks { SESSION_TRACK.into() } else { 0 });
            let done = Done {
                affected_rows, last_insert_id, status: 2, warnings, info: &info, state: &state,
            };
            let mut out = Vec::new();
            Answers::new(&mut out, agreed, 1).ok(&done);
            let mut found = 0;
            let walked = Walker::new(Expected::Status, agreed).walk(&out, |event| {
                let Event::Ended(ending) = event else { panic!("{event:?}") };
                assert_eq!(ending.affected_rows, affected_rows);
                assert_eq!((ending.last_insert_id, ending.warnings), (last_insert_id, warnings));
                if tracks {
                    assert_eq!((ending.info, ending.state), (&info[..], &state[..]));
                }
                found += 1;
            });
            prop_assert!(walked.unwrap().ends);
            prop_assert_eq!(found, 1);
        }
    }
}
