//! The window of the file that is in memory.

use std::io::{ErrorKind, Read, Result};

/// Usual size of the window.
const WINDOW: usize = 1 << 20;

/// Behind an event that was passed over so much is read at first: the small events around the next
/// large one, and its header.
const SHORT: usize = 1 << 10;

/// Passing over an event of so many bytes is worth a read of its own.
const LARGE: usize = 1 << 12;

/// Reads anywhere, so that bytes can be passed over.
pub(super) struct Anywhere<R> {
    /// Reads at an offset.
    pub(super) read_at: fn(&R, &mut [u8], u64) -> Result<usize>,
    /// How many bytes there are now.
    pub(super) length: fn(&R) -> Result<u64>,
}

impl<R> Clone for Anywhere<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Anywhere<R> {}

/// A part of a file in memory, refilled from behind.
pub(super) struct Buffer<R> {
    read: R,
    /// Always initialised as a whole; what counts is `start..end`.
    window: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the file.
    offset: u64,
    anywhere: Option<Anywhere<R>>,
    /// How many bytes the file had when that was last looked at.
    length: u64,
    /// How much is read at a time: less where most of it would be passed over.
    chunk: usize,
    /// A large event was passed over since the last read.
    passed: bool,
}

impl<R: Read> Buffer<R> {
    pub(super) fn new(read: R) -> Self {
        let (window, anywhere) = (Vec::new(), None);
        let (start, end, offset, length) = (0, 0, 0, 0);
        Self { read, window, start, end, offset, anywhere, length, chunk: WINDOW, passed: false }
    }

    /// From now on it is read by offset.
    pub(super) fn read_anywhere(&mut self, anywhere: Anywhere<R>) {
        self.anywhere = Some(anywhere);
    }

    /// Whether bytes can be passed over without reading them.
    pub(super) const fn can_hop(&self) -> bool {
        self.anywhere.is_some()
    }

    /// What is there from the next event on.
    pub(super) fn bytes(&self) -> &[u8] {
        self.window.get(self.start..self.end).unwrap_or_default()
    }

    /// Offset in the file of the first of these bytes.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Passes over bytes that are there.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset = self.offset.saturating_add(count as u64);
    }

    /// Passes over bytes that are there, and lends them.
    pub(super) fn lend(&mut self, count: usize) -> &[u8] {
        let from = self.start;
        self.consume(count);
        self.window.get(from..self.start).unwrap_or_default()
    }

    /// What was lent last, as long as nothing was read since.
    pub(super) fn lent(&self, count: usize) -> Option<&[u8]> {
        self.window.get(self.start.checked_sub(count)?..self.start)
    }

    /// Reads until at least `wanted` bytes are there, or the file ends. The window grows as bytes
    /// really arrive: `wanted` may come from a damaged header.
    pub(super) fn fill(&mut self, wanted: usize) -> Result<()> {
        if !std::mem::take(&mut self.passed) {
            self.chunk = self.chunk.saturating_mul(2).min(WINDOW);
        }
        while self.end - self.start < wanted {
            self.make_room(wanted);
            let there = self.end - self.start;
            let most = self.chunk.max(wanted - there);
            let Some(room) = self.window.get_mut(self.end..) else {
                return Ok(());
            };
            let most = most.min(room.len());
            let Some(room) = room.get_mut(..most) else {
                return Ok(());
            };
            let read = match self.anywhere {
                Some(anywhere) => {
                    (anywhere.read_at)(&self.read, room, self.offset.saturating_add(there as u64))
                }
                None => self.read.read(room),
            };
            match read {
                Ok(0) => return Ok(()),
                Ok(count) => self.end += count.min(room.len()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn make_room(&mut self, wanted: usize) {
        if self.start > 0 {
            self.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.window.len() > 8 * WINDOW && wanted <= WINDOW && self.end <= WINDOW {
            // It grew for one huge event; that memory is given back.
            self.window = self.window.get(..WINDOW).unwrap_or_default().to_vec();
        }
        if self.end == self.window.len() {
            let larger = self.window.len().saturating_mul(2).max(WINDOW);
            self.window.resize(larger, 0);
        }
    }

    /// An event was passed over: if it was a large one, so may be the next.
    pub(super) fn passed_over(&mut self, length: usize) {
        if length >= LARGE && self.anywhere.is_some() {
            self.chunk = SHORT;
            self.passed = true;
        }
    }

    /// Passes over what is there and `beyond` bytes after it, which need not be read; says how
    /// many of those there were.
    pub(super) fn hop(&mut self, beyond: u64) -> Result<u64> {
        let there = (self.end - self.start) as u64;
        let from = self.offset.saturating_add(there);
        let wanted = from.saturating_add(beyond);
        if let Some(anywhere) = self.anywhere.filter(|_| wanted > self.length) {
            self.length = (anywhere.length)(&self.read)?;
        }
        let to = wanted.min(self.length.max(from));
        (self.start, self.end) = (0, 0);
        self.offset = to;
        Ok(to - from)
    }

    /// How many bytes are left, if they are all zero. They may be gone afterwards unless they were
    /// in the window already.
    pub(super) fn count_zeros(&mut self) -> Result<Option<u64>> {
        if self.bytes().iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        let mut count = (self.end - self.start) as u64;
        let mut more = vec![0; 1 << 16];
        loop {
            let read = match self.anywhere {
                Some(anywhere) => {
                    (anywhere.read_at)(&self.read, &mut more, self.offset.saturating_add(count))
                }
                None => self.read.read(&mut more),
            };
            match read {
                Ok(0) => return Ok(Some(count)),
                Ok(n) if more.iter().take(n).all(|byte| *byte == 0) => count += n as u64,
                Ok(_) => return Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
