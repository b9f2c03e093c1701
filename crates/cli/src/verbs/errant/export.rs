//! `errant export`: a server's errant transactions as a binary log, or as text.

use primacy_config::ClusterConfig;
use primacy_errant::{Chosen, Counts};
use primacy_types::Address;
use serde::Serialize;

use super::file::Place;
use super::wanted;
use crate::args::{ExportErrant, Global};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::session::load;
use crate::verbs::binlog::login::{self, LoginAs};

#[derive(Serialize)]
struct ExportJson<'a> {
    server: &'a Address,
    /// `None` if nothing was written to a file.
    file: Option<String>,
    gtids: String,
    transactions: u64,
    events: u64,
    bytes: u64,
    /// What the binary logs do not hold (any more).
    lacking: Option<String>,
}

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &ExportErrant) -> Outcome {
    let place = Place::of(args, printer)?;
    let config = load(global)?;
    let cluster = cluster_of(config.clusters.values(), &args.server)?;
    let name = cluster.name.to_string();
    // What was last seen of a server that is down helps nobody: its binary logs are wanted.
    let asked = login::of_cluster(cluster, LoginAs::Manager, &args.server)?;
    let mut session = login::connect(&asked).await.map_err(is_down)?;
    let chosen = match &args.gtids {
        Some(gtids) => Box::pin(wanted::named(cluster, &mut session, gtids)).await?,
        None => {
            let seen = Box::pin(wanted::seen(global, printer, &name)).await?;
            match Box::pin(wanted::found(cluster, &mut session, &seen, &args.server)).await? {
                Some(chosen) => chosen,
                None => return nothing(printer, args),
            }
        }
    };
    session.close().await;
    if let Some(lacking) = &chosen.lacking {
        let nothing_left = chosen.gtids.is_empty();
        if nothing_left || !args.partial {
            return Err(incomplete(args, lacking, !nothing_left));
        }
    }
    let replication = login::of_cluster(cluster, LoginAs::Replication, &args.server)?;
    let (mut saved, _spool) = place.begin()?;
    let lacking = Box::pin(primacy_errant::save(&replication, &chosen, &mut saved)).await?;
    let lacking = match (&chosen.lacking, lacking.is_empty()) {
        (known, true) => known.clone(),
        (None, false) => Some(lacking.to_string()),
        (Some(known), false) => Some(format!("{known},{lacking}")),
    };
    let counts = saved.counts();
    if let Some(lacking) = &lacking
        && (!args.partial || counts.transactions == 0)
    {
        return Err(incomplete(args, lacking, counts.transactions > 0));
    }
    place.put(saved.finish()?, printer)?;
    told(printer, args, &place, &chosen, counts, lacking)
}

fn cluster_of<'c>(
    clusters: impl Iterator<Item = &'c ClusterConfig>,
    server: &Address,
) -> Result<&'c ClusterConfig, Failure> {
    let mut clusters = clusters;
    clusters.find(|cluster| cluster.servers.contains(server)).ok_or_else(|| {
        Failure::usage(format!("no cluster of the configuration has {server}"))
            .hint("primacy status names the servers")
    })
}

fn is_down(failure: Failure) -> Failure {
    match failure.exit {
        Exit::Unreachable => failure.hint(
            "start the server, or read its files where they are: primacy binlog show, primacy \
             binlog cut --to GTIDSET",
        ),
        _ => failure,
    }
}

fn nothing(printer: &mut Printer, args: &ExportErrant) -> Outcome {
    let server = &args.server;
    if printer.wants_json() && args.out != std::path::Path::new("-") {
        printer.json(&ExportJson {
            server,
            file: None,
            gtids: String::new(),
            transactions: 0,
            events: 0,
            bytes: 0,
            lacking: None,
        })?;
    } else {
        printer.note(&format!("{server} has no errant transaction; nothing was written"));
    }
    Ok(Exit::Done)
}

fn incomplete(args: &ExportErrant, lacking: &str, others: bool) -> Failure {
    let server = &args.server;
    let message = format!(
        "the binary logs of {server} do not hold {lacking} (any more); nothing was written"
    );
    let failure = Failure::new(Exit::Refused, message);
    match others {
        true => failure.hint("the others are there: --partial writes those"),
        false => failure.hint(
            "a copy of its binary logs may have them: primacy binlog show --transactions FILE",
        ),
    }
}

fn told(
    printer: &mut Printer,
    args: &ExportErrant,
    place: &Place,
    chosen: &Chosen,
    counts: Counts,
    lacking: Option<String>,
) -> Outcome {
    let file = place.file().map(|path| path.display().to_string());
    let Counts { transactions, events, bytes } = counts;
    if printer.wants_json() && file.is_some() {
        let (server, gtids) = (&args.server, chosen.gtids.to_string());
        printer.json(&ExportJson { server, file, gtids, transactions, events, bytes, lacking })?;
        return Ok(Exit::Done);
    }
    let many = if transactions == 1 { "transaction" } else { "transactions" };
    let mut text = format!("{transactions} {many}, {events} events, {bytes} bytes");
    text.push_str(&format!(" of {}\nGTIDs: {}", args.server, chosen.gtids));
    if let Some(lacking) = lacking {
        text.push_str(&format!("\nnot in its binary logs (any more): {lacking}"));
    }
    match file {
        Some(file) => printer.data(&format!("{text}\nwritten to {file}"))?,
        None => printer.note(&text),
    }
    Ok(Exit::Done)
}
