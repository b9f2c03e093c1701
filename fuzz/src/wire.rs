//! Frames, and the packets that a server sends.

use bytes::BytesMut;
use primacy_types::ServerVersion;
use primacy_wire::frame::{Framer, Packet, TooLong};
use primacy_wire::packet::{
    Cell, MAX_COLUMNS, ResultHead, eof_packet, parse_auth_switch, parse_column_name, parse_eof,
    parse_err, parse_first_answer, parse_greeting, parse_head, parse_ok, parse_row, row_packet,
};

use crate::input::Switches;

pub(crate) fn target(bytes: &[u8]) {
    let (switches, stream) = Switches::split(bytes);
    let limit = 64 << switches.from(4);
    let (packets, refused) = decoded(&[stream], limit);
    let pieces: Vec<&[u8]> = stream.chunks(1 + switches.from(5)).collect();
    assert_eq!(decoded(&pieces, limit), (packets.clone(), refused), "pieces made a difference");

    let mut columns = 1;
    for packet in &packets {
        assert!(packet.payload.len() <= limit);
        columns = look_at(&packet.payload, columns);
    }
    if let Some(first) = packets.first().filter(|first| first.sequence == 0) {
        let mut written = BytesMut::new();
        Framer::default().encode(&first.payload, &mut written);
        assert!(stream.starts_with(&written), "a packet is not written as it was read");
    }
}

/// Decodes what comes in these pieces.
fn decoded(pieces: &[&[u8]], limit: usize) -> (Vec<Packet>, Option<TooLong>) {
    let (mut framer, mut buffer) = (Framer::default(), BytesMut::new());
    let mut packets = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match framer.decode(&mut buffer, limit) {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(refused) => return (packets, Some(refused)),
            }
        }
    }
    (packets, None)
}

/// Reads a packet as anything that it could be; how many columns the rows after it have.
fn look_at(packet: &[u8], columns: usize) -> usize {
    if let Ok(greeting) = parse_greeting(packet) {
        let _ = greeting.version.parse::<ServerVersion>();
        if greeting.scramble.len() == 20 {
            let again = parse_greeting(&greeting.to_bytes());
            let again = again.expect("a greeting that was just written");
            assert_eq!(again.version, greeting.version);
            assert_eq!(again.scramble, greeting.scramble);
        }
    }
    if let Ok(ok) = parse_ok(packet) {
        let again = parse_ok(&ok.to_bytes()).expect("an OK that was just written");
        assert_eq!(again.affected_rows, ok.affected_rows);
        assert_eq!((again.status, again.warnings), (ok.status, ok.warnings));
    }
    if let Ok(err) = parse_err(packet) {
        let again = parse_err(&err.to_bytes()).expect("an error that was just written");
        assert_eq!(again.code, err.code);
    }
    if let Ok((_, status)) = parse_eof(packet) {
        assert_eq!(parse_eof(&eof_packet(status)), Ok((0, status)));
    }
    if let Ok(switch) = parse_auth_switch(packet) {
        assert_eq!(parse_auth_switch(&switch.to_bytes()).as_ref(), Ok(&switch));
    }
    let _ = (parse_column_name(packet), parse_first_answer(packet));
    for columns in [0, columns, MAX_COLUMNS] {
        if let Ok(cells) = parse_row(packet, columns) {
            assert_eq!(cells.len(), columns);
            let bytes: Vec<Option<&[u8]>> = cells.iter().map(bytes_of).collect();
            assert_eq!(parse_row(&row_packet(&bytes), columns), Ok(cells.clone()));
        }
    }
    match parse_head(packet) {
        Ok(ResultHead::Columns(columns)) => columns,
        _ => columns,
    }
}

fn bytes_of(cell: &Cell) -> Option<&[u8]> {
    match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text.as_bytes()),
        Cell::Binary { bytes, .. } => Some(bytes),
    }
}
