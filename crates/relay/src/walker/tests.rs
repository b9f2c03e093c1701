use super::*;
use crate::answer::{Answers, Done};
use primacy_protocol::capability::STATUS_CURSOR_EXISTS;
use primacy_protocol::packet::{ErrPacket, column_packet, row_packet};
use proptest::prelude::*;

/// What an event tells, kept.
fn told(event: Event<'_>) -> String {
    match event {
        Event::ResultSet { columns } => format!("columns {columns}"),
        Event::Ended(ending) => format!("ended {:#x} {}", ending.status, ending.affected_rows),
        Event::Failed(failure) => format!("failed {}", failure.code),
        Event::File { name, sequence } => {
            format!("file {} {sequence}", String::from_utf8_lossy(name))
        }
        Event::Prepared(prepared) => format!("prepared {}", prepared.statement_id),
        Event::Progress(progress) => format!("progress {}", progress.stage),
        Event::Login(packet) => format!("login {}", packet.len()),
    }
}

type Told = (Vec<String>, Result<Option<usize>, WalkError>);

/// What is told of an answer that comes in such pieces, and how long the answer is.
fn walk(expected: Expected, agreed: Agreed, bytes: &[u8], chunk: usize) -> Told {
    let mut walker = Walker::new(expected, agreed);
    let (mut events, mut at) = (Vec::new(), 0);
    for piece in bytes.chunks(chunk.max(1)) {
        match walker.walk(piece, |event| events.push(told(event))) {
            Ok(walked) => {
                at += walked.bytes;
                assert!(walker.held.len() <= HELD_LIMIT);
                if walked.ends {
                    return (events, Ok(Some(at)));
                }
                assert_eq!(walked.bytes, piece.len(), "what belongs to the answer is taken");
            }
            Err(error) => return (events, Err(error)),
        }
    }
    (events, Ok(None))
}

/// The same in any pieces; what was told, and that the answer ends with its last byte.
fn whole(expected: Expected, agreed: Agreed, bytes: &[u8]) -> Vec<String> {
    let mut more = bytes.to_vec();
    more.extend_from_slice(b"\x01\0\0\0\x00");
    let (events, length) = walk(expected, agreed, &more, usize::MAX);
    assert_eq!(length, Ok(Some(bytes.len())), "{events:?}");
    for chunk in [1, 2, 3, 4, 5, 7, 64] {
        let in_pieces = walk(expected, agreed, &more, chunk);
        assert_eq!(in_pieces, (events.clone(), Ok(Some(bytes.len()))), "pieces of {chunk}");
    }
    events
}

const NO_EOF: u64 = DEPRECATE_EOF as u64;
const QUERY: Expected = Expected::Results(Cursor::None);
const WITH_CURSOR: Expected = Expected::Results(Cursor::Wanted);

/// A result set; without EOF packets if that was agreed.
fn result_set(answers: &mut Answers<'_>, agreed: Agreed, rows: &[&[u8]], status: u16) {
    answers.packet(&[2]);
    answers.packet(&column_packet("a"));
    answers.packet(&column_packet("b"));
    if !agreed.has(DEPRECATE_EOF) {
        answers.end(&Done { status: status & !8, ..Done::default() });
    }
    for row in rows {
        answers.packet(row);
    }
    answers.end(&Done { status, ..Done::default() });
}

