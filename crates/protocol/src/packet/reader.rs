//! Takes the protocol's elementary types off the front of a packet, and says what was missing.

/// A packet that does not hold what its kind must hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    /// For a packet in which `what` is missing or impossible.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// The bytes of a packet that have not been read yet.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the first byte.
    pub fn new(packet: &'a [u8]) -> Self {
        Self(packet)
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte, which stays.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Exactly `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            let left = self.0.len();
            return Err(Malformed::new(format!("a packet has {left} bytes where {count} belong")));
        };
        self.0 = rest;
        Ok(taken)
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// A little-endian integer of `N` bytes (at most 8).
    fn int<const N: usize>(&mut self) -> Result<u64, Malformed> {
        let bytes = self.bytes(N)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.int::<1>().map(|n| n as u8)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.int::<2>().map(|n| n as u16)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.int::<4>().map(|n| n as u32)
    }

    /// A length-encoded integer.
    pub fn lenenc_int(&mut self) -> Result<u64, Malformed> {
        match self.u8()? {
            0xFC => self.int::<2>(),
            0xFD => self.int::<3>(),
            0xFE => self.int::<8>(),
            // NULL and the error marker are not integers.
            first @ (0xFB | 0xFF) => {
                Err(Malformed::new(format!("{first:#04x} stands where a length belongs")))
            }
            small => Ok(u64::from(small)),
        }
    }

    /// A length-encoded string.
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.lenenc_int()?;
        // What does not fit in a usize is certainly longer than the packet.
        self.bytes(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// Bytes up to a NUL, which is taken and not returned.
    pub fn nul_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let Some(end) = self.0.iter().position(|byte| *byte == 0) else {
            return Err(Malformed::new("a text in a packet does not end"));
        };
        let text = self.bytes(end)?;
        self.bytes(1)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_lengths_are_refused() {
        let huge = [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2];
        assert_eq!(Reader::new(&huge).lenenc_int(), Ok(u64::MAX));
        assert!(Reader::new(&huge).lenenc_bytes().is_err());
        assert!(Reader::new(&[0xFB]).lenenc_int().is_err());
        assert!(Reader::new(&[0xFC, 1]).lenenc_int().is_err());
        assert!(Reader::new(b"no end").nul_bytes().is_err());
    }
}
