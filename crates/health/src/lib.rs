//! Health addresses: plain HTTP for load balancers, keepalived and container platforms. Which
//! questions there are ([`Question`]), what a server must be like for a yes ([`judge`]), and
//! answering and asking within limits.
//!
//! Nothing here looks at a server: agents and managers do, and say what they [`Seen`]. In doubt the
//! answer is no: a no costs a moment without writes, a wrong yes sends writes to two servers.

mod answer;
mod ask;
mod judge;
mod limits;
mod question;
mod serve;

pub use answer::{Answer, Role};
pub use ask::{AskError, BadUrl, HealthUrl, ask};
pub use judge::{LeaseSeen, Part, Replication, Seen, judge};
pub use limits::Limits;
pub use question::{BadQuestion, PATHS, Question, Subject, duration};
pub use serve::{Respond, serve};
