//! Walks over the fields of one event's body. The bytes come from files that may be damaged, so
//! every step is checked and says which field was missing.

use crate::{BodyError, EventKind};

/// A place in the body of one event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    left: &'a [u8],
    /// Offset of `left` in the event, for errors.
    at: usize,
    kind: EventKind,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`, which begin `at` bytes into the event.
    pub(crate) const fn new(kind: EventKind, bytes: &'a [u8], at: usize) -> Self {
        Self { left: bytes, at, kind }
    }

    /// What has not been read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.left
    }

    /// Whether everything has been read.
    pub(crate) const fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], BodyError> {
        let Some((taken, left)) = self.left.split_at_checked(count) else {
            return Err(self.wrong(what, format!("{} of {count} bytes", self.left.len())));
        };
        self.left = left;
        self.at = self.at.saturating_add(count);
        Ok(taken)
    }

    /// The next bytes, as many as a length field said.
    pub(crate) fn take_long(
        &mut self,
        count: u64,
        what: &'static str,
    ) -> Result<&'a [u8], BodyError> {
        match usize::try_from(count) {
            Ok(count) => self.take(count, what),
            Err(_) => Err(self.wrong(what, format!("a length of {count} bytes"))),
        }
    }

    /// Everything that is left.
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.left;
        self.at = self.at.saturating_add(rest.len());
        self.left = &[];
        rest
    }

    /// A fixed number of bytes.
    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], BodyError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N, what)?);
        Ok(bytes)
    }

    /// A little-endian number of up to eight bytes.
    pub(crate) fn number(&mut self, size: usize, what: &'static str) -> Result<u64, BodyError> {
        if size > 8 {
            return Err(self.wrong(what, format!("a number of {size} bytes")));
        }
        let bytes = self.take(size, what)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, BodyError> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16, BodyError> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, BodyError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, BodyError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A length-encoded number of the client protocol.
    pub(crate) fn packed(&mut self, what: &'static str) -> Result<u64, BodyError> {
        match self.u8(what)? {
            0xfc => self.number(2, what),
            0xfd => self.number(3, what),
            0xfe => self.number(8, what),
            byte @ (0xfb | 0xff) => Err(self.wrong(what, format!("0x{byte:02x}"))),
            small => Ok(u64::from(small)),
        }
    }

    /// An error at this place.
    pub(crate) fn wrong(&self, expected: &'static str, found: String) -> BodyError {
        BodyError { kind: self.kind, at: self.at, expected, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(bytes: &[u8]) -> Cursor<'_> {
        Cursor::new(EventKind::QUERY, bytes, 19)
    }

    #[test]
    fn packed_numbers_of_each_size() {
        let cases: [(&[u8], u64); 4] = [
            (&[250], 250),
            (&[0xfc, 0x34, 0x12], 0x1234),
            (&[0xfd, 1, 2, 3], 0x03_0201),
            (&[0xfe, 1, 0, 0, 0, 0, 0, 0, 0x80], 0x8000_0000_0000_0001),
        ];
        for (bytes, number) in cases {
            assert_eq!(cursor(bytes).packed("it").unwrap(), number);
        }
        assert!(cursor(&[0xfb]).packed("it").is_err() && cursor(&[0xfc, 1]).packed("it").is_err());
    }

    #[test]
    fn a_short_body_is_named_with_its_place() {
        let mut short = cursor(&[1, 0, 2]);
        assert_eq!(short.u16("a").unwrap(), 1);
        let error = short.u32("the thread id").unwrap_err();
        assert_eq!((error.at, error.expected), (21, "the thread id"));
    }
}
