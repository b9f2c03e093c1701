//! What a donor's agent sends of a backup or a dump, as it comes in here. What is done with the bytes
//! is the business of who asks for them.

use std::time::Duration;

use primacy_agent_api::pieces::Piece;
use primacy_agent_api::{AgentClient, BackupOrder, PieceStream, paths};

use super::job::Job;

/// How long the donor may take to begin.
const BEGIN: Duration = Duration::from_secs(30);

/// One transfer for a job. Its errors name the donor.
pub(super) struct Transfer<'a> {
    job: &'a Job,
    donor: String,
    stream: PieceStream,
    stall: Duration,
}

impl<'a> Transfer<'a> {
    /// Asks for it. A donor that sends nothing for `stall` ends it later on.
    pub(super) async fn begin(
        job: &'a Job,
        agent: &AgentClient,
        request: &BackupOrder,
        stall: Duration,
    ) -> Result<Self, String> {
        let donor = request.server.to_string();
        let stream = agent
            .stream(paths::BACKUP, request, BEGIN.max(stall))
            .await
            .map_err(|error| format!("the donor {donor}: {error}"))?;
        Ok(Self { job, donor, stream, stall })
    }

    /// What comes next; `None` when all of it has come. Pauses are told to those who ask for the job.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        loop {
            let piece = self.stream.next(self.stall).await;
            match piece.map_err(|error| format!("the transfer from {}: {error}", self.donor))? {
                Piece::Bytes(bytes) => return Ok(Some(bytes)),
                Piece::Paused => self.job.paused(),
                Piece::End(_) => return Ok(None),
                Piece::Failed(text) => return Err(format!("the donor {}: {text}", self.donor)),
            }
        }
    }
}
