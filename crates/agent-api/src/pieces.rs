//! A long stream of bytes in checksummed pieces: each has its length and CRC32 before it, the last
//! says how many bytes there were. What ends without that is not complete.

/// No piece is larger.
pub const LARGEST: usize = 256 << 10;

const END: u32 = 0;
const PAUSED: u32 = u32::MAX;
const FAILED: u32 = u32::MAX - 1;

/// A piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Nothing is sent for now, on purpose.
    Paused,
    /// The stream is complete; so many bytes were sent.
    End(u64),
    /// The sender failed.
    Failed(String),
}

/// A stream that is not what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(String);

impl Piece {
    /// As it travels.
    pub fn encode(&self) -> Vec<u8> {
        let (tag, body) = match self {
            Self::Bytes(bytes) => (u32::try_from(bytes.len()).unwrap_or(FAILED), bytes.clone()),
            Self::Paused => (PAUSED, Vec::new()),
            Self::End(total) => (END, total.to_be_bytes().to_vec()),
            Self::Failed(text) => {
                let text: String = text.chars().take(4000).collect();
                let mut body = u32::try_from(text.len()).unwrap_or(0).to_be_bytes().to_vec();
                body.extend(text.into_bytes());
                (FAILED, body)
            }
        };
        let mut all = Vec::with_capacity(body.len() + 8);
        all.extend(tag.to_be_bytes());
        all.extend(crc32fast::hash(&body).to_be_bytes());
        all.extend(body);
        all
    }
}

/// Takes bytes as they come and gives pieces. Never holds more than one piece and what came with it.
#[derive(Debug, Default)]
pub struct Decoder {
    held: Vec<u8>,
    total: u64,
}

impl Decoder {
    /// Adds what came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next piece, if all of it has come.
    ///
    /// # Errors
    /// If it is damaged, too large, or the end does not fit what came before it.
    pub fn take(&mut self) -> Result<Option<Piece>, Damaged> {
        let Some((tag, crc)) = number(&self.held, 0).zip(number(&self.held, 4)) else {
            return Ok(None);
        };
        let len = match tag {
            PAUSED => 0,
            END => 8,
            FAILED => match number(&self.held, 8) {
                Some(len) => 4 + len as usize,
                None => return Ok(None),
            },
            len => len as usize,
        };
        if len > LARGEST {
            return Err(Damaged(format!("a piece claims to have {len} bytes")));
        }
        let Some(body) = self.held.get(8..8 + len) else { return Ok(None) };
        let found = crc32fast::hash(body);
        if found != crc {
            let at = self.total;
            return Err(Damaged(format!(
                "a piece came damaged after {at} bytes (checksum {crc:08x}, {found:08x})"
            )));
        }
        let piece = match tag {
            PAUSED => Piece::Paused,
            END => {
                let total = body.try_into().map(u64::from_be_bytes).unwrap_or_default();
                if total != self.total {
                    let came = self.total;
                    return Err(Damaged(format!("{total} bytes were sent and {came} came")));
                }
                Piece::End(total)
            }
            FAILED => {
                let text = body.get(4..).unwrap_or_default();
                Piece::Failed(String::from_utf8_lossy(text).into_owned())
            }
            _ => {
                self.total += body.len() as u64;
                Piece::Bytes(body.to_vec())
            }
        };
        self.held.drain(..8 + len);
        Ok(Some(piece))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    four.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_comes_in_whatever_parts_it_arrives() {
        let sent = [
            Piece::Bytes(vec![1; 1000]),
            Piece::Paused,
            Piece::Bytes(vec![2; LARGEST]),
            Piece::End(1000 + LARGEST as u64),
        ];
        let wire: Vec<u8> = sent.iter().flat_map(Piece::encode).collect();
        for part in [1, 7, 4096, wire.len()] {
            let (mut decoder, mut came) = (Decoder::default(), Vec::new());
            for bytes in wire.chunks(part) {
                decoder.push(bytes);
                while let Some(piece) = decoder.take().unwrap() {
                    came.push(piece);
                }
            }
            assert_eq!(came, sent, "{part}");
        }
    }

    #[test]
    fn damage_and_a_wrong_end_are_seen() {
        let mut wire = Piece::Bytes(vec![1; 10]).encode();
        wire[12] ^= 1;
        let mut decoder = Decoder::default();
        decoder.push(&wire);
        assert!(decoder.take().is_err());
        let mut decoder = Decoder::default();
        decoder.push(&Piece::End(3).encode());
        assert!(decoder.take().is_err());
        let mut decoder = Decoder::default();
        decoder.push(&(LARGEST as u32 + 1).to_be_bytes());
        decoder.push(&[0; 8]);
        assert!(decoder.take().is_err());
        let mut decoder = Decoder::default();
        decoder.push(&Piece::Failed("no room".to_owned()).encode());
        assert_eq!(decoder.take().unwrap(), Some(Piece::Failed("no room".to_owned())));
    }
}
