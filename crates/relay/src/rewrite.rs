//! Changes numbers in packets that pass by, in place: those of prepared statements, of connections,
//! and of packets.

use primacy_protocol::frame::{HEADER, MAX_FRAME};
use primacy_protocol::packet::OK;

/// Puts the server's number of a prepared statement into a command that
/// [names one](crate::CommandKind::names_statement); `argument` is what follows the code. False if
/// it is too short, and nothing was changed.
pub fn statement_id(argument: &mut [u8], id: u32) -> bool {
    put(argument, id)
}

/// Puts the server's number of a connection into `COM_PROCESS_KILL`. False if it is too short.
pub fn connection_id(argument: &mut [u8], id: u32) -> bool {
    put(argument, id)
}

fn put(argument: &mut [u8], id: u32) -> bool {
    match argument.first_chunk_mut::<4>() {
        Some(place) => {
            *place = id.to_le_bytes();
            true
        }
        None => false,
    }
}

/// Puts the client's number of a prepared statement into the answer to `COM_STMT_PREPARE`, in
/// however many pieces that comes. An error is left as it is.
#[derive(Clone, Copy, Debug)]
pub struct PreparedId {
    id: [u8; 4],
    /// How many bytes of the answer were seen; none is looked at after the number.
    seen: usize,
}

impl PreparedId {
    /// For an answer that has not begun.
    pub fn new(id: u32) -> Self {
        Self { id: id.to_le_bytes(), seen: 0 }
    }

    /// The next piece of the answer. The [`Walker`](crate::Walker) goes before, to tell the
    /// server's number.
    pub fn pass(&mut self, piece: &mut [u8]) {
        const ID: usize = HEADER + 1;
        const END: usize = ID + 4;
        for byte in piece.iter_mut().take(END.saturating_sub(self.seen)) {
            match self.seen {
                HEADER if *byte != OK => {
                    self.seen = END;
                    return;
                }
                ID..END => *byte = self.id[self.seen - ID],
                _ => {}
            }
            self.seen += 1;
        }
    }
}

/// Adds to the numbers of all packets that pass by, where packets were put before them or taken
/// away.
#[derive(Clone, Copy, Debug)]
pub struct Renumber {
    shift: u8,
    /// Bytes up to the number of the next frame, of which the first three are its length.
    header: [u8; 3],
    have: usize,
    left: usize,
}

impl Renumber {
    /// By `shift`, modulo 256: 255 is one less.
    pub fn by(shift: u8) -> Self {
        Self { shift, header: [0; 3], have: 0, left: 0 }
    }

    /// The next piece of what passes by.
    pub fn pass(&mut self, piece: &mut [u8]) {
        let mut at = 0;
        while at < piece.len() {
            if self.left > 0 {
                let here = self.left.min(piece.len() - at);
                self.left -= here;
                at += here;
                continue;
            }
            let byte = &mut piece[at];
            at += 1;
            if self.have < 3 {
                self.header[self.have] = *byte;
                self.have += 1;
                continue;
            }
            *byte = byte.wrapping_add(self.shift);
            let [a, b, c] = self.header;
            self.left = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            debug_assert!(self.left <= MAX_FRAME);
            self.have = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_statements_and_connections_are_put_in() {
        let mut argument = *b"\x01\0\0\0rest";
        assert!(statement_id(&mut argument, 0x0102_0304));
        assert_eq!(&argument, b"\x04\x03\x02\x01rest");
        assert!(!connection_id(&mut [1, 2, 3], 7));
    }

    #[test]
    fn a_prepared_answer_gets_its_number_in_any_pieces_and_an_error_does_not() {
        let answer = *b"\x0c\0\0\x01\0\x01\0\0\0\x01\0\0\0\0\0\0next";
        let error = *b"\x0c\0\0\x01\xff\x28\x04#42000syntax";
        for chunk in 1..answer.len() {
            let (mut changed, mut same) = (answer, error);
            let (mut id, mut none) = (PreparedId::new(0xAABB_CCDD), PreparedId::new(7));
            changed.chunks_mut(chunk).for_each(|piece| id.pass(piece));
            same.chunks_mut(chunk).for_each(|piece| none.pass(piece));
            assert_eq!(&changed[..10], b"\x0c\0\0\x01\0\xdd\xcc\xbb\xaa\x01");
            assert_eq!((&changed[10..], same), (&answer[10..], error));
        }
    }

    proptest! {
        #[test]
        fn all_frames_are_renumbered_in_any_pieces(
            lengths in prop::collection::vec(0_usize..300, 1..8),
            shift: u8,
            chunk in 1_usize..400,
        ) {
            let frames = |first: u8| -> Vec<u8> {
                let frame = |(number, length): (usize, &usize)| {
                    let head = [*length as u8, (*length >> 8) as u8, 0, first.wrapping_add(number as u8)];
                    [&head[..], &vec![7; *length]].concat()
                };
                lengths.iter().enumerate().flat_map(frame).collect()
            };
            let mut bytes = frames(250);
            let mut renumber = Renumber::by(shift);
            bytes.chunks_mut(chunk).for_each(|piece| renumber.pass(piece));
            prop_assert_eq!(bytes, frames(250_u8.wrapping_add(shift)));
        }
    }
}
