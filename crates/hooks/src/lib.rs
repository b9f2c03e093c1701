//! Calls people's own programs. It knows nothing of clusters or plans.
//!
//! - [`Program`] runs any one executable or command line, with a limit, and comes back whatever it
//!   does: an [`Outcome`].

mod capture;
mod group;
mod outcome;
mod pipes;
mod program;
mod run;
mod start;

pub use capture::Captured;
pub use outcome::{Exit, NotStarted, Outcome};
pub use program::{INHERITED, NotAbsolute, Program, quoted};
