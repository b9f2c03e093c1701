//! How long a statement takes: `cargo xtask bench sql` builds and runs this, and writes the page.
//!
//! Prints a table; `--seconds N` is the time for each cell.

#![expect(clippy::print_stdout, reason = "a program's output")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use primacy_sql::{Context, classify, digest};
use primacy_types::ServerVersion;
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

/// So many measurements of a cell; the fastest counts, because everything else on the machine can
/// only make it slower.
const ROUNDS: u32 = 20;

fn main() {
    let mut arguments = std::env::args().skip_while(|word| word != "--seconds").skip(1);
    let seconds = arguments.next().and_then(|word| word.parse().ok()).unwrap_or(1.0);
    let limit = Duration::from_secs_f64(seconds) / ROUNDS;
    println!("| statement | bytes | class | class and digest | sqlparser |\n|---|--:|--:|--:|--:|");
    for (name, text) in statements() {
        let context = Context::new(ServerVersion::mysql(9, 7, 4));
        let class = fastest(limit, || {
            black_box(classify(black_box(text.as_bytes()), &context));
        });
        let mut buffer = [0; 1024];
        let both = fastest(limit, || {
            black_box(classify(black_box(text.as_bytes()), &context));
            black_box(digest(black_box(text.as_bytes()), &context, &mut buffer));
        });
        let reads = Parser::parse_sql(&MySqlDialect {}, &text).is_ok();
        let peer = match reads {
            true => {
                let took = fastest(limit, || {
                    black_box(Parser::parse_sql(&MySqlDialect {}, black_box(&text)).is_ok());
                });
                format!("{took:.0} ns")
            }
            false => "fails".to_owned(),
        };
        println!("| {name} | {} | {class:.0} ns | {both:.0} ns | {peer} |", text.len());
    }
}

/// Nanoseconds of one call.
fn fastest(limit: Duration, mut call: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let mut calls = 0_u32;
        while begin.elapsed() < limit {
            // The clock is asked rarely: it costs as much as a statement.
            for _ in 0..100 {
                call();
            }
            calls += 100;
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    best
}

fn statements() -> Vec<(&'static str, String)> {
    let columns: Vec<_> = (0..40).map(|n| format!("t1.column_{n} AS name_{n}")).collect();
    let ids: Vec<_> = (0..60).map(|n| (1_000_000 + n).to_string()).collect();
    let long = format!(
        "SELECT {}, COUNT(DISTINCT t2.id) FROM orders t1 LEFT JOIN items AS t2 ON t2.order_id = t1.id \
         WHERE t1.state = 'open' AND t1.id IN ({}) AND t1.note NOT LIKE '%test%' GROUP BY t1.id \
         ORDER BY t1.created_at DESC LIMIT 100",
        columns.join(", "),
        ids.join(", ")
    );
    vec![
        ("point select", "SELECT c FROM sbtest1 WHERE id=5042".to_owned()),
        ("prepared text", "SELECT c FROM sbtest1 WHERE id=?".to_owned()),
        ("range", "SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN 5042 AND 5141".to_owned()),
        ("2 kB select", long),
        (
            "insert",
            "INSERT INTO sbtest1 (id, k, c, pad) VALUES (5042, 4990, '83868641912-28773972837', '67847967377-48000963322')"
                .to_owned(),
        ),
        ("update", "UPDATE sbtest1 SET k=k+1 WHERE id=5042".to_owned()),
        ("begin", "BEGIN".to_owned()),
        ("commit", "COMMIT".to_owned()),
        ("set", "SET NAMES utf8mb4".to_owned()),
        ("hidden lock", "SELECT c FROM sbtest1 WHERE id=5042 /*!50000 FOR UPDATE */".to_owned()),
    ]
}
