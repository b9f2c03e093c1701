//! The binary form of MySQL's GTID sets, in which `COM_BINLOG_DUMP_GTID` says what a replica has.

use primacy_types::{GtidSource, MySqlGtidSet};
use primacy_wire::packet::{Malformed, Reader};
use uuid::Uuid;

/// In the highest byte of the first word: sources have tags. MySQL 8.3 and later write it only if
/// one does; the number of sources is then in the six bytes between, and the format once more in
/// the lowest (`Gtid_set::encode_nsids_format`, 9.7).
const TAGGED: u8 = 1;

/// Reads a whole set.
pub fn decode(bytes: &[u8]) -> Result<MySqlGtidSet, Malformed> {
    let mut reader = Reader::new(bytes);
    let word = u64_of(&mut reader)?;
    let tagged = word.to_le_bytes()[7] == TAGGED;
    let sources = if tagged { (word << 8) >> 16 } else { word };
    let mut intervals = Vec::new();
    for _ in 0..sources {
        let uuid = Uuid::from_slice(reader.bytes(16)?)
            .map_err(|_| Malformed("a UUID in a GTID set is too short".to_owned()))?;
        let tag = if tagged { tag(&mut reader)? } else { None };
        let source = GtidSource { uuid, tag };
        for _ in 0..u64_of(&mut reader)? {
            let (first, after) = (u64_of(&mut reader)?, u64_of(&mut reader)?);
            if first == 0 || after <= first || after > i64::MAX as u64 {
                return Err(Malformed(format!("{first} up to {after} is no GTID interval")));
            }
            intervals.push((source.clone(), first, after - 1));
        }
    }
    if !reader.is_empty() {
        return Err(Malformed(format!("{} bytes follow a GTID set", reader.len())));
    }
    Ok(intervals.into_iter().collect())
}

/// Writes a set: with tags only where there are some, so that older servers read it.
pub fn encode(set: &MySqlGtidSet) -> Vec<u8> {
    let tagged = set.sources().any(|source| source.tag.is_some());
    let count = set.sources().count() as u64;
    let format = u64::from(TAGGED);
    let word = if tagged { format << 56 | count << 8 | format } else { count };
    let mut out = word.to_le_bytes().to_vec();
    for (source, intervals) in set.intervals() {
        out.extend_from_slice(source.uuid.as_bytes());
        if tagged {
            let tag = source.tag.as_deref().unwrap_or_default();
            // A tag has at most 32 letters: its doubled length fits in the one byte.
            out.push((tag.len() as u8) << 1);
            out.extend_from_slice(tag.as_bytes());
        }
        out.extend_from_slice(&(intervals.len() as u64).to_le_bytes());
        for (first, last) in intervals {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&(last + 1).to_le_bytes());
        }
    }
    out
}

fn u64_of(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let bytes = reader.bytes(8)?;
    Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A tag: its length, shifted by one bit, then its letters.
fn tag(reader: &mut Reader<'_>) -> Result<Option<String>, Malformed> {
    let length = usize::from(reader.u8()? >> 1);
    let bytes = reader.bytes(length)?;
    let fits = bytes.len() <= 32
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
        && !bytes.first().is_some_and(u8::is_ascii_digit);
    if !fits {
        return Err(Malformed("a tag in a GTID set is none".to_owned()));
    }
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn sets_with_and_without_tags_survive() {
        for text in [
            String::new(),
            format!("{UUID}:1-5:9"),
            format!("{UUID}:1-5,{UUID}:backup:3,{UUID}:_x:1-2"),
        ] {
            let set: MySqlGtidSet = text.parse().unwrap();
            assert_eq!(decode(&encode(&set)), Ok(set));
        }
    }

    /// What MySQL 9.7.4 sent for `…:1-5` in COM_BINLOG_DUMP_GTID.
    #[test]
    fn a_set_that_a_server_sent_is_read_and_written_alike() {
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(b"3T\xfe|\xe5C\x11\xf1\xac\x87\x02\xfc\0\0\0\x01");
        bytes.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0]);
        let set = decode(&bytes).unwrap();
        assert_eq!(set.to_string(), "3354fe7c-e543-11f1-ac87-02fc00000001:1-4");
        assert_eq!(encode(&set), bytes);
    }

    /// A megabyte that names one source again and again took minutes when each was added to the
    /// set by itself.
    #[test]
    fn many_intervals_are_read_in_a_moment() {
        let count = 30_000_u64;
        let mut bytes = count.to_le_bytes().to_vec();
        for number in 0..count {
            bytes.extend_from_slice(&[7; 16]);
            for word in [1, 2 * number + 1, 2 * number + 2] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        let begin = std::time::Instant::now();
        assert_eq!(decode(&bytes).unwrap().count(), count);
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>, tagged: bool) {
            if let Some(byte) = bytes.get_mut(7) {
                *byte = u8::from(tagged);
            }
            let _ = decode(&bytes);
        }
    }
}
