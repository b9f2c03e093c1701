//! The words of the MySQL protocol, free of sockets, clocks and runtimes: [`packet`] (what is said),
//! [`frame`] (how it is cut), [`capability`] (what was agreed), [`auth`] (who is asking, the client's
//! part).
//!
//! Whoever talks over sockets is in `primacy-wire`, whoever stands between two that talk in
//! `primacy-relay`; nothing here knows of either.

pub mod auth;
pub mod capability;
pub mod frame;
pub mod packet;
