//! Copying transactions out of what a server sends.

use primacy_binlog::describe::WantedGtids;
use primacy_binlog::event::EventKind;
use primacy_binlog::pick::Picker;
use primacy_binlog::{Grouper, RawEvent};
use primacy_replication::StartAt;
use primacy_types::BinlogPosition;
use primacy_wire::ConnectOptions;

use crate::live::{Came, Live, head_of};
use crate::{Chosen, ErrantError, Saved};

/// Copies the transactions that are wanted; gives those that did not come.
///
/// # Errors
/// If the server does not send them, sends what is no binary log, or the copy cannot be written.
pub async fn save(
    login: &ConnectOptions,
    chosen: &Chosen,
    saved: &mut Saved,
) -> Result<WantedGtids, ErrantError> {
    let mut live = Live::connect(login, None, &chosen.start).await?;
    let mut picker = Picker::new(chosen.gtids.clone());
    while let Came::Event(event) = live.next(false).await? {
        let raw = RawEvent::new(&event.bytes, event.start)?;
        let Some(format) = live.format() else { continue };
        let picked = picker.feed(&raw, format)?;
        if picked.abandoned {
            saved.give_up()?;
        }
        if picked.begins {
            let head = head(login, &live, saved, &event.file).await?;
            saved.begin_transaction(&head, &event.file, event.start)?;
        }
        if picked.is_wanted {
            saved.write(&event.bytes)?;
        }
        if picked.completes {
            saved.complete();
        }
    }
    if picker.is_inside() {
        saved.give_up()?;
    }
    Ok(picker.lacking())
}

/// Copies every whole transaction from a place to the end of the binary log, whatever it is called.
///
/// # Errors
/// As [`save`].
pub async fn save_from(
    login: &ConnectOptions,
    place: &BinlogPosition,
    saved: &mut Saved,
) -> Result<(), ErrantError> {
    let mut live = Live::connect(login, None, &StartAt::Position(place.clone())).await?;
    let mut grouper = Grouper::new();
    let mut inside = false;
    while let Came::Event(event) = live.next(false).await? {
        let raw = RawEvent::new(&event.bytes, event.start)?;
        let Some(format) = live.format() else { continue };
        let fed = grouper.feed(&raw, format)?;
        if fed.abandoned.is_some() && inside {
            saved.give_up()?;
            inside = false;
        }
        if raw.kind() == EventKind::FORMAT_DESCRIPTION && grouper.open().is_none() {
            grouper.at_boundary();
        }
        if fed.part.opens() {
            let head = head(login, &live, saved, &event.file).await?;
            saved.begin_transaction(&head, &event.file, event.start)?;
            inside = true;
        }
        if inside {
            saved.write(&event.bytes)?;
        }
        if inside && fed.part.completes() {
            saved.complete();
            inside = false;
        }
    }
    if inside {
        saved.give_up()?;
    }
    Ok(())
}

/// The format description that belongs before a transaction of this file.
async fn head(
    login: &ConnectOptions,
    live: &Live,
    saved: &Saved,
    file: &std::sync::Arc<str>,
) -> Result<Vec<u8>, ErrantError> {
    let checksums = live.format().is_some_and(|format| format.has_checksums());
    match saved.needs_head(file) && !checksums {
        // The one that was sent may have been changed, and then its checksum is wrong.
        true => head_of(login, None, file).await,
        false => Ok(live.head().to_vec()),
    }
}
