//! The packets of the protocol, parsed from and written to plain bytes.
//!
//! Every `parse_*` takes bytes that a stranger may have sent: none panics, and none allocates more
//! than a small multiple of what it was given. No sockets, no framing.

mod greeting;
mod login;
mod reader;
mod reply;
mod request;
mod result_set;

pub use greeting::{Greeting, parse_greeting};
pub use login::{FirstAnswer, Login, parse_first_answer};
pub use reader::{Malformed, Reader};
pub use reply::{
    AuthSwitch, ErrPacket, OkPacket, eof_packet, parse_auth_switch, parse_eof, parse_err, parse_ok,
};
pub use request::{LoginRequest, put_lenenc_bytes, put_lenenc_int, tls_request};
pub use result_set::{
    Cell, MAX_COLUMNS, ResultHead, column_packet, parse_column_name, parse_head, parse_row,
    row_packet,
};

/// `COM_QUIT`: the client says goodbye; there is no answer.
pub const COM_QUIT: u8 = 0x01;
/// `COM_QUERY`: a statement in text.
pub const COM_QUERY: u8 = 0x03;
/// `COM_PING`: is anyone there?
pub const COM_PING: u8 = 0x0E;
/// `COM_BINLOG_DUMP`: send the binary log from a file and position.
pub const COM_BINLOG_DUMP: u8 = 0x12;
/// `COM_REGISTER_SLAVE`: a replica says who it is.
pub const COM_REGISTER_REPLICA: u8 = 0x15;
/// `COM_BINLOG_DUMP_GTID` (MySQL): send the transactions that a set of GTIDs lacks.
pub const COM_BINLOG_DUMP_GTID: u8 = 0x1E;

/// First byte of an OK packet.
pub const OK: u8 = 0x00;
/// First byte of an EOF packet, of an OK packet that ends a result set, of an auth switch.
pub const EOF: u8 = 0xFE;
/// First byte of an error packet.
pub const ERR: u8 = 0xFF;
/// First byte of a request for a local file.
pub const LOCAL_INFILE: u8 = 0xFB;
/// First byte of a plugin's further data during login.
pub const AUTH_MORE_DATA: u8 = 0x01;
/// First byte of the request for another factor (MySQL 8.0.27 and later).
pub const AUTH_NEXT_FACTOR: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_parser_panics_on_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse_greeting(&bytes);
            let _ = parse_ok(&bytes);
            let _ = parse_err(&bytes);
            let _ = parse_eof(&bytes);
            let _ = parse_auth_switch(&bytes);
            let _ = parse_head(&bytes);
            let _ = parse_column_name(&bytes);
            let _ = parse_first_answer(&bytes);
            for columns in [0, 1, 7, MAX_COLUMNS] {
                let _ = parse_row(&bytes, columns);
            }
        }

        #[test]
        fn no_parser_panics_on_a_damaged_greeting(at in 0_usize..80, byte: u8, cut in 0_usize..90) {
            let mut bytes = greeting::tests::MARIADB_GREETING.to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut);
            let _ = parse_greeting(&bytes);
        }

        #[test]
        fn integers_survive_being_written_and_read(number: u64) {
            let mut out = Vec::new();
            put_lenenc_int(&mut out, number);
            prop_assert_eq!(Reader::new(&out).lenenc_int(), Ok(number));
        }
    }
}
