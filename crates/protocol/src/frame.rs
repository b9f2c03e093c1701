//! Frames: how packets are cut for the wire. Three bytes of length, one sequence number, payload;
//! a payload of 16 MiB - 1 bytes is continued by the next frame.
//!
//! No sockets here: bytes in, packets out, for client, server and proxy alike.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest payload of one frame; a longer packet is sent in several.
pub const MAX_FRAME: usize = 0xFF_FFFF;
/// Length of a frame's header.
pub const HEADER: usize = 4;

/// The most room that is made for bytes that were announced and have not come.
const MAX_RESERVE: usize = 128 * 1024;

/// A whole packet, put together from its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What the frames carried.
    pub payload: Bytes,
    /// Sequence number of the first frame.
    pub sequence: u8,
    /// Whether that number, and those of the frames after it, were the expected ones.
    pub in_order: bool,
}

/// The peer wants to send a packet that is longer than we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packet of {announced} bytes or more was announced where at most {limit} are taken")]
pub struct TooLong {
    /// What has been announced so far.
    pub announced: usize,
    /// What was allowed.
    pub limit: usize,
}

/// Puts packets together and counts sequence numbers, for both directions of one connection.
#[derive(Debug, Default)]
pub struct Framer {
    /// Frames of a packet whose last frame has not come yet.
    parts: BytesMut,
    /// Sequence number of the first of these parts.
    started: Option<(u8, bool)>,
    /// The number that the next frame, read or written, must have.
    next: u8,
}

impl Framer {
    /// A new command: sequence numbers start from 0.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Takes the next whole packet out of `buffer`, or `None` if more bytes are needed. A packet
    /// longer than `limit` is refused as soon as its header is read.
    pub fn decode(
        &mut self,
        buffer: &mut BytesMut,
        limit: usize,
    ) -> Result<Option<Packet>, TooLong> {
        loop {
            let Some(&[a, b, c, sequence]) = buffer.first_chunk::<HEADER>() else {
                return Ok(None);
            };
            let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
            let announced = self.parts.len() + length;
            if announced > limit {
                return Err(TooLong { announced, limit });
            }
            if buffer.len() < HEADER + length {
                // Room for what comes next, but never by the mere word of a stranger.
                buffer.reserve((HEADER + length - buffer.len()).min(MAX_RESERVE));
                return Ok(None);
            }
            let in_order = sequence == self.next;
            self.next = sequence.wrapping_add(1);
            let (first, ordered) = self.started.unwrap_or((sequence, true));
            let ordered = ordered && in_order;
            buffer.advance(HEADER);
            let part = buffer.split_to(length);
            if length == MAX_FRAME {
                self.parts.unsplit(part);
                self.started = Some((first, ordered));
                continue;
            }
            let payload = if self.started.take().is_some() {
                let mut whole = std::mem::take(&mut self.parts);
                whole.unsplit(part);
                whole
            } else {
                part
            };
            let packet = Packet { payload: payload.freeze(), sequence: first, in_order: ordered };
            return Ok(Some(packet));
        }
    }

    /// Appends the frames of `payload` to `out`.
    pub fn encode(&mut self, payload: &[u8], out: &mut BytesMut) {
        self.encode_parts(&[payload], out);
    }

    /// Appends the frames of one payload, whose parts lie in several places, to `out`.
    pub fn encode_parts(&mut self, parts: &[&[u8]], out: &mut BytesMut) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        out.reserve(length + HEADER * (length / MAX_FRAME + 1));
        let mut left = length;
        let mut room = self.open_frame(left, out);
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                if room == 0 {
                    room = self.open_frame(left, out);
                }
                let (fits, tail) = rest.split_at(rest.len().min(room));
                out.put_slice(fits);
                room -= fits.len();
                left -= fits.len();
                rest = tail;
            }
        }
        if length > 0 && length.is_multiple_of(MAX_FRAME) {
            // The last frame is full: only an empty one after it says that the packet ends.
            self.open_frame(0, out);
        }
    }

    /// Writes the header of the next frame of a packet that has `left` bytes left; returns how
    /// many of them are this frame's.
    fn open_frame(&mut self, left: usize, out: &mut BytesMut) -> usize {
        let length = left.min(MAX_FRAME);
        out.put_uint_le(length as u64, 3);
        out.put_u8(self.next);
        self.next = self.next.wrapping_add(1);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(payload: &[u8]) -> Packet {
        let mut wire = BytesMut::new();
        Framer::default().encode(payload, &mut wire);
        let packet = Framer::default().decode(&mut wire, usize::MAX).unwrap().unwrap();
        assert!(wire.is_empty());
        packet
    }

    #[test]
    fn packets_around_16_mib_survive_being_split() {
        for length in [0, 1, MAX_FRAME - 1, MAX_FRAME, MAX_FRAME + 1, 2 * MAX_FRAME] {
            let payload = vec![7_u8; length];
            let packet = there_and_back(&payload);
            assert!(packet.in_order);
            assert!(packet.payload == payload, "{length} bytes were changed");
        }
    }

    #[test]
    fn a_packet_in_parts_is_framed_as_a_whole() {
        let payload = vec![7_u8; MAX_FRAME + 10];
        for cut in [0, 1, MAX_FRAME, MAX_FRAME + 10] {
            let (mut whole, mut parts) = (BytesMut::new(), BytesMut::new());
            Framer::default().encode(&payload, &mut whole);
            let (a, b) = payload.split_at(cut);
            Framer::default().encode_parts(&[a, &[], b], &mut parts);
            assert!(whole == parts, "cut at {cut}");
        }
    }

    #[test]
    fn a_packet_beyond_the_limit_is_refused_by_its_header() {
        let mut wire = BytesMut::from(&b"HTTP/1.1 400 Bad Request"[..]);
        let refused = Framer::default().decode(&mut wire, 65_536).unwrap_err();
        assert_eq!(refused, TooLong { announced: 0x54_5448, limit: 65_536 });
        let mut wire = BytesMut::new();
        Framer::default().encode(&vec![0; MAX_FRAME + 10], &mut wire);
        assert!(Framer::default().decode(&mut wire, MAX_FRAME + 9).is_err());
    }

    #[test]
    fn a_frame_out_of_order_is_marked() {
        let mut framer = Framer::default();
        let mut wire = BytesMut::from(&[1, 0, 0, 5, 0xFF][..]);
        assert!(!framer.decode(&mut wire, 100).unwrap().unwrap().in_order);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut wire = BytesMut::from(&bytes[..]);
            let mut framer = Framer::default();
            while let Ok(Some(_)) = framer.decode(&mut wire, 1 << 20) {}
        }

        #[test]
        fn bytes_may_come_one_by_one(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut wire = BytesMut::new();
            Framer::default().encode(&payload, &mut wire);
            let (mut framer, mut seen) = (Framer::default(), BytesMut::new());
            let mut found = None;
            for byte in &wire {
                prop_assert!(found.is_none());
                seen.put_u8(*byte);
                found = framer.decode(&mut seen, 1000).unwrap();
            }
            prop_assert_eq!(&found.unwrap().payload[..], &payload[..]);
        }
    }
}
