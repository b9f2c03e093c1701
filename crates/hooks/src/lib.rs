//! Calls people's own programs. It knows nothing of clusters or plans: what is to be
//! told comes in as a [`Notice`], what came of it goes out as a value.
//!
//! - [`Program`] runs any one executable or command line, with a limit, and comes back whatever it
//!   does: an [`Outcome`].
//! - [`Hook`] is a configured program that is called at some [`HookEvent`]s; the event decides what
//!   its failure means ([`HookEvent::verdict`]).

mod capture;
mod event;
mod group;
mod hook;
mod notice;
mod outcome;
mod pipes;
mod program;
mod run;
mod start;
mod template;

pub use capture::Captured;
pub use event::{FailureMeans, HookEvent, UnknownEvent, Verdict};
pub use hook::{Called, Hook, HookConfigError, HookFailure};
pub use notice::{DOCUMENT_VERSION, LostTransactions, Notice};
pub use outcome::{Exit, NotStarted, Outcome};
pub use program::{INHERITED, NotAbsolute, Program, quoted};
pub use template::{ArgumentError, Arguments, TemplateMistake};
