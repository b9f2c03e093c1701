//! The way that a replica's commands take through a source, without socket and feed: for the fuzz
//! targets, whose bytes must get as far as a logged-in stranger's.

use primacy_wire::packet::{
    COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID, COM_QUERY, COM_REGISTER_REPLICA,
};

use super::questions::{Facts, Variables, answer};
use super::request::{parse_dump, parse_dump_gtid, parse_registration};
use super::visit::understand;

/// What a source knows of one replica that talks to it.
#[derive(Debug)]
pub struct Visitor {
    facts: Facts,
    variables: Variables,
}

impl Visitor {
    /// A replica that has just logged in to a source of this family.
    pub fn new(mariadb: bool) -> Self {
        let facts = Facts {
            server_id: 99,
            server_uuid: "3354fe7c-e543-11f1-ac87-02fc00000001".to_owned(),
            version: if mariadb { "10.11.6-MariaDB" } else { "9.7.4" }.to_owned(),
            mariadb,
            gtid_mode: !mariadb,
        };
        Self { facts, variables: Variables::default() }
    }

    /// It sends a command: what comes of it, in words for nobody.
    pub fn command(&mut self, code: u8, argument: &[u8]) -> String {
        let request = match code {
            COM_QUERY => {
                let statement = String::from_utf8_lossy(argument);
                return format!("{:?}", answer(&statement, &self.facts, &mut self.variables));
            }
            COM_REGISTER_REPLICA => return format!("{:?}", parse_registration(argument)),
            COM_BINLOG_DUMP => parse_dump(argument),
            COM_BINLOG_DUMP_GTID => parse_dump_gtid(argument),
            other => return format!("{other:#04x}"),
        };
        let understood = request.map(|request| {
            let replica = understand(&request, &self.variables, self.facts.mariadb);
            replica.map(|replica| replica.start.to_string()).map_err(|error| error.to_string())
        });
        format!("{understood:?}")
    }
}
