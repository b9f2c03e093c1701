//! Comments that speak to the proxy.

use primacy_sql::{Context, HintProblem, Route, classify};
use primacy_types::{Millis, ServerVersion};

const SERVER: ServerVersion = ServerVersion::mysql(9, 7, 4);

#[test]
fn hints_are_obeyed_at_their_place_and_only_where_they_can_be() {
    use HintProblem::{Contradiction, Misplaced, NotOnReplica, NotUnderstood};
    use Route::{Previous, Primary, Replica};
    let cases = [
        ("/* primacy:primary */ SELECT 1", Primary, None),
        ("SELECT /* primacy:primary */ 1", Primary, None),
        ("/* a */ /* PRIMACY:PRIMARY */ SELECT 1", Primary, None),
        ("/*primacy:replica*/ SELECT f(1)", Replica, None),
        ("SELECT /* primacy:replica */ @@version", Replica, None),
        ("/* primacy:replica */ SHOW CREATE TABLE t", Replica, None),
        ("/* primacy:replica */ SELECT 1", Replica, None),
        ("/* primacy:replica */ INSERT INTO t VALUES (1)", Primary, Some(NotOnReplica)),
        ("/* primacy:replica */ SELECT 1 FOR UPDATE", Primary, Some(NotOnReplica)),
        ("/* primacy:replica */ SELECT GET_LOCK('a', 1)", Primary, Some(NotOnReplica)),
        ("/* primacy:replica */ SELECT f(1) FOR UPDATE", Primary, Some(NotOnReplica)),
        ("/* primacy:replica */ SELECT LAST_INSERT_ID()", Primary, Some(NotOnReplica)),
        ("/* primacy:replica */ SHOW WARNINGS", Previous, Some(NotOnReplica)),
        ("/* primacy:replica */ SELECT 'open", Primary, Some(NotOnReplica)),
        ("SELECT 1 /* primacy:primary */", Replica, Some(Misplaced)),
        ("SELECT a, /* primacy:primary */ b", Replica, Some(Misplaced)),
        ("/* primacy:elsewhere */ SELECT 1", Replica, Some(NotUnderstood)),
        ("/* primacy:primary primacy:replica */ SELECT 1", Replica, Some(Contradiction)),
        ("SELECT 1 /* about primacy: nothing */", Replica, None),
        ("SELECT '/* primacy:primary */'", Replica, None),
        ("SELECT 1; SELECT /* primacy:primary */ 2", Replica, Some(Misplaced)),
    ];
    for (text, route, problem) in cases {
        let context = Context::new(SERVER);
        let class = classify(text.as_bytes(), &context);
        assert_eq!((class.route, class.hint_problem), (route, problem), "{text}");
    }
}

#[test]
fn executable_comments_are_no_hints() {
    let context = Context::new(SERVER);
    let class = classify(b"/*! primacy:primary */ SELECT 1", &context);
    assert_eq!((class.hint.route, class.route), (None, Route::Primary), "no statement");
}

#[test]
fn how_far_behind_a_replica_may_be_is_told() {
    let context = Context::new(SERVER);
    let class = classify(b"/* primacy:max_lag=1s */ SELECT 1", &context);
    assert_eq!(class.hint.max_lag, Some(Millis(1000)));
    assert_eq!(class.route, Route::Replica);
}
