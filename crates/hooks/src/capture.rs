//! What a program says, in bounded memory: the beginning and the end are kept, the middle is
//! counted. The first lines say what went wrong first, the last ones what it came to.

use std::collections::VecDeque;

/// What a program wrote to one of its outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The text, with a note in the middle where something was left out. Bytes that are no UTF-8
    /// are replaced.
    pub text: String,
    /// How many bytes were left out.
    pub left_out: u64,
}

/// Collects an output of any length.
#[derive(Debug)]
pub(crate) struct Ends {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// So many bytes are kept of the beginning.
    first: usize,
    /// So many are kept of the end.
    last: usize,
    /// So many came.
    seen: u64,
}

impl Ends {
    /// Keeps so many bytes, half of them from the beginning.
    pub(crate) fn new(limit: usize) -> Self {
        let first = limit / 2;
        Self { head: Vec::new(), tail: VecDeque::new(), first, last: limit - first, seen: 0 }
    }

    /// How many bytes have come.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        let room = self.first - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        // Of a piece that is longer than the tail only its end can stay.
        let rest = &rest[rest.len().saturating_sub(self.last)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.last);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    pub(crate) fn finish(mut self) -> Captured {
        let kept = (self.head.len() + self.tail.len()) as u64;
        if kept == self.seen {
            self.head.extend(self.tail);
            return Captured {
                text: String::from_utf8_lossy(&self.head).into_owned(),
                left_out: 0,
            };
        }
        // A character that the cut goes through is left out whole.
        let torn = self.head.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
        self.head.truncate(self.head.len() - torn);
        let is_continuation = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
        let torn = self.tail.iter().take(3).take_while(is_continuation).count();
        self.tail.drain(..torn);
        let left_out = self.seen - (self.head.len() + self.tail.len()) as u64;
        let text = format!(
            "{}\n[... {left_out} bytes left out ...]\n{}",
            String::from_utf8_lossy(&self.head),
            String::from_utf8_lossy(self.tail.make_contiguous())
        );
        Captured { text, left_out }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captured(pieces: &[Vec<u8>], limit: usize) -> Captured {
        let mut ends = Ends::new(limit);
        for piece in pieces {
            ends.push(piece);
            assert!(ends.head.len() + ends.tail.len() <= limit);
        }
        ends.finish()
    }

    #[test]
    fn the_middle_is_left_out_and_counted() {
        let told = captured(&[b"first,".to_vec(), vec![b'.'; 100], b",last".to_vec()], 12);
        assert_eq!(told.text, "first,\n[... 99 bytes left out ...]\n.,last");
        assert_eq!(told.left_out, 99);
    }

    #[test]
    fn a_character_is_not_cut_in_two() {
        let told = captured(&["aäääää€b".as_bytes().to_vec()], 4);
        assert_eq!(told.text, "a\n[... 13 bytes left out ...]\nb");
    }

    proptest! {
        #[test]
        fn what_fits_is_kept_as_it_came(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10),
        ) {
            let all = pieces.concat();
            let told = captured(&pieces, all.len().max(1));
            prop_assert_eq!(told.left_out, 0);
            prop_assert_eq!(told.text, String::from_utf8_lossy(&all));
        }

        #[test]
        fn of_what_does_not_fit_both_ends_are_kept(
            pieces in prop::collection::vec("[a-z]{0,40}".prop_map(String::into_bytes), 0..10),
            limit in 0_usize..60,
        ) {
            let all = String::from_utf8(pieces.concat()).unwrap();
            prop_assume!(all.len() > limit);
            let told = captured(&pieces, limit);
            let left_out = all.len() - limit;
            let (head, tail) = (&all[..limit / 2], &all[all.len() - (limit - limit / 2)..]);
            prop_assert_eq!(told.left_out, left_out as u64);
            let expected = format!("{head}\n[... {left_out} bytes left out ...]\n{tail}");
            prop_assert_eq!(told.text, expected);
        }

        #[test]
        fn bytes_that_are_no_text_are_bounded_and_counted_too(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10),
            limit in 0_usize..60,
        ) {
            let all = pieces.concat().len();
            let told = captured(&pieces, limit);
            prop_assert!(told.left_out as usize >= all.saturating_sub(limit));
            // A byte becomes a replacement character of three bytes at the most.
            prop_assert!(told.text.len() <= 3 * limit + 60);
        }
    }
}
