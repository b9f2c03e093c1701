//! What binds a session to one connection, so that its statements cannot be split nor its
//! connection shared.

macro_rules! pins {
    ($($(#[$doc:meta])* $name:ident: $tracked:literal, $sentence:literal, $until:literal;)+) => {
        /// Why a session is bound to one connection. Of several the last in this order is shown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Pin { $($(#[$doc])* $name,)+ }

        impl Pin {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The sentence for people.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }

            /// When it ends.
            pub fn until(self) -> &'static str {
                match self { $(Self::$name => $until,)+ }
            }

            /// Whether a server that tracks session state in its answers can show that there is
            /// nothing to be bound to, or give the value that is missing.
            pub fn yields_to_tracking(self) -> bool {
                match self { $(Self::$name => $tracked,)+ }
            }
        }
    };
}

pins! {
    /// A user variable with a value that is not in the text.
    UserVariable: false, "a user variable has a value that only the server knows",
        "the variable is set to a constant, or its value was read back";
    /// A system variable with a value that is not in the text.
    SessionVariable: true, "a session variable was set to an expression",
        "the server reports the value, or the variable is set to a constant";
    /// A variable that belongs to one connection.
    ConnectionVariable: false, "a variable was set that only makes sense on one connection",
        "the session is reset";
    /// What ran was not in the text.
    Opaque: true, "a procedure, block or prepared statement ran that may have left something in the session",
        "the server reports that nothing was left, or the session is reset";
    /// A prepared statement whose text is not known.
    PreparedText: false, "a statement was prepared whose text only the server knows",
        "it is deallocated, or the session is reset";
    /// SERIALIZABLE.
    Serializable: false, "reads lock rows at isolation level SERIALIZABLE",
        "another isolation level is set";
    /// HANDLER ... OPEN.
    Handler: false, "a HANDLER is open", "it is closed";
    /// A temporary table.
    TemporaryTable: false, "there is a temporary table", "it is dropped, or the session is reset";
    /// GET_LOCK.
    NamedLock: false, "a named lock may be held", "RELEASE_ALL_LOCKS(), or the session is reset";
    /// XA.
    Xa: false, "a distributed transaction is open", "XA COMMIT or XA ROLLBACK; on MySQL XA PREPARE";
    /// LOCK TABLES and the like.
    TableLocks: false, "tables or the server are locked", "UNLOCK TABLES, or what else ends that lock";
}
