//! `add-replica`: looks at a new server, adds it to the configuration file, and has it built.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use primacy_api::{ApiError, ErrorKind, RebuildAnswer, RebuildOrder, Service};
use primacy_manager::{inspect_newcomer, rewrite};
use primacy_mha_config::is_mha;
use primacy_plan::Reason;
use primacy_types::{Address, Millis};
use tokio::time::Instant;

use super::rebuild::follow;
use super::with_session;
use crate::args::{AddReplica, Global};
use crate::confirm::confirm;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::session::{Asked, config_file, load, the_one};

/// Limit of each question to the new host.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a manager may take to read its file again and see the server.
const TAKEN: Duration = Duration::from_secs(60);
/// How often it is asked.
const EVERY: Duration = Duration::from_millis(500);
/// A donor is not further behind.
const MAX_LAG: Millis = Millis::from_secs(60);

pub(super) async fn run(global: &Global, printer: &mut Printer, args: &AddReplica) -> Outcome {
    let config = load(global)?;
    let name = the_one(&config, args.cluster.as_deref())?;
    let asked = if args.dry_run { Asked::Anyone } else { Asked::Manager };
    with_session(global, printer, Some(&name), asked, async |session, printer| {
        let service = session.service();
        let Some(cluster) = session.config.clusters.get(name.as_str()) else {
            return Err(Failure::usage(format!("there is no cluster {name:?}")));
        };
        let agent = args.agent.clone().unwrap_or_else(|| Address::new(args.server.host(), 7620));
        let snapshot = service.explain(&name).await?.snapshot;
        let found =
            inspect_newcomer(&session.config, cluster, &snapshot, &args.server, &agent, LIMIT)
                .await?;
        if !found.reasons.is_empty() {
            return Err(refused(found.reasons).into());
        }
        let file = config_file(global);
        let lines = lines(&name, &args.server, &agent);
        if args.dry_run {
            printer.data(&lines)?;
            printer.hint(&format!("these lines belong into {}; nothing was touched", file.display()));
            return Ok(Exit::Done);
        }
        let version = found.version.map(|version| version.to_string()).unwrap_or_default();
        printer.note(&format!(
            "{} ({version}) is added to {}:\n\n{lines}\nand gets the data of a replica of {name}; what \
             it has now is kept beside that",
            args.server,
            file.display()
        ));
        if !args.yes {
            if !printer.is_interactive() {
                return Err(Failure::usage("nobody can be asked")
                    .hint("add --yes if that is what you want"));
            }
            confirm(printer, &format!("Add {} to {name}?", args.server))?;
        }
        append(&file, &lines).map_err(|error| {
            let text = format!("{} was not changed: {error}", file.display());
            Failure::new(Exit::Refused, text).hint("add the lines by hand, then: primacy rebuild")
        })?;
        let operation = begin(service, &name, args).await?;
        follow(service, printer, &name, &operation).await
    })
    .await
}

fn refused(reasons: Vec<Reason>) -> ApiError {
    let message = "add-replica refused; nothing was touched".to_owned();
    ApiError { kind: ErrorKind::Refused, message, reasons }
}

/// What the configuration needs.
fn lines(cluster: &str, server: &Address, agent: &Address) -> String {
    format!(
        "[[cluster.{cluster}.server]]\naddress = \"{server}\"\nhost_access = \"agent\"\nagent = \"{agent}\"\n"
    )
}

/// Adds lines to a file, which is whole at every moment and keeps its owner and mode; its comments stay.
fn append(file: &Path, lines: &str) -> io::Result<()> {
    let mut text = fs::read_to_string(file)?;
    if is_mha(&file.display().to_string(), &text) {
        return Err(io::Error::other(
            "it is a file of MHA: a server is added to it as a block, or import it first (primacy \
             config import)",
        ));
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push('\n');
    text.push_str(lines);
    if let Err(error) = primacy_config::parse(&text, &file.display().to_string()) {
        return Err(io::Error::other(format!("with these lines it would be wrong: {error}")));
    }
    rewrite(file, &text)
}

/// The manager takes the changed file by itself; then the new server can be built.
async fn begin(service: &dyn Service, cluster: &str, args: &AddReplica) -> Result<String, Failure> {
    let order = RebuildOrder {
        server: args.server.clone(),
        from: args.from.clone(),
        dry_run: false,
        rate: args.limit_rate,
        max_lag: Some(MAX_LAG),
        remove_old: false,
        method: args.method.into(),
    };
    let end = Instant::now() + TAKEN;
    loop {
        match service.rebuild(cluster, order.clone()).await {
            Ok(RebuildAnswer::Begun { operation, .. }) => return Ok(operation),
            Ok(RebuildAnswer::Plan { .. }) => {}
            // It does not know the server yet, or has not looked at everybody since.
            Err(error)
                if Instant::now() < end
                    && matches!(
                        error.kind,
                        ErrorKind::Refused | ErrorKind::Busy | ErrorKind::NotFound
                    ) => {}
            Err(error) => {
                let hint =
                    format!("it is in the configuration; try: primacy rebuild {}", args.server);
                return Err(Failure::from(error).hint(hint));
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn the_file_keeps_its_comments_and_mode_and_is_never_made_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("primacy.toml");
        let text = "# ours\n[cluster.shop]\nservers = [\"db1\", \"db2\"] # two\n\
            [cluster.shop.accounts.manager]\nuser = \"u\"\npassword_env = \"P\"\n\
            [cluster.shop.accounts.replication]\nuser = \"u\"\npassword_env = \"P\"\n\
            [manager]\ncertificate = \"c\"\nkey = \"k\"\nauthority = \"a\"";
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let (server, agent) = ("db3:3306".parse().unwrap(), "db3:7620".parse().unwrap());
        append(&file, &lines("shop", &server, &agent)).unwrap();
        let now = fs::read_to_string(&file).unwrap();
        assert!(now.starts_with(text) && now.contains("address = \"db3:3306\""), "{now}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        let twice = append(&file, &lines("shop", &server, &agent)).unwrap_err();
        assert!(twice.to_string().contains("would be wrong"), "{twice}");
        assert_eq!(fs::read_to_string(&file).unwrap(), now);
    }

    #[test]
    fn the_file_stays_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("primacy.toml");
        let text = "[cluster.shop]\nservers = [\"db1\", \"db2\"]\n\
            [cluster.shop.accounts.manager]\nuser = \"u\"\npassword_env = \"P\"\n\
            [cluster.shop.accounts.replication]\nuser = \"u\"\npassword_env = \"P\"\n\
            [manager]\ncertificate = \"c\"\nkey = \"k\"\nauthority = \"a\"";
        fs::write(&file, text).unwrap();
        // Only root may give a file away.
        let owned = std::os::unix::fs::chown(&file, Some(65_534), Some(65_534)).is_ok();
        let (server, agent) = ("db3:3306".parse().unwrap(), "db3:7620".parse().unwrap());
        append(&file, &lines("shop", &server, &agent)).unwrap();
        let now = fs::metadata(&file).unwrap();
        if owned {
            assert_eq!((now.uid(), now.gid()), (65_534, 65_534));
        } else {
            println!("SKIPPED: files cannot be given to others here");
        }
    }
}