/// An answer made by `write`, both ways to end it.
fn both(expected: Expected, write: impl Fn(&mut Answers<'_>, Agreed)) -> Vec<String> {
    let [with, without] = [0, NO_EOF].map(|flags| {
        let (mut out, agreed) = (Vec::new(), Agreed::new(flags));
        write(&mut Answers::new(&mut out, agreed, 1), agreed);
        whole(expected, agreed, &out)
    });
    assert_eq!(with, without);
    with
}

#[test]
fn an_ok_and_an_error_end_an_answer() {
    for expected in [QUERY, Expected::Status, Expected::Login] {
        let ok = both(expected, |answers, _| answers.ok(&Done { status: 2, ..Done::default() }));
        assert_eq!(ok, ["ended 0x2 0"]);
    }
    let rows = Expected::Rows;
    for expected in [QUERY, Expected::Status, Expected::Text, Expected::Prepared, rows] {
        let error = ErrPacket::new(1064, "42000", "syntax");
        assert_eq!(both(expected, |answers, _| answers.error(&error)), ["failed 1064"]);
    }
    assert!(Walker::new(Expected::Nothing, Agreed::default()).has_ended());
}

#[test]
fn results_follow_one_another_until_none_is_announced() {
    let row = row_packet(&[Some(b"1"), None]);
    let told = both(QUERY, |answers, agreed| {
        result_set(answers, agreed, &[&row, &row], 0xA);
        answers.ok(&Done { affected_rows: 3, status: 0xA, ..Done::default() });
        result_set(answers, agreed, &[], 0xA);
        answers.ok(&Done { status: 2, ..Done::default() });
    });
    let expected = ["columns 2", "ended 0xa 0", "ended 0xa 3", "columns 2", "ended 0xa 0"];
    assert_eq!(told[..5], expected);
    assert_eq!(told[5..], ["ended 0x2 0"]);
    let told = both(QUERY, |answers, agreed| {
        result_set(answers, agreed, &[&row], 0xA);
        answers.error(&ErrPacket::new(1242, "21000", "more than 1 row"));
    });
    assert_eq!(told, ["columns 2", "ended 0xa 0", "failed 1242"]);
}

#[test]
fn rows_that_look_like_ends_are_rows() {
    // A field of 16 MiB and more has a length of eight bytes, which begins with 0xFE.
    let mut huge = vec![0xFE];
    huge.extend_from_slice(&(MAX_FRAME as u64 + 1).to_le_bytes());
    huge.extend(vec![0xFF; MAX_FRAME + 1]);
    // A binary row of one frame and nothing, and one whose second frame looks like an error.
    let full = [vec![0], vec![0xFE; MAX_FRAME - 1]].concat();
    let more = [vec![0], vec![0xFF; MAX_FRAME + 20]].concat();
    for flags in [0, NO_EOF] {
        let (mut out, agreed) = (Vec::new(), Agreed::new(flags));
        let mut answers = Answers::new(&mut out, agreed, 1);
        result_set(&mut answers, agreed, &[&huge, &full, &more, b"\x00\xfe"], 0x22);
        for chunk in [1 << 14, 1 << 20, usize::MAX] {
            let (told, length) = walk(QUERY, agreed, &out, chunk);
            assert_eq!(told, ["columns 2", "ended 0x22 0"]);
            assert_eq!(length, Ok(Some(out.len())));
        }
    }
}

#[test]
fn a_cursor_ends_the_answer_after_the_columns_if_one_was_wanted_and_opened() {
    let status = STATUS_CURSOR_EXISTS | 2;
    let done = Done { status, ..Done::default() };
    let told = both(WITH_CURSOR, |answers, _| {
        answers.packet(&[1]);
        answers.packet(&column_packet("a"));
        answers.end(&done);
    });
    assert_eq!(told, ["columns 1", "ended 0x42 0"]);
    // Wanted and not opened: as every result set.
    let row = row_packet(&[Some(b"1"), None]);
    let told = both(WITH_CURSOR, |answers, agreed| result_set(answers, agreed, &[&row], 2));
    assert_eq!(told, ["columns 2", "ended 0x2 0"]);
    let fetched = both(Expected::Rows, |answers, _| {
        answers.packet(b"\0\0\x07\0\0\0");
        answers.end(&Done { status: 0xC2, ..Done::default() });
    });
    assert_eq!(fetched, ["ended 0xc2 0"]);
}

#[test]
fn a_prepared_statement_ends_after_its_last_definition() {
    for (parameters, columns) in [(0, 0), (2, 0), (0, 3), (1, 1)] {
        let told = both(Expected::Prepared, |answers, agreed| {
            answers.packet(&[0, 9, 0, 0, 0, columns, 0, parameters, 0, 0, 1, 0]);
            for count in [parameters, columns].into_iter().filter(|count| *count > 0) {
                (0..count).for_each(|_| answers.packet(&column_packet("?")));
                if !agreed.has(DEPRECATE_EOF) {
                    answers.end(&Done::default());
                }
            }
        });
        assert_eq!(told, ["prepared 9"]);
    }
}

#[test]
fn definitions_that_are_left_out_are_not_waited_for() {
    for flag in [u64::from(OPTIONAL_METADATA), MARIADB_CACHE_METADATA] {
        let row = row_packet(&[Some(b"1"), None]);
        for no_eof in [0, NO_EOF] {
            let (mut out, agreed) = (Vec::new(), Agreed::new(flag | no_eof));
            let mut answers = Answers::new(&mut out, agreed, 1);
            answers.packet(&[2, 0]);
            if no_eof == 0 {
                answers.end(&Done::default());
            }
            answers.packet(&row);
            answers.end(&Done { status: 2, ..Done::default() });
            assert_eq!(whole(QUERY, agreed, &out), ["columns 2", "ended 0x2 0"]);
        }
    }
    // The EOF packets behind a statement's definitions are there without them.
    for (parameters, columns, ends) in [(1, 2, 2), (0, 2, 1), (1, 0, 1), (0, 0, 0)] {
        for no_eof in [0, NO_EOF] {
            let agreed = Agreed::new(u64::from(OPTIONAL_METADATA) | no_eof);
            let mut out = Vec::new();
            let mut answers = Answers::new(&mut out, agreed, 1);
            answers.packet(&[0, 9, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0, 0]);
            let ends = if no_eof == 0 { ends } else { 0 };
            (0..ends).for_each(|_| answers.end(&Done::default()));
            assert_eq!(whole(Expected::Prepared, agreed, &out), ["prepared 9"]);
        }
    }
}

#[test]
fn a_file_is_asked_for_and_what_follows_belongs_to_the_same_answer() {
    let told = both(QUERY, |answers, agreed| {
        answers.packet(b"\xfb/data/rows");
        answers.ok(&Done { affected_rows: 7, status: 0xA, ..Done::default() });
        result_set(answers, agreed, &[], 2);
    });
    assert_eq!(told, ["file /data/rows 1", "ended 0xa 7", "columns 2", "ended 0x2 0"]);
}

#[test]
fn progress_is_told_and_does_not_end_an_answer() {
    let (mut out, agreed) = (Vec::new(), Agreed::new(MARIADB_PROGRESS));
    let mut answers = Answers::new(&mut out, agreed, 1);
    answers.packet(b"\xff\xff\xff\x01\x01\x02\0\0\0\x01x");
    answers.ok(&Done::default());
    assert_eq!(whole(QUERY, agreed, &out), ["progress 1", "ended 0x0 0"]);
}

#[test]
fn one_packet_commands() {
    let mut out = Vec::new();
    Answers::new(&mut out, Agreed::default(), 1).packet(b"Uptime: 1");
    assert!(whole(Expected::Text, Agreed::default(), &out).is_empty());
    // COM_SET_OPTION, COM_DEBUG and COM_SHUTDOWN answer with an end of rows.
    assert_eq!(both(Expected::Status, |answers, _| answers.end(&Done::default())), ["ended 0x0 0"]);
    let columns = both(Expected::Columns, |answers, _| {
        answers.packet(&column_packet("a"));
        answers.end(&Done { status: 2, ..Done::default() });
    });
    assert_eq!(columns, ["ended 0x2 0"]);
    let (mut out, agreed) = (Vec::new(), Agreed::default());
    let mut answers = Answers::new(&mut out, agreed, 1);
    answers.packet(b"\xfemysql_native_password\0abc\0");
    answers.ok(&Done::default());
    assert_eq!(whole(Expected::Login, agreed, &out), ["login 27", "ended 0x0 0"]);
}

#[test]
fn what_is_no_answer_is_refused() {
    let frame = |payload: &[u8]| {
        let mut out = Vec::new();
        Answers::new(&mut out, Agreed::default(), 1).packet(payload);
        out
    };
    let refused = |expected, bytes: &[u8]| walk(expected, Agreed::default(), bytes, 1 << 16).1;
    assert!(refused(QUERY, &frame(b"")).is_err());
    assert!(refused(QUERY, &frame(b"\xfd\xff\xff\xff")).is_err());
    assert!(refused(Expected::Status, &frame(b"\x07x")).is_err());
    assert!(refused(Expected::Prepared, &frame(b"\x07x")).is_err());
    assert!(refused(QUERY, &frame(b"\xff\x01")).is_err());
    let long = refused(QUERY, &frame(&vec![0; HELD_LIMIT + 1]));
    assert_eq!(long, Err(WalkError::TooLong { length: HELD_LIMIT + 1 }));
}

#[test]
fn an_answer_is_untouched_until_its_first_byte() {
    let mut walker = Walker::new(QUERY, Agreed::default());
    assert!(walker.is_untouched());
    walker.walk(&[7], |_| ()).unwrap();
    assert!(!walker.is_untouched());
}

proptest! {
    #[test]
    fn any_pieces_of_any_bytes_tell_the_same(
        bytes in prop::collection::vec(
            prop_oneof![Just(0_u8), Just(0xFE), Just(0xFF), Just(0xFB), 0_u8..9, any::<u8>()],
            0..300,
        ),
        flags in prop::sample::select(vec![0, NO_EOF, NO_EOF | OPTIONAL_METADATA as u64, MARIADB_PROGRESS]),
        chunk in 1_usize..30,
        kind in 0_usize..9,
    ) {
        let expected = [
            QUERY, WITH_CURSOR, Expected::Status, Expected::Text, Expected::Prepared,
            Expected::Columns, Expected::Rows, Expected::Login, Expected::Nothing,
        ][kind];
        let agreed = Agreed::new(flags);
        prop_assert_eq!(
            walk(expected, agreed, &bytes, chunk),
            walk(expected, agreed, &bytes, usize::MAX)
        );
    }
}
