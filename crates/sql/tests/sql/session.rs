//! What a session has made changes where its statements go.

use primacy_sql::{
    Change, Charset, Context, Prepared, Route, Session, SqlMode, VariableState, Why, classify,
};
use primacy_types::ServerVersion;

struct Busy;

impl Session for Busy {
    fn has_temporary_tables(&self) -> bool {
        true
    }

    fn is_temporary(&self, table: &[u8]) -> bool {
        table.eq_ignore_ascii_case(b"tmp")
    }

    fn user_variable(&self, name: &[u8]) -> VariableState {
        match name {
            b"known" => VariableState::Carried,
            b"there" => VariableState::OnPrimary,
            _ => VariableState::Unset,
        }
    }

    fn function_only_reads(&self, schema: Option<&[u8]>, name: &[u8]) -> bool {
        schema.is_none_or(|schema| schema == b"app") && name.eq_ignore_ascii_case(b"harmless")
    }

    fn procedure_leaves_nothing(&self, name: &[u8]) -> bool {
        name == b"tidy"
    }

    fn prepared(&self, name: &[u8]) -> Prepared {
        match name {
            b"reads" => Prepared::Replica,
            b"writes" => Prepared::Primary,
            _ => Prepared::Unknown,
        }
    }
}

fn busy() -> Context<'static> {
    Context { session: &Busy, ..Context::new(ServerVersion::mariadb(10, 11, 14)) }
}

#[test]
fn what_the_session_made_decides() {
    let cases = [
        ("SELECT * FROM tmp", Route::Primary, Why::TouchesTemporaryTable),
        ("SELECT * FROM `TMP`", Route::Primary, Why::TouchesTemporaryTable),
        ("SELECT * FROM app.tmp x", Route::Primary, Why::TouchesTemporaryTable),
        (
            "SELECT * FROM t WHERE id IN (SELECT id FROM tmp)",
            Route::Primary,
            Why::TouchesTemporaryTable,
        ),
        ("DESCRIBE tmp", Route::Primary, Why::TouchesTemporaryTable),
        ("SHOW TABLES", Route::Primary, Why::TouchesTemporaryTable),
        ("SELECT * FROM t", Route::Replica, Why::OnlyReads),
        ("SELECT 'tmp'", Route::Replica, Why::OnlyReads),
        ("SELECT @known, @unset", Route::Replica, Why::OnlyReads),
        ("SELECT @known, @there", Route::Primary, Why::VariableOnPrimary),
        ("SELECT harmless(1), app.harmless(2), `app`.harmless(3)", Route::Replica, Why::OnlyReads),
        ("SELECT other.harmless(1)", Route::Primary, Why::UnknownFunction),
        ("SELECT harmless(1), f(2)", Route::Primary, Why::UnknownFunction),
        ("EXECUTE reads", Route::Replica, Why::OnlyReads),
        ("EXECUTE writes", Route::Primary, Why::UnknownPrepared),
        ("EXECUTE other", Route::Primary, Why::UnknownPrepared),
        ("EXECUTE reads USING @there", Route::Primary, Why::VariableOnPrimary),
    ];
    for (text, route, why) in cases {
        let context = busy();
        let class = classify(text.as_bytes(), &context);
        assert_eq!((class.route, class.why), (route, why), "{text}");
    }
}

#[test]
fn a_procedure_that_leaves_nothing_pins_nothing() {
    let context = busy();
    assert!(classify(b"CALL tidy()", &context).pin.is_none());
    assert!(classify(b"CALL app.tidy(1)", &context).pin.is_none());
    assert!(classify(b"CALL other()", &context).pin.is_some());
}

#[test]
fn a_temporary_table_is_followed_to_its_new_name() {
    for text in ["ALTER TABLE tmp RENAME TO other", "RENAME TABLE tmp TO other"] {
        let context = busy();
        let class = classify(text.as_bytes(), &context);
        assert!(class.changes.contains(&Change::TemporaryTableMade(None, b"other")), "{text}");
    }
}

#[test]
fn a_view_that_calls_functions_is_for_the_primary() {
    struct Watching;
    impl Session for Watching {
        fn has_views_that_may_write(&self) -> bool {
            true
        }

        fn is_view_that_may_write(&self, name: &[u8]) -> bool {
            name == b"calls"
        }
    }
    let context = Context { session: &Watching, ..Context::new(ServerVersion::mysql(9, 7, 4)) };
    assert_eq!(classify(b"SELECT * FROM app.calls", &context).why, Why::ReadsUnsafeView);
    assert_eq!(classify(b"SELECT * FROM app.other", &context).why, Why::OnlyReads);
}

#[test]
fn in_a_schema_of_the_server_every_query_is_local() {
    struct Inside;
    impl Session for Inside {
        fn is_in_system_schema(&self) -> bool {
            true
        }
    }
    let context = Context { session: &Inside, ..Context::new(ServerVersion::mysql(9, 7, 4)) };
    assert_eq!(classify(b"SELECT * FROM threads", &context).why, Why::ServerLocal);
}

#[test]
fn modes_and_character_sets_are_read_from_the_servers_names() {
    let mode = SqlMode::parse("REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ANSI");
    assert!(mode.ansi_quotes && mode.ignore_space && !mode.no_backslash_escapes && !mode.foreign);
    assert!(SqlMode::parse("no_backslash_escapes").no_backslash_escapes);
    let oracle = SqlMode::parse("ORACLE");
    assert!(oracle.foreign && oracle.ansi_quotes);
    assert_eq!(SqlMode::parse(""), SqlMode::default());
    assert_eq!(Charset::named("UTF8MB4"), Charset::Utf8);
    assert_eq!(Charset::named("latin1"), Charset::SingleByte);
    assert_eq!(Charset::named("gbk"), Charset::MultiByte);
    assert_eq!(Charset::named("new in 12"), Charset::MultiByte);
    let context = Context { sql_mode: oracle, ..Context::new(ServerVersion::mariadb(10, 11, 14)) };
    assert_eq!(classify(b"SELECT 1", &context).route, Route::Primary);
    let spaces = SqlMode { ignore_space: true, ..SqlMode::default() };
    let context = Context { sql_mode: spaces, ..Context::new(ServerVersion::mysql(9, 7, 4)) };
    assert_eq!(classify(b"SELECT COUNT (*) FROM t", &context).route, Route::Replica);
}
