//! `binlog save`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_binlog::copy::{CopyError, CopyWriter};
use primacy_errant::{Came, Live, head_of};
use primacy_replication::{ReceiveError, StartAt};
use primacy_types::{Address, BinlogPosition};
use primacy_wire::ConnectOptions;

use super::inputs;
use super::live::failed;
use super::login::{self, LoginAs};
use crate::args::{Global, SaveLogs, ServerLogin};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::signals::Interrupt;

/// Pause before a server that was away is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// The furthest place that can be asked for: it has 32 bits on the wire.
const FURTHEST: u64 = u32::MAX as u64;

/// Where the flags of a format description stand in it, and the bit of a file in use.
const FLAGS: usize = 17;

/// Why the stream ended.
enum Ended {
    UpToDate,
    Interrupted,
    Lost(Failure),
}

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &SaveLogs) -> Outcome {
    let login = login::options(global, &args.login, LoginAs::Replication, &args.server)?;
    let mut interrupt = Interrupt::watch()?;
    let mut copy = CopyWriter::open(&args.out).map_err(|e| written(&e))?;
    if copy.position().is_some() && args.from.is_some() {
        return Err(Failure::usage(format!("{} has files already", args.out.display()))
            .hint("leave --from out to continue them, or name an empty folder"));
    }
    if let (Some(place), false) = (copy.position(), printer.wants_json()) {
        printer.note(&format!("continuing at {place}"));
    }
    loop {
        let ended = tokio::select! {
            ended = Box::pin(copy_on(args, &login, &mut copy)) => ended?,
            () = interrupt.next() => Ended::Interrupted,
        };
        copy.sync().map_err(|e| written(&e))?;
        match ended {
            Ended::Lost(failure) if args.follow && failure.exit == Exit::Unreachable => {
                printer.note(&format!("{}; trying again", failure.message));
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = interrupt.next() => break,
                }
            }
            Ended::Lost(failure) => return Err(failure),
            Ended::UpToDate | Ended::Interrupted => break,
        }
    }
    let bytes = copy.bytes();
    let until = copy.position().map_or_else(|| "nothing".to_owned(), |place| place.to_string());
    if printer.wants_json() {
        printer.json(&serde_json::json!({
            "folder": args.out, "bytes": bytes, "until": until,
        }))?;
    } else {
        printer.data(&format!("{bytes} bytes copied to {}, up to {until}", args.out.display()))?;
    }
    Ok(Exit::Done)
}

/// Copies what a server has now, from this file on, into an empty folder; the files.
pub(super) async fn copy_of(
    global: &Global,
    login: &ServerLogin,
    server: &Address,
    from: Option<String>,
    folder: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let args = SaveLogs {
        server: server.clone(),
        login: login.clone(),
        out: folder.to_owned(),
        from,
        follow: false,
        server_id: None,
    };
    let login = login::options(global, &args.login, LoginAs::Replication, server)?;
    let mut copy = CopyWriter::open(folder).map_err(|e| written(&e))?;
    match Box::pin(copy_on(&args, &login, &mut copy)).await? {
        Ended::Lost(failure) => Err(failure),
        Ended::UpToDate | Ended::Interrupted => {
            copy.sync().map_err(|e| written(&e))?;
            inputs::folder(folder)
        }
    }
}

/// Copies until there is no more, or for ever.
async fn copy_on(
    args: &SaveLogs,
    login: &ConnectOptions,
    copy: &mut CopyWriter,
) -> Result<Ended, Failure> {
    let (mut live, sent_again) = match Box::pin(connect(args, login, copy)).await {
        Ok(connected) => connected,
        Err(failure) if failure.exit == Exit::Unreachable => return Ok(Ended::Lost(failure)),
        Err(failure) => return Err(failure),
    };
    loop {
        match live.next(args.follow).await {
            Ok(Came::Event(event)) => {
                if sent_again.as_deref() == Some(&*event.file) && copy.has(&event.file, event.start)
                {
                    continue;
                }
                copy.write(&event.file, event.start, &event.bytes).map_err(|e| written(&e))?;
            }
            Ok(Came::UpToDate) if args.follow => copy.sync().map_err(|e| written(&e))?,
            Ok(Came::UpToDate) => return Ok(Ended::UpToDate),
            Err(error @ ReceiveError::Damaged { .. }) => return Err(failed(error)),
            Err(error) => return Ok(Ended::Lost(failed(error))),
        }
    }
}

/// Connects where the copy ends; also which file is sent from its head though it is there.
async fn connect(
    args: &SaveLogs,
    login: &ConnectOptions,
    copy: &CopyWriter,
) -> Result<(Live, Option<String>), Failure> {
    let mut sent_again = None;
    let start = match (copy.position(), &args.from) {
        (Some(place), _) => {
            same_server(args, login, copy, &place).await?;
            let asked = asked_for(&place);
            sent_again = (asked != place).then(|| place.file.clone());
            StartAt::Position(asked)
        }
        (None, Some(file)) => StartAt::Position(BinlogPosition::new(file.clone(), 4)),
        (None, None) => StartAt::Beginning,
    };
    Ok((Live::connect(login, args.server_id, &start).await?, sent_again))
}

/// The place to ask for, to go on at `place`. A file so long has one huge transaction in it, with
/// nothing or little behind: there is no place to ask for that would save much of the way.
fn asked_for(place: &BinlogPosition) -> BinlogPosition {
    match place.offset {
        ..=FURTHEST => place.clone(),
        _ => BinlogPosition::new(place.file.clone(), 4),
    }
}

/// The file that is continued must be the server's own: it began in the same second, with the
/// same bytes.
async fn same_server(
    args: &SaveLogs,
    login: &ConnectOptions,
    copy: &CopyWriter,
    place: &BinlogPosition,
) -> Result<(), Failure> {
    let Some(ours) = copy.head() else {
        return Ok(());
    };
    let mut theirs = head_of(login, args.server_id, &place.file).await?;
    if let Some(flags) = theirs.get_mut(FLAGS) {
        *flags &= !1;
    }
    if theirs == ours {
        return Ok(());
    }
    let folder = args.out.display();
    let message =
        format!("{} of {} is another file than the one in {folder}", place.file, args.server);
    Err(Failure::new(Exit::Refused, message)
        .hint("it is another server, or its logs were reset: name an empty folder"))
}

fn written(error: &CopyError) -> Failure {
    let failure = Failure::new(Exit::Refused, error);
    match error {
        CopyError::Hole { .. } => failure.hint(
            "the server leaves something out of what it sends (an encrypted binary log); copy \
             that file on its host",
        ),
        CopyError::Unfit { .. } | CopyError::Exists(_) => failure.hint("name an empty folder"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_beyond_four_gibibytes_is_reached_from_the_head_of_its_file() {
        let place = |offset| BinlogPosition::new("binlog.000007", offset);
        for offset in [4, 1 << 31, FURTHEST] {
            assert_eq!(asked_for(&place(offset)), place(offset));
        }
        assert_eq!(asked_for(&place(FURTHEST + 1)), place(4));
        assert_eq!(asked_for(&place(7 << 30)), place(4));
    }
}
