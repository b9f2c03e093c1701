//! Programs that are really run.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod ending;
mod programs;
mod scripts;
