//! Compressed packets: a stream of packets, cut anywhere, in packets of their own.
//!
//! Each has a header of seven bytes: how long it is, its own number, and how long it is inflated, or
//! 0 where it was not worth compressing. Nothing is inflated to more than its header says, and no
//! header says more than 16 MiB - 1: a bomb is an error before it has taken that much.
//!
//! Sources: "Compressed Packet" in MySQL's source documentation; "Compression" in MariaDB's protocol
//! manual (zlib only).

use std::io::{self, Read, Write as _};

use flate2::write::{ZlibDecoder, ZlibEncoder};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// How packets are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// `CLIENT_COMPRESS`.
    Zlib,
    /// `CLIENT_ZSTD_COMPRESSION_ALGORITHM` (MySQL 8.0.18 and later). Written at the fastest level,
    /// whichever the client asks for: the level is the sender's own affair.
    Zstd,
}

const HEADER: usize = 7;
/// Shorter ones are sent as they are (`MIN_COMPRESS_LENGTH`).
const WORTH_IT: usize = 50;
/// The most that one compressed packet carries.
const MOST: usize = 0xFF_FFFF;
/// A window that every frame of Zstandard may ask for, in bytes: one block.
const LEAST_WINDOW: usize = 1 << 17;
/// What is compressed at once: little enough to be kept for every session.
const PIECE: usize = 1 << 18;

/// A compressed packet that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// Its number is not the expected one.
    #[error("compressed packet number {found} came where {expected} belongs")]
    OutOfOrder {
        /// The number that it has.
        found: u8,
        /// The number that it should have.
        expected: u8,
    },
    /// It does not become what its header says.
    #[error("a compressed packet does not become the {announced} bytes that it announced")]
    Broken {
        /// What was announced, in bytes.
        announced: usize,
    },
}

/// Both directions of one connection, which count their packets together. The packets inside have
/// numbers that MySQL's and MariaDB's servers take from the compressed ones: they tell nothing.
#[derive(Clone, Debug)]
pub struct Compression {
    algorithm: Algorithm,
    next: u8,
}

impl Compression {
    /// For what comes after the login.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, next: 0 }
    }

    /// A new command: numbers start from 0.
    pub fn restart(&mut self) {
        self.next = 0;
    }

    /// Takes one compressed packet off the front of `input`, and appends what it carries to `out`;
    /// how many bytes of the input it had, or `None` if more are needed. Of a client's packets the
    /// one with number 0 begins a new command.
    ///
    /// # Errors
    /// The packet is out of order or broken. Not more than it announced was appended.
    pub fn inflate(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<usize>, CompressionError> {
        let Some((&[a, b, c, number, d, e, f], rest)) = input.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16;
        let announced = usize::from(d) | usize::from(e) << 8 | usize::from(f) << 16;
        if number != self.next && number != 0 {
            return Err(CompressionError::OutOfOrder { found: number, expected: self.next });
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        if announced == 0 {
            out.extend_from_slice(payload);
        } else {
            let before = out.len();
            let mut bounded = Bounded { out, left: announced };
            let inflated = match self.algorithm {
                Algorithm::Zlib => unzip(payload, &mut bounded),
                Algorithm::Zstd => unzstd(payload, &mut bounded),
            };
            if inflated.is_err() || out.len() - before != announced {
                out.truncate(before);
                return Err(CompressionError::Broken { announced });
            }
        }
        self.next = number.wrapping_add(1);
        Ok(Some(HEADER + length))
    }

    /// Appends `bytes`, which are packets or parts of them, to `out` in compressed packets.
    pub fn deflate(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for piece in bytes.chunks(PIECE) {
            let packed = match self.algorithm {
                _ if piece.len() < WORTH_IT => None,
                Algorithm::Zlib => zip(piece),
                Algorithm::Zstd => Some(compress_to_vec(piece, CompressionLevel::Fastest)),
            };
            let packed = packed.filter(|packed| packed.len() < piece.len());
            let announced = if packed.is_some() { piece.len() } else { 0 };
            let payload = packed.as_deref().unwrap_or(piece);
            debug_assert!(payload.len() <= MOST);
            out.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
            out.push(self.next);
            out.extend_from_slice(&(announced as u32).to_le_bytes()[..3]);
            out.extend_from_slice(payload);
            self.next = self.next.wrapping_add(1);
        }
    }
}

/// Takes as many bytes as were announced, and not one more.
struct Bounded<'a> {
    out: &'a mut Vec<u8>,
    left: usize,
}

impl io::Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::InvalidData)?;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn unzip(payload: &[u8], out: &mut Bounded<'_>) -> io::Result<()> {
    let mut decoder = ZlibDecoder::new(out);
    decoder.write_all(payload)?;
    decoder.try_finish()
}

