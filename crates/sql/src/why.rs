//! The reasons for a route: one table, from the weakest to the weightiest.

use crate::class::Route;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $route:ident, $hint:literal, $sentence:literal;)+) => {
        /// Why a statement goes where it goes; of several reasons the last in this order counts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Why { $($(#[$doc])* $name,)+ }

        impl Why {
            /// All of them, the weakest first.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The route that follows.
            pub fn route(self) -> Route {
                match self { $(Self::$name => Route::$route,)+ }
            }

            /// The sentence for people.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }

            /// Whether `/* primacy:replica */` may overrule it: nothing is known that a replica
            /// would do wrongly, it is only not proven, or the answer is another one there.
            pub fn yields_to_hint(self) -> bool {
                match self { $(Self::$name => $hint,)+ }
            }
        }
    };
}

reasons! {
    /// A read.
    OnlyReads: Replica, true, "it only reads";
    /// `START TRANSACTION READ ONLY`.
    ReadOnlyTransaction: Replica, true, "a read-only transaction may run on one replica";
    /// Session settings.
    SetsSession: Session, false, "it sets what every connection of the session needs";
    /// Asks what the statement before left.
    AsksPrevious: Previous, false, "it asks what the statement before left on its connection";
    /// Asks for the insert id.
    AsksInsertId: Primary, false, "it asks for what the session's last insert left on the primary";
    /// COMMIT and the like.
    EndsTransaction: Transaction, false, "it belongs to the open transaction";
    /// What one server or connection knows.
    ServerLocal: Primary, true, "each server answers this for itself";
    /// A statement about statements or tables whose answer differs between servers.
    Metadata: Primary, true, "servers differ in what they say of plans, statistics and status";
    /// A function that is not built in.
    UnknownFunction: Primary, true, "it calls a function that is not built in and could do anything";
    /// A view that calls a stored function.
    ReadsUnsafeView: Primary, true, "it reads a view that calls a function which could do anything";
    /// A user variable whose value only the primary's connection has.
    VariableOnPrimary: Primary, false, "it reads a user variable whose value only the primary's connection has";
    /// BEGIN.
    BeginsTransaction: Primary, false, "a transaction may write";
    /// A temporary table.
    TouchesTemporaryTable: Primary, false, "it names a temporary table of this session";
    /// An assignment within a query, or of an expression.
    AssignsVariable: Primary, false, "it assigns a value that only the server knows";
    /// A sequence.
    MovesSequence: Primary, false, "it takes or asks for a value of a sequence";
    /// GET_LOCK and the like.
    NamedLock: Primary, false, "named locks belong to the primary";
    /// FOR UPDATE and the like.
    LocksRows: Primary, false, "it locks rows";
    /// INTO OUTFILE and the like.
    WritesFile: Primary, false, "it writes a file on the server";
    /// SET GLOBAL and the like.
    SetsServer: Primary, false, "it changes settings of the server";
    /// Prepared statements whose text is not known.
    UnknownPrepared: Primary, false, "it runs a prepared statement that is not proven to read only";
    /// LOCK TABLES and the like.
    LocksTables: Primary, false, "it takes or gives up locks";
    /// Cursors of HANDLER.
    UsesHandler: Primary, false, "HANDLER keeps its place on one connection";
    /// Procedures and blocks.
    RunsProcedure: Primary, false, "what runs inside is not in the text";
    /// INSERT and the like.
    WritesRows: Primary, false, "it writes";
    /// DDL.
    ChangesSchema: Primary, false, "it changes the schema";
    /// Accounts.
    ChangesAccounts: Primary, false, "it changes accounts or privileges";
    /// Maintenance, replication, shutdown.
    Administers: Primary, false, "it acts on one server";
    /// XA.
    DistributedTransaction: Primary, false, "a distributed transaction belongs to the primary";
    /// Several statements that are not all reads.
    SeveralStatements: Primary, false, "several statements in one text, not all of them reads";
    /// Not known.
    UnknownStatement: Primary, false, "it is no statement that is known here";
    /// Not certain.
    Uncertain: Primary, false, "it is not certain what the server reads in these bytes";
}
