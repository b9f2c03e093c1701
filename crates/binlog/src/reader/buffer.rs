//! The window of the file that is in memory.

use std::io::{ErrorKind, Read, Result};

/// Usual size of the window.
const WINDOW: usize = 1 << 20;

/// A part of a file in memory, refilled from behind.
pub(super) struct Buffer<R> {
    read: R,
    /// Always initialised as a whole; what counts is `start..end`.
    window: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the file.
    offset: u64,
}

impl<R: Read> Buffer<R> {
    pub(super) fn new(read: R) -> Self {
        Self { read, window: Vec::new(), start: 0, end: 0, offset: 0 }
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
        while self.end - self.start < wanted {
            self.make_room(wanted);
            let Some(room) = self.window.get_mut(self.end..) else {
                return Ok(());
            };
            match self.read.read(room) {
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

    /// Passes over what is there and `beyond` bytes after it, which need not be read; says how
    /// many of those there were.
    pub(super) fn hop(&mut self, beyond: u64, hop: fn(&mut R, u64) -> Result<u64>) -> Result<u64> {
        let hopped = hop(&mut self.read, beyond)?;
        let there = (self.end - self.start) as u64;
        (self.start, self.end) = (0, 0);
        self.offset = self.offset.saturating_add(there).saturating_add(hopped);
        Ok(hopped)
    }

    /// How many bytes are left, if they are all zero. They are gone afterwards unless they were
    /// in the window already.
    pub(super) fn count_zeros(&mut self) -> Result<Option<u64>> {
        if self.bytes().iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        let mut count = (self.end - self.start) as u64;
        let mut more = vec![0; 1 << 16];
        loop {
            match self.read.read(&mut more) {
                Ok(0) => return Ok(Some(count)),
                Ok(n) if more.iter().take(n).all(|byte| *byte == 0) => count += n as u64,
                Ok(_) => return Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
