//! Every case of the table, on the servers that it is for.

use primacy_sql::{Class, Route, classify};
use primacy_types::ServerVersion;

use crate::table::{Case, cases};

const SERVERS: [ServerVersion; 2] =
    [ServerVersion::mysql(9, 7, 4), ServerVersion::mariadb(10, 11, 14)];

#[test]
fn statements_go_where_the_table_says() {
    let cases = cases();
    assert!(cases.len() > 350, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        for server in SERVERS {
            if !case.is_for(server.flavor) {
                continue;
            }
            let context = case.context(server);
            let class = classify(&case.statement, &context);
            if let Some(said) = differs(case, &class) {
                let text = String::from_utf8_lossy(&case.statement).into_owned();
                wrong.push(format!("line {} on {server}: {text}: {said}", case.line));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn differs(case: &Case, class: &Class<'_>) -> Option<String> {
    let route = match class.route {
        Route::Replica => "replica",
        Route::Primary => "primary",
        Route::Previous => "previous",
        Route::Transaction => "transaction",
        Route::Session => "session",
    };
    let why = format!("{:?}", class.why);
    let mut wrong = Vec::new();
    if route != case.wanted {
        wrong.push(format!("goes to {route}, because {}", class.explain()));
    }
    if case.why().is_some_and(|wanted| wanted != why) {
        wrong.push(format!("because {why}"));
    }
    for (attribute, is) in
        [("pin", class.pin.is_some()), ("commits", class.commits), ("doubt", class.doubt.is_some())]
    {
        if case.has(attribute) != is {
            wrong.push(format!("{attribute} is {is} ({:?}, {:?})", class.pin, class.doubt));
        }
    }
    if case.has("retry") && !class.can_retry {
        wrong.push("cannot be retried".to_owned());
    }
    if case.has("varies") && class.variance.is_deterministic() {
        wrong.push("is deterministic".to_owned());
    }
    let never_again = class.can_retry && !matches!(route, "replica" | "session" | "primary");
    if never_again || (class.can_retry && class.pin.is_some()) {
        wrong.push("must not be retried".to_owned());
    }
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// The same statements where the servers of a cluster do not agree about a comment.
#[test]
fn what_only_some_servers_read_is_uncertain() {
    let (old, new) = (ServerVersion::mysql(8, 4, 3), ServerVersion::mysql(9, 7, 4));
    let context = primacy_sql::Context { newest: new, ..primacy_sql::Context::new(old) };
    for (text, wanted) in [
        ("SELECT 1 /*!90000 FOR UPDATE */", Route::Primary),
        ("SELECT 1 /*!90000 + 1 */", Route::Primary),
        ("SELECT 1 /*!80000 + 1 */", Route::Replica),
        ("SELECT 1 /*!99999 + 1 */", Route::Replica),
    ] {
        assert_eq!(classify(text.as_bytes(), &context).route, wanted, "{text}");
    }
}

#[test]
fn functions_that_old_servers_do_not_have_are_stored_ones_there() {
    for (text, old, new) in [
        (
            "SELECT JSON_VALUE('{}', '$.a')",
            ServerVersion::mysql(5, 6, 24),
            ServerVersion::mysql(9, 7, 4),
        ),
        (
            "SELECT SFORMAT('x')",
            ServerVersion::mariadb(10, 5, 1),
            ServerVersion::mariadb(10, 11, 1),
        ),
    ] {
        let on = |server| classify(text.as_bytes(), &primacy_sql::Context::new(server)).route;
        assert_eq!((on(old), on(new)), (Route::Primary, Route::Replica), "{text}");
    }
}
