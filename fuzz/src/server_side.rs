//! The relay at a server that says anything, in every state that an answer can be in.

use primacy_relay::rewrite::{PreparedId, Renumber};
use primacy_relay::{Agreed, COMMANDS, Cursor, Event, Expected, Walker};

use crate::input::Switches;

/// What is agreed on, by two switches: EOF deprecated, everything else that changes an answer.
const AGREED: [u64; 4] = [0, 1 << 24, 1 << 23 | 1 << 25, 1 << 24 | 1 << 23 | 1 << 32 | 1 << 36];

pub(crate) fn target(bytes: &[u8]) {
    let (switches, said) = Switches::split(bytes);
    let agreed = Agreed::new(AGREED[switches.from(6)]);
    let chunk = 1 + (switches.from(4) & 3) * 5;
    let cursor = Expected::Results(Cursor::Wanted);
    for expected in COMMANDS.iter().filter_map(|kind| kind.answer.ok()).chain([cursor]) {
        let whole = walked(expected, agreed, said, usize::MAX);
        assert_eq!(walked(expected, agreed, said, chunk), whole, "pieces made a difference");
        assert!(whole.1 <= said.len());
    }
    let mut rewritten = said.to_vec();
    let (mut id, mut back) = (PreparedId::new(7), Renumber::by(3));
    let mut renumber = Renumber::by(253);
    for piece in rewritten.chunks_mut(chunk) {
        renumber.pass(piece);
    }
    back.pass(&mut rewritten);
    assert_eq!(rewritten, said, "numbers that were changed and changed back");
    rewritten.chunks_mut(chunk).for_each(|piece| id.pass(piece));
    assert_eq!(rewritten.get(9..), said.get(9..));
}

/// What is told of an answer, and how long it is.
fn walked(expected: Expected, agreed: Agreed, said: &[u8], chunk: usize) -> (u64, usize, bool) {
    let mut walker = Walker::new(expected, agreed);
    let (mut sum, mut at) = (0_u64, 0);
    for piece in said.chunks(chunk.min(said.len()).max(1)) {
        let walked = walker.walk(piece, |event| {
            if let Event::Ended(ending) = event {
                // Each change takes two bytes at least.
                assert!(ending.changes().count() <= ending.state.len());
            }
            let kind = match event {
                Event::ResultSet { columns } => columns as u64 + 10,
                Event::Ended(ending) => u64::from(ending.status) + 100,
                Event::Failed(failure) => u64::from(failure.code) + 1000,
                Event::File { name, .. } => name.len() as u64 + 3,
                Event::Prepared(prepared) => u64::from(prepared.statement_id) + 5,
                Event::Progress(progress) => u64::from(progress.progress) + 7,
                Event::Login(packet) => packet.len() as u64 + 9,
            };
            sum = sum.wrapping_mul(31).wrapping_add(kind);
        });
        match walked {
            Ok(walked) => at += walked.bytes,
            Err(_) => return (sum, 0, false),
        }
        if walker.has_ended() {
            break;
        }
    }
    (sum, at, walker.has_ended())
}
