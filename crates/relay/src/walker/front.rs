//! The front of a frame: its header and the first byte of what it carries, in however many pieces.

use primacy_protocol::frame::HEADER;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Front {
    bytes: [u8; HEADER + 1],
    have: usize,
}

impl Front {
    pub(super) fn clear(&mut self) {
        self.have = 0;
    }

    /// Takes what is there; whether it suffices. The first byte is not asked for in a frame that is
    /// empty or that goes on with a packet.
    pub(super) fn fill(&mut self, input: &[u8], at: &mut usize, header_only: bool) -> bool {
        self.take(HEADER, input, at)
            && (header_only || self.length() == 0 || self.take(HEADER + 1, input, at))
    }

    fn take(&mut self, wanted: usize, input: &[u8], at: &mut usize) -> bool {
        let count = wanted.saturating_sub(self.have).min(input.len() - *at);
        self.bytes[self.have..self.have + count].copy_from_slice(&input[*at..*at + count]);
        self.have += count;
        *at += count;
        self.have >= wanted
    }

    /// How many bytes the frame carries.
    pub(super) fn length(&self) -> usize {
        let [a, b, c, ..] = self.bytes;
        usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16
    }

    pub(super) fn sequence(&self) -> u8 {
        self.bytes[HEADER - 1]
    }

    /// The first byte that it carries, if it was asked for.
    pub(super) fn first(&self) -> Option<u8> {
        (self.have > HEADER).then_some(self.bytes[HEADER])
    }
}
