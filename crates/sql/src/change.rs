//! What a statement does to its session, typed.

/// A value as the statement has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'s> {
    /// The same on every server: a literal or a word, as text of the statement.
    Constant(&'s [u8]),
    /// Something that a server has to compute, as text of the statement.
    Expression(&'s [u8]),
    /// `DEFAULT`: the server's global value.
    Default,
    /// It comes from rows or is not in the text.
    Computed,
}

impl Value<'_> {
    /// Whether it can be sent to another server as it is.
    pub fn can_be_carried(self) -> bool {
        matches!(self, Self::Constant(_) | Self::Default)
    }
}

/// Whose value a `SET` changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The session's.
    Session,
    /// The server's: `GLOBAL`, `PERSIST`, `PERSIST_ONLY`.
    Global,
    /// That of the next transaction only: `SET TRANSACTION`, `SET @@tx_isolation`.
    NextTransaction,
}

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// A change of the session, or of what its connection holds. Names are without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'s> {
    /// The default schema: `USE`.
    Schema(&'s [u8]),
    /// A system variable; also one of the server if the scope says so.
    SystemVariable {
        /// Whose.
        scope: Scope,
        /// Its name.
        name: &'s [u8],
        /// Its new value.
        value: Value<'s>,
    },
    /// A user variable.
    UserVariable {
        /// Its name without `@`.
        name: &'s [u8],
        /// Its new value.
        value: Value<'s>,
    },
    /// `autocommit`; `None` if the value is not in the text.
    Autocommit(Option<bool>),
    /// The isolation level; `None` if it is not in the text.
    Isolation(Scope, Option<Isolation>),
    /// Whether transactions only read; `None` if it is not in the text.
    ReadOnly(Scope, Option<bool>),
    /// `SET NAMES`, with the collation if one is given; `None` is `DEFAULT`.
    Names(Option<&'s [u8]>, Option<&'s [u8]>),
    /// `SET CHARACTER SET`; `None` is `DEFAULT`.
    CharacterSet(Option<&'s [u8]>),
    /// `SET ROLE`, with its text.
    Role(&'s [u8]),
    /// A transaction begins.
    Begin {
        /// Said to be read-only or not; `None` if nothing is said.
        read_only: Option<bool>,
        /// `WITH CONSISTENT SNAPSHOT`.
        snapshot: bool,
    },
    /// A transaction ends.
    End {
        /// By `COMMIT`; otherwise by `ROLLBACK`.
        commit: bool,
        /// `AND CHAIN`: the next one begins at once.
        chain: bool,
        /// `RELEASE`: the connection is closed then.
        release: bool,
    },
    /// `SAVEPOINT`.
    Savepoint(&'s [u8]),
    /// `ROLLBACK TO`.
    RollbackTo(&'s [u8]),
    /// `RELEASE SAVEPOINT`.
    ReleaseSavepoint(&'s [u8]),
    /// A distributed transaction: begins, or goes on in some way.
    Xa {
        /// `XA START` or `XA BEGIN`.
        begins: bool,
        /// `XA COMMIT`, `XA ROLLBACK`.
        ends: bool,
    },
    /// `LOCK TABLES`, `FLUSH TABLES WITH READ LOCK`, `LOCK INSTANCE`, `BACKUP STAGE`.
    Locks,
    /// `UNLOCK TABLES` and the like.
    Unlocks,
    /// A named lock may be taken.
    NamedLock,
    /// All named locks are given up.
    ReleasesNamedLocks,
    /// A temporary table is made, or gets this name; with its schema if one is given.
    TemporaryTableMade(Option<&'s [u8]>, &'s [u8]),
    /// A table is dropped; a temporary one of that name goes first.
    TableDropped(Option<&'s [u8]>, &'s [u8]),
    /// `HANDLER ... OPEN`, with the name that it goes by.
    HandlerOpened(&'s [u8]),
    /// `HANDLER ... CLOSE`.
    HandlerClosed(&'s [u8]),
    /// `PREPARE`, with the text between its quotes, escapes untouched; `None` if the text is in a
    /// variable or an expression.
    Prepared(&'s [u8], Option<&'s [u8]>),
    /// `EXECUTE`.
    Executed(&'s [u8]),
    /// `DEALLOCATE PREPARE`.
    Deallocated(&'s [u8]),
    /// `KILL`: the session's own ids are not the servers'.
    Kill {
        /// Only its statement.
        query: bool,
        /// The connection, if a number stands there.
        id: Option<u64>,
    },
}
