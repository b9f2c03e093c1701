//! Tests on servers of the catalogue.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use primacy_sandbox::CATALOGUE;

use crate::is_provisioned;
use crate::machine::{STILL, Watch};

/// So often a test may begin.
const ATTEMPTS: u32 = 3;

/// Whatever failed later than this is not begun again: nextest ends a test after four minutes.
const TIME: Duration = Duration::from_mins(2);

/// One test for each server out of each of these functions (`async fn(server: &str)`).
///
/// `cargo xtask test` runs it on the servers of the first list, `cargo xtask test --matrix` on those of
/// both: the second ones are in a module `in_matrix`, which the configuration of nextest keeps apart.
///
/// ```text
/// primacy_testkit::on_servers!([mariadb_10_11 mysql_9_7], [mysql_5_6], the_role_moves);
/// ```
#[macro_export]
macro_rules! on_servers {
    ($short:tt, $matrix:tt, $($test:ident),+ $(,)?) => {
        $( $crate::on_servers! { @one $test $short $matrix } )+
    };
    (@one $test:ident [$($short:ident)*] [$($matrix:ident)*]) => {
        mod $test {
            $(
                #[test]
                fn $short() {
                    $crate::on(stringify!($short), super::$test);
                }
            )*
            $crate::on_servers! { @matrix $test $($matrix)* }
        }
    };
    (@matrix $test:ident) => {};
    (@matrix $test:ident $($matrix:ident)+) => {
        mod in_matrix { $(
            #[test]
            fn $matrix() {
                $crate::on(stringify!($matrix), super::super::$test);
            }
        )+ }
    };
}

/// Runs a test on the server that has this name with underscores (`mysql_9_7`), if it is provisioned.
///
/// A test that fails while the machine stood still is begun again, and says so: its premise was not
/// given. One that fails on a machine that runs has failed.
///
/// # Panics
/// As the test does; if the catalogue has no such server; or if the server is not provisioned and `CI` or
/// `PRIMACY_REQUIRE_SERVERS` is set.
pub fn on(server: &str, test: impl AsyncFn(&'static str)) {
    let is_it = |name: &str| name.replace(['-', '.'], "_") == server;
    let Some(entry) = CATALOGUE.iter().find(|entry| is_it(entry.name)) else {
        panic!("no server of the catalogue is called {server}");
    };
    if !is_provisioned(entry.name) {
        return;
    }
    attempts(&Watch::start, &Watch::latest, &say, &|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(Box::pin(test(entry.name)));
    });
}

#[expect(clippy::print_stdout, reason = "a test that was begun again must be seen to have been")]
fn say(line: &str) {
    println!("{line}");
}

/// `attempt` until it passes, or fails on a machine that runs.
fn attempts<W>(
    start: &dyn Fn() -> W,
    latest: &dyn Fn(&W) -> Duration,
    say: &dyn Fn(&str),
    attempt: &dyn Fn(),
) {
    let begin = Instant::now();
    for number in 1.. {
        let watch = start();
        let Err(failure) = catch_unwind(AssertUnwindSafe(attempt)) else {
            say(&format!("The processors came at most {:?} late.", latest(&watch)));
            return;
        };
        let late = latest(&watch);
        if late < STILL || number == ATTEMPTS || begin.elapsed() > TIME {
            say(&format!("The processors came at most {late:?} late."));
            resume_unwind(failure);
        }
        say(&format!("REPEATED: the machine stood still for {late:?} while the test failed"));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often it was begun, and whether it passed at last.
    fn begun(late: Duration, passes_at: u32) -> (u32, bool) {
        let count = Cell::new(0);
        let passed = catch_unwind(AssertUnwindSafe(|| {
            attempts(&|| (), &|()| late, &|_| (), &|| {
                count.set(count.get() + 1);
                assert_eq!(count.get(), passes_at);
            });
        }));
        (count.get(), passed.is_ok())
    }

    #[test]
    fn a_test_that_fails_on_a_machine_that_runs_has_failed() {
        assert_eq!(begun(STILL / 2, 2), (1, false));
        assert_eq!(begun(STILL, 1), (1, true));
    }

    #[test]
    fn one_that_fails_while_the_machine_stands_still_is_begun_again_but_not_for_ever() {
        assert_eq!(begun(STILL, 2), (2, true));
        assert_eq!(begun(STILL, 9), (ATTEMPTS, false));
    }
}
