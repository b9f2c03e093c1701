//! What a proxy must know of a statement, from its bytes: where it may run, what it does to its
//! session, and what it looks like without its values.
//!
//! - [`classify()`] says all of the first two in a [`Class`]: a statement may run on a replica only
//!   when it is proven that it changes nothing; whatever is not known goes to the primary.
//! - [`digest()`] writes a statement without its values, and their hash.
//! - [`Scanner`] cuts bytes into tokens as the servers do, for the session's `sql_mode` and character
//!   set and the servers' versions ([`Context`]).
//!
//! Pure: no clock, network or randomness, and nothing that bytes of strangers could make panic or
//! take more than time in proportion to their length. It is no grammar: whether a statement is
//! correct is for the server to say.

mod change;
mod class;
mod classify;
mod context;
mod digest;
mod hint;
mod pin;
mod reference;
mod scan;
mod why;
mod word;

pub use change::{Change, Isolation, Scope, Value};
pub use class::{Class, Follows, Reads, Route, Variance, Verb};
pub use classify::classify;
pub use context::{Charset, Context, Fresh, Prepared, Session, SqlMode, VariableState};
pub use digest::{Digest, digest};
pub use hint::{Hint, HintProblem, HintRoute};
pub use pin::Pin;
pub use reference::{BuiltIn, built_in_functions, reference};
pub use scan::{Doubt, Kind, Scanner, Token};
pub use why::Why;
pub use word::Function;
