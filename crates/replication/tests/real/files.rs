//! The binary logs of a server as a feed, read where they lie while the server writes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use primacy_replication::{Feed, FeedError, FeedItem, FeedStream, StartAt};

/// All binary logs in a data folder, from this file on.
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
    pub(crate) first: String,
}

struct Reading {
    folder: PathBuf,
    file: Arc<str>,
    offset: u64,
    /// After the format description go on here.
    then: u64,
}

#[async_trait]
impl Feed for Files {
    async fn open(&self, start: &StartAt) -> Result<Box<dyn FeedStream>, FeedError> {
        let (file, then) = match start {
            StartAt::Position(place) => (place.file.clone(), place.offset),
            _ => (self.first.clone(), 0),
        };
        if !self.folder.join(&file).exists() {
            let text =
                format!("the saved events begin at {}; the replica asks for {file}", self.first);
            return Err(FeedError::NotAvailable(text));
        }
        let folder = self.folder.clone();
        Ok(Box::new(Reading { folder, file: file.into(), offset: 4, then }))
    }
}

#[async_trait]
impl FeedStream for Reading {
    async fn next(&mut self) -> Result<Option<FeedItem>, FeedError> {
        loop {
            if let Some(bytes) = event_at(&self.folder.join(&*self.file), self.offset) {
                let start = self.offset;
                let end = start + bytes.len() as u64;
                self.offset = end;
                if start == 4 {
                    self.offset = end.max(self.then);
                }
                return Ok(Some(FeedItem { file: Arc::clone(&self.file), start, end, bytes }));
            }
            let (base, number) = self.file.rsplit_once('.').unwrap();
            let next = format!("{base}.{:06}", number.parse::<u32>().unwrap() + 1);
            if !self.folder.join(&next).exists() {
                return Ok(None);
            }
            self.file = next.into();
            self.offset = 4;
            self.then = 0;
        }
    }

    async fn more(&mut self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn event_at(file: &Path, offset: u64) -> Option<Bytes> {
    let whole = std::fs::read(file).ok()?;
    let rest = whole.get(usize::try_from(offset).unwrap()..)?;
    let length = u32::from_le_bytes(rest.get(9..13)?.try_into().unwrap());
    let event = rest.get(..usize::try_from(length).unwrap())?;
    Some(Bytes::copy_from_slice(event))
}
