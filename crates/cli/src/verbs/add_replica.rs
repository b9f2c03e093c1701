//! `add-replica`: looks at a new server, adds it to the configuration file, and has it built.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;
use std::time::Duration;

use primacy_api::{ApiError, ErrorKind, RebuildAnswer, RebuildOrder, Service};
use primacy_manager::inspect_newcomer;
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
    // A file that is a link is changed where it is.
    let file = fs::canonicalize(file)?;
    let mut text = fs::read_to_string(&file)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push('\n');
    text.push_str(lines);
    if let Err(error) = primacy_config::parse(&text, &file.display().to_string()) {
        return Err(io::Error::other(format!("with these lines it would be wrong: {error}")));
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = file.with_file_name(name);
    let written = write_like(&fresh, &text, &fs::metadata(&file)?);
    let done = written.and_then(|()| fs::rename(&fresh, &file));
    if done.is_err() {
        drop(fs::remove_file(&fresh));
    }
    done?;
    file.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Writes a new file with the owner and the mode of another, for the manager reads it as another user;
/// all of it is on disk when this returns.
fn write_like(path: &Path, text: &str, former: &fs::Metadata) -> io::Result<()> {
    // Whatever has that name already is not ours, a link to elsewhere perhaps.
    let options = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).clone();
    let mut file = options.open(path)?;
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (former.uid(), former.gid()) {
        fchown(&file, Some(former.uid()), Some(former.gid())).map_err(|error| {
            let owner = format!("{}:{}", former.uid(), former.gid());
            io::Error::other(format!(
                "the new file could not be given to its owner {owner}: {error}"
            ))
        })?;
    }
    file.set_permissions(fs::Permissions::from_mode(former.permissions().mode()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
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

    #[test]
    fn what_has_the_name_of_the_new_file_already_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (other, link) = (folder.path().join("other"), folder.path().join("link"));
        fs::write(&other, "theirs").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let former = fs::metadata(&other).unwrap();
        assert!(write_like(&link, "ours", &former).is_err());
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
    }
}
