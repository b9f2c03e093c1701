//! Statements of clients: scanned, classified, and written as digests. The first byte chooses server,
//! modes and character set.

use primacy_sql::{Charset, Context, Kind, Route, Scanner, SqlMode, classify, digest};
use primacy_types::ServerVersion;

pub(crate) fn target(bytes: &[u8]) {
    let Some((&choice, text)) = bytes.split_first() else { return };
    let context = context(choice);
    let mut scanner = Scanner::new(text, &context);
    let mut at = 0;
    loop {
        let token = scanner.next_token();
        assert!(token.start >= at && token.end <= text.len(), "tokens come in order");
        assert!(token.end > token.start || token.kind == Kind::End, "every token is some bytes");
        at = token.end;
        if token.kind == Kind::End {
            break;
        }
    }
    assert_eq!(at, text.len(), "everything is read");
    let class = classify(text, &context);
    assert!(class.doubt.is_some() || scanner.doubt().is_none(), "no doubt is forgotten");
    let unproven = class.doubt.is_some() || class.pin.is_some();
    assert!(!unproven || class.route != Route::Replica, "what binds a session is no mere read");
    let mut buffers = ([0; 32], [0; 4096]);
    let (short, long) =
        (digest(text, &context, &mut buffers.0), digest(text, &context, &mut buffers.1));
    assert_eq!(short.hash, long.hash, "the buffer does not change the hash");
    assert_eq!(
        buffers.0[..short.length],
        buffers.1[..short.length],
        "a shorter one is a beginning"
    );
    comment_changes_nothing(text, &context);
}

fn comment_changes_nothing(text: &[u8], context: &Context<'_>) {
    let before = classify(text, context);
    let mut more = b"/* x */ ".to_vec();
    more.extend_from_slice(text);
    let after = classify(&more, context);
    assert_eq!((before.why, before.verb), (after.why, after.verb));
}

fn context(choice: u8) -> Context<'static> {
    let server = [
        ServerVersion::mysql(5, 6, 24),
        ServerVersion::mysql(9, 7, 4),
        ServerVersion::mariadb(10, 5, 29),
        ServerVersion::mariadb(11, 8, 3),
    ][usize::from(choice & 3)];
    let charset = match choice >> 4 & 3 {
        1 => Charset::SingleByte,
        2 => Charset::MultiByte,
        _ => Charset::Utf8,
    };
    let sql_mode = SqlMode {
        ansi_quotes: choice & 4 != 0,
        no_backslash_escapes: choice & 8 != 0,
        ..SqlMode::default()
    };
    Context { sql_mode, charset, ..Context::new(server) }
}