fn unzstd(payload: &[u8], out: &mut Bounded<'_>) -> io::Result<()> {
    // Who compresses a piece at once needs no window beyond it; what a frame asks for is made room
    // for before anything is read.
    let mut frames = FrameDecoder::new();
    frames.set_max_window_size(out.left.max(LEAST_WINDOW) as u64);
    let mut decoder = StreamingDecoder::new_with_decoder(payload, frames)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut piece = [0; 1 << 14];
    loop {
        match decoder.read(&mut piece)? {
            0 => return Ok(()),
            count => out.write_all(&piece[..count])?,
        }
    }
}

fn zip(piece: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(piece).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOTH: [Algorithm; 2] = [Algorithm::Zlib, Algorithm::Zstd];

    fn inflated(algorithm: Algorithm, bytes: &[u8]) -> Result<Vec<u8>, CompressionError> {
        let (mut compression, mut out, mut at) = (Compression::new(algorithm), Vec::new(), 0);
        while let Some(count) = compression.inflate(&bytes[at..], &mut out)? {
            at += count;
        }
        assert_eq!(at, bytes.len(), "nothing is left");
        Ok(out)
    }

    #[test]
    fn what_is_deflated_is_inflated_to_the_same() {
        for algorithm in BOTH {
            for length in [1, 49, 50, 5000, PIECE, PIECE + 1, 3 * PIECE] {
                let bytes: Vec<u8> = (0..length).map(|n| (n / 7) as u8).collect();
                let mut out = Vec::new();
                Compression::new(algorithm).deflate(&bytes, &mut out);
                assert!(length < 5000 || out.len() < length / 2);
                assert_eq!(inflated(algorithm, &out), Ok(bytes));
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_explodes() {
        for algorithm in BOTH {
            let bytes = vec![0; PIECE];
            let mut out = Vec::new();
            Compression::new(algorithm).deflate(&bytes, &mut out);
            // It says that it is a hundred bytes.
            out[4..7].copy_from_slice(&[100, 0, 0]);
            assert_eq!(inflated(algorithm, &out), Err(CompressionError::Broken { announced: 100 }));
            // It says that it is more than it is.
            out[4..7].copy_from_slice(&[0xFF, 0xFF, 0xFF]);
            assert!(inflated(algorithm, &out).is_err());
        }
    }

    #[test]
    fn a_window_beyond_what_was_announced_is_not_made_room_for() {
        // Magic number; a window of 64 MiB; an empty last block.
        let frame = b"\x28\xb5\x2f\xfd\x00\x80\x01\0\0";
        let packet = [&[frame.len() as u8, 0, 0, 0, 100, 0, 0][..], frame].concat();
        let broken = Err(CompressionError::Broken { announced: 100 });
        assert_eq!(inflated(Algorithm::Zstd, &packet), broken);
    }

    #[test]
    fn the_example_of_the_manual() {
        // "\x2e\0\0\0\x03select \"012345678901234567890123456789012345\"", MySQL's documentation.
        let packet = b"\x22\0\0\0\x32\0\0\x78\x9c\xd3\x63\x60\x60\x60\x2e\x4e\xcd\x49\x4d\x2e\x51\
            \x50\x32\x30\x34\x32\x36\x31\x35\x33\xb7\xb0\xc4\xcd\x52\x02\x00\x0c\xd1\x0a\x6c";
        let found = inflated(Algorithm::Zlib, packet).unwrap();
        assert_eq!(found[..12], b"\x2e\0\0\0\x03select "[..]);
        assert_eq!(found.len(), 50);
    }

    #[test]
    fn numbers_go_on_until_a_new_command() {
        let mut compression = Compression::new(Algorithm::Zlib);
        let mut out = Vec::new();
        compression.deflate(b"one", &mut out);
        compression.deflate(b"two", &mut out);
        assert_eq!((out[3], out[13]), (0, 1));
        let mut reader = Compression::new(Algorithm::Zlib);
        let mut found = Vec::new();
        assert_eq!(reader.inflate(&out[..4], &mut found), Ok(None));
        assert_eq!(reader.inflate(&out, &mut found), Ok(Some(10)));
        let skipped = [&[1, 0, 0, 5, 0, 0, 0][..], b"x"].concat();
        let error = CompressionError::OutOfOrder { found: 5, expected: 1 };
        assert_eq!(reader.inflate(&skipped, &mut found), Err(error));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..3000), zstd: bool) {
            let algorithm = BOTH[usize::from(zstd)];
            let mut out = Vec::new();
            Compression::new(algorithm).deflate(&bytes, &mut out);
            prop_assert_eq!(inflated(algorithm, &out), Ok(bytes));
        }

        #[test]
        fn arbitrary_bytes_never_panic_nor_give_more_than_announced(
            payload in prop::collection::vec(any::<u8>(), 0..200), announced in 0_u16..2000, zstd: bool,
        ) {
            let length = (payload.len() as u32).to_le_bytes();
            let announced = announced.to_le_bytes();
            let packet = [&length[..3], &[0], &announced, &[0], &payload].concat();
            let mut out = Vec::new();
            let mut compression = Compression::new(BOTH[usize::from(zstd)]);
            let _ = compression.inflate(&packet, &mut out);
            prop_assert!(out.len() <= 2000);
        }
    }
}
