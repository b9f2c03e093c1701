//! Laws that hold for any bytes.

use primacy_sql::{Charset, Context, Kind, Route, Scanner, SqlMode, classify, digest};
use primacy_types::ServerVersion;
use proptest::prelude::*;

use crate::table::cases;

fn servers() -> impl Strategy<Value = ServerVersion> {
    prop::sample::select(vec![
        ServerVersion::mysql(5, 6, 24),
        ServerVersion::mysql(8, 0, 30),
        ServerVersion::mysql(9, 7, 4),
        ServerVersion::mariadb(10, 5, 29),
        ServerVersion::mariadb(11, 8, 3),
    ])
}

fn contexts() -> impl Strategy<Value = Context<'static>> {
    let charsets =
        prop::sample::select(vec![Charset::Utf8, Charset::SingleByte, Charset::MultiByte]);
    (servers(), any::<bool>(), any::<bool>(), charsets).prop_map(|(server, ansi, nbe, charset)| {
        let sql_mode =
            SqlMode { ansi_quotes: ansi, no_backslash_escapes: nbe, ..SqlMode::default() };
        Context { sql_mode, charset, ..Context::new(server) }
    })
}

/// Bytes that a scanner stumbles over, more often than others.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        prop::sample::select(vec![
            "select ",
            "'",
            "\"",
            "`",
            "\\",
            "/*",
            "*/",
            "/*!",
            "/*!50000",
            "/*!99999",
            "/*M!",
            "--",
            "-- ",
            "#",
            "\n",
            "\0",
            "@",
            "@@",
            ":=",
            ";",
            "?",
            "(",
            ")",
            ",",
            ".",
            "1e",
            "0x",
            "x'",
            "_gbk'",
            "set @a=",
            "in (1,2",
            "values (1),(2)",
            "for update",
            "insert",
            "begin",
            "$$",
            "primacy:",
            "/* primacy:replica */",
            "call p(",
            "with a as (",
            "into ",
            "create temporary table ",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_tokens_cover_what_is_read(text in texts(), context in contexts()) {
        let mut scanner = Scanner::new(&text, &context);
        let mut at = 0;
        loop {
            let token = scanner.next_token();
            prop_assert!(token.start >= at && token.end >= token.start && token.end <= text.len());
            prop_assert!(token.end > at || token.kind == Kind::End, "every token is some bytes");
            at = token.end;
            if token.kind == Kind::End {
                break;
            }
        }
        prop_assert_eq!(at, text.len(), "everything is read");
        let class = classify(&text, &context);
        prop_assert!(class.doubt.is_none() || class.route == Route::Primary);
        prop_assert!(class.doubt.is_some() || scanner.doubt().is_none());
        let mut small = [0; 16];
        let mut large = vec![0; text.len() * 4 + 64];
        let (short, long) = (digest(&text, &context, &mut small), digest(&text, &context, &mut large));
        prop_assert_eq!(short.hash, long.hash, "the buffer does not change the hash");
        prop_assert!(!long.truncated && short.length <= 16);
        prop_assert_eq!(&small[..short.length], &large[..short.length]);
    }

    #[test]
    fn comments_and_white_space_change_nothing(
        index in any::<prop::sample::Index>(),
        fillers in prop::collection::vec(
            prop::sample::select(vec!["/**/", " ", "\n", "\t", "/* x */", "# y\n", "-- z\n", "/*!99999 q */"]),
            1..8,
        ),
        server in servers(),
    ) {
        let cases: Vec<_> = cases().iter().filter(|case| !case.has("doubt")).collect();
        let case = index.get(&cases);
        let context = case.context(server);
        let text = &case.statement;
        let before = classify(text, &context);
        // Only where white space or a comment is: elsewhere it may make one word into two.
        let (mut filled, mut scanner, mut fillers) = (Vec::new(), Scanner::new(text, &context), fillers.iter().cycle());
        let mut at = 0;
        loop {
            let token = scanner.next_token();
            filled.extend_from_slice(&text[at..token.start]);
            if token.spaced && !text[at..token.start].contains(&b'-') && !text[at..token.start].contains(&b'#') {
                filled.extend_from_slice(fillers.next().unwrap().as_bytes());
            }
            filled.extend_from_slice(&text[token.start..token.end]);
            at = token.end;
            if token.kind == Kind::End {
                break;
            }
        }
        let after = classify(&filled, &context);
        let shown = String::from_utf8_lossy(&filled).into_owned();
        prop_assert_eq!((before.route, before.why, before.verb), (after.route, after.why, after.verb), "{}", &shown);
        prop_assert_eq!(before.pin, after.pin, "{}", &shown);
        let mut buffers = ([0; 2048], [0; 2048]);
        let digests = (digest(text, &context, &mut buffers.0), digest(&filled, &context, &mut buffers.1));
        prop_assert_eq!(digests.0, digests.1, "{}", &shown);
    }

    #[test]
    fn the_case_of_letters_changes_nothing(index in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let case = index.get(cases());
        let context = case.context(ServerVersion::mariadb(10, 11, 14));
        let before = classify(&case.statement, &context);
        // Not in comments like /*M! */, where the servers mind it.
        if case.statement.windows(2).any(|pair| pair == b"/*") {
            return Ok(());
        }
        let flip = |(at, byte): (usize, &u8)| match seed.rotate_right(at as u32) & 1 {
            0 => *byte,
            _ if byte.is_ascii_uppercase() => byte.to_ascii_lowercase(),
            _ => byte.to_ascii_uppercase(),
        };
        let flipped: Vec<u8> = case.statement.iter().enumerate().map(flip).collect();
        let after = classify(&flipped, &context);
        let shown = String::from_utf8_lossy(&flipped).into_owned();
        prop_assert_eq!((before.route, before.why, before.verb), (after.route, after.why, after.verb), "{}", &shown);
        prop_assert_eq!((before.pin, before.commits), (after.pin, after.commits), "{}", &shown);
    }

    #[test]
    fn a_digest_does_not_depend_on_values(
        numbers in prop::collection::vec(any::<i64>(), 4),
        word in "[a-z'\\\\;()]{0,12}",
        count in 1_usize..40,
    ) {
        let quoted = word.replace('\\', "\\\\").replace('\'', "''");
        let list: Vec<_> = (0..count).map(|n| n.to_string()).collect();
        let rows: Vec<_> = (0..count).map(|n| format!("({n}, '{quoted}', NULL, -{n})")).collect();
        let [a, b, c, d] = numbers[..] else { unreachable!() };
        let build = |a: &str, b: &str, word: &str, list: &str, rows: &str| {
            [
                format!("SELECT x, {a} FROM t WHERE y = {b} AND z IN ({list}) AND w = {word} LIMIT 5"),
                format!("INSERT INTO t (a, b, c, d) VALUES {rows} ON DUPLICATE KEY UPDATE a = {a}"),
                format!("UPDATE t SET a = {a}, b = {word} WHERE c > {b}"),
            ]
        };
        let context = Context::new(ServerVersion::mysql(9, 7, 4));
        let plain = build("1", "2", "'x'", "7", "(1, 'y', 2, 3)");
        let other = build(
            &a.to_string(), &format!("{b}.{}", c.unsigned_abs()), &format!("'{quoted}'"), &list.join(", "), &rows.join(","),
        );
        for (plain, other) in plain.iter().zip(&other) {
            let mut buffers = ([0; 512], [0; 512]);
            let one = digest(plain.as_bytes(), &context, &mut buffers.0);
            let two = digest(other.as_bytes(), &context, &mut buffers.1);
            prop_assert_eq!(one, two, "{} / {}: {}", plain, other, String::from_utf8_lossy(&buffers.1[..two.length]).into_owned());
        }
        let _ = d;
    }
}

/// Twice the bytes take at most some times as long: counted in tokens, not in time.
#[test]
fn deep_and_long_statements_end() {
    let context = Context::new(ServerVersion::mysql(9, 7, 4));
    for unit in [
        "(",
        "/*",
        "/*!",
        "'",
        "`",
        "@",
        "a.",
        "--",
        "x,",
        "in (1,2),",
        "values (1),(2),",
        "/*!99999 /*",
        "set @a=1;",
    ] {
        let text = unit.repeat(20_000);
        let class = classify(text.as_bytes(), &context);
        // Of these only VALUES begins a query; whether it is right is for the server to say.
        assert!(class.route != Route::Replica || unit.starts_with("values"), "{unit}");
        let mut buffer = [0; 64];
        assert!(digest(text.as_bytes(), &context, &mut buffer).length <= 64);
    }
}
