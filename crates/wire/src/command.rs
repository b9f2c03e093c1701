//! Sends one command and reads its whole answer, so that the connection is ready for the next.

use bytes::Bytes;

use crate::capability::{DEPRECATE_EOF, STATUS_MORE_RESULTS};
use crate::error::Fault;
use crate::packet::{
    COM_PING, COM_QUERY, Cell, EOF, ERR, OkPacket, ResultHead, parse_column_name, parse_eof,
    parse_err, parse_head, parse_ok, parse_row,
};
use crate::rows::Rows;
use crate::stream::{ANSWER_LIMIT, PacketStream};

/// The most results that one statement may give (a procedure can give many).
const MAX_RESULTS: usize = 10_000;

/// A logged-in connection, and what was agreed on it.
pub(crate) struct Link {
    pub(crate) stream: PacketStream,
    pub(crate) capabilities: u32,
    /// Status flags of the latest answer.
    pub(crate) status: u16,
}

/// The answer to one statement: rows, or the OK packet.
pub(crate) enum Answer {
    Rows(Rows),
    Ok(OkPacket),
}

impl Link {
    /// Asks whether the server answers.
    pub(crate) async fn ping(&mut self) -> Result<(), Fault> {
        self.stream.command(COM_PING, &[]).await?;
        let packet = self.read().await?;
        self.status = parse_ok(&packet)?.status;
        Ok(())
    }

    /// Runs a statement and returns its first result; what follows is read and dropped.
    pub(crate) async fn run(&mut self, sql: &[u8]) -> Result<Answer, Fault> {
        self.stream.command(COM_QUERY, sql).await?;
        let mut budget = ANSWER_LIMIT;
        let first = self.result(&mut budget).await?;
        let mut results = 1;
        while self.status & STATUS_MORE_RESULTS != 0 {
            results += 1;
            if results > MAX_RESULTS {
                return Err(Fault::Protocol(format!("more than {MAX_RESULTS} results came")));
            }
            self.result(&mut budget).await?;
        }
        Ok(first)
    }

    /// Reads one result of a statement.
    async fn result(&mut self, budget: &mut usize) -> Result<Answer, Fault> {
        let packet = self.read().await?;
        match parse_head(&packet)? {
            ResultHead::Ok => {
                let ok = parse_ok(&packet)?;
                self.status = ok.status;
                Ok(Answer::Ok(ok))
            }
            ResultHead::Err => Err(Fault::Answer(parse_err(&packet)?)),
            ResultHead::LocalInfile => {
                self.stream.write(&[]).await?;
                self.read().await?;
                let reason = "it asked for a file of this host (LOAD DATA LOCAL), and got none";
                Err(Fault::Protocol(reason.to_owned()))
            }
            ResultHead::Columns(count) => self.rows(count, budget).await.map(Answer::Rows),
        }
    }

    async fn rows(&mut self, count: usize, budget: &mut usize) -> Result<Rows, Fault> {
        let no_eof = self.capabilities & DEPRECATE_EOF != 0;
        let mut columns = Vec::new();
        for _ in 0..count {
            let packet = self.read().await?;
            spend(budget, packet.len())?;
            columns.push(parse_column_name(&packet)?);
        }
        if !no_eof {
            let packet = self.read().await?;
            (_, self.status) = parse_eof(&packet)?;
        }
        let mut rows = Rows::with_columns(columns);
        loop {
            let packet = self.read().await?;
            // A row may begin with 0xFE too: a field of 16 MiB and more.
            let last = packet.first() == Some(&EOF);
            if last && no_eof && packet.len() < crate::frame::MAX_FRAME {
                self.status = parse_ok(&packet)?.status;
                return Ok(rows);
            }
            if last && !no_eof && packet.len() < 9 {
                (_, self.status) = parse_eof(&packet)?;
                return Ok(rows);
            }
            spend(budget, packet.len() + count * size_of::<Cell>())?;
            rows.push(parse_row(&packet, count)?);
        }
    }

    /// The next packet; an error packet is the end of the answer.
    async fn read(&mut self) -> Result<Bytes, Fault> {
        let packet = self.stream.read().await?;
        if packet.first() == Some(&ERR) {
            return Err(Fault::Answer(parse_err(&packet)?));
        }
        Ok(packet)
    }
}

/// Counts what an answer takes of our memory.
fn spend(budget: &mut usize, bytes: usize) -> Result<(), Fault> {
    let left = budget.checked_sub(bytes);
    *budget = left.ok_or_else(|| {
        Fault::Protocol(format!("an answer is larger than {} MiB", ANSWER_LIMIT >> 20))
    })?;
    Ok(())
}
