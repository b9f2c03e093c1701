//! The buffer of a digest and its hash, which can be put back to where they were.

use super::Digest;

/// What is written so far.
pub(super) struct Output<'o> {
    buffer: &'o mut [u8],
    state: State,
}

/// Where the output is: enough to go back.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    length: usize,
    truncated: bool,
    hash: u64,
}

const KEY: u64 = 0x9E37_79B9_7F4A_7C15;

/// Both halves of a product: every bit of either number changes the result.
fn mix(hash: u64, value: u64) -> u64 {
    let product = u128::from(hash ^ value) * u128::from(KEY);
    (product as u64) ^ ((product >> 64) as u64)
}

impl<'o> Output<'o> {
    pub(super) fn new(buffer: &'o mut [u8]) -> Self {
        Self { buffer, state: State { length: 0, truncated: false, hash: KEY } }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn go_back(&mut self, state: State) {
        self.state = state;
    }

    /// Writes some bytes, after a space if one is wanted.
    pub(super) fn piece(&mut self, bytes: &[u8], spaced: bool) {
        if spaced {
            self.put(b" ");
        }
        self.put(bytes);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let chunk = chunk.try_into().map_or(0, u64::from_le_bytes);
            self.state.hash = mix(self.state.hash, chunk);
        }
        let rest = chunks.remainder().iter().rev();
        let rest = rest.fold(0, |value, byte| (value << 8) | u64::from(*byte));
        // The length keeps pieces apart.
        self.state.hash = mix(self.state.hash, rest ^ ((bytes.len() as u64) << 56) ^ KEY);
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.state.truncated {
            return;
        }
        let room = &mut self.buffer[self.state.length..];
        let fits = bytes.len().min(room.len());
        room[..fits].copy_from_slice(&bytes[..fits]);
        self.state.length += fits;
        self.state.truncated = fits < bytes.len();
    }

    pub(super) fn finish(self) -> Digest {
        let State { length, truncated, hash } = self.state;
        Digest { hash: mix(hash, KEY), length, truncated }
    }
}
