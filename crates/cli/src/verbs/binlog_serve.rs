//! `binlog serve`.

use std::time::Duration;

use primacy_binlog_server::{Login, ServeOptions, SyncPolicy, serve};

use crate::args::{BinlogServe, Global, SyncWhen};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::config_file;
use crate::signals::Interrupt;

/// Runs until it is asked to end.
pub(super) async fn run(global: &Global, args: &BinlogServe) -> Outcome {
    let options = options(global, args)?;
    let mut interrupt = Interrupt::watch()?;
    let ready = || {
        let states = [sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status("following")];
        if let Err(error) = sd_notify::notify(&states) {
            tracing::debug!(%error, "systemd was not told");
        }
    };
    Box::pin(serve(options, ready, interrupt.next()))
        .await
        .map_err(|error| Failure::new(Exit::Refused, error))?;
    Ok(Exit::Done)
}

fn options(global: &Global, args: &BinlogServe) -> Result<ServeOptions, Failure> {
    let config = primacy_manager::load_config(&config_file(global))?;
    let mut named = config
        .clusters
        .iter()
        .filter(|(name, _)| args.cluster.as_ref().is_none_or(|wanted| name.as_str() == wanted));
    let cluster = match (named.next(), named.next()) {
        (Some((_, cluster)), None) => cluster,
        (None, _) => return Err(Failure::usage("the configuration has no such cluster")),
        _ => return Err(Failure::usage("there are several clusters: say which with --cluster")),
    };
    let login = |account: &primacy_config::Account| {
        let password = primacy_manager::secret(account)?;
        Ok::<_, Failure>(Login { user: account.user.clone(), password })
    };
    let policy = &cluster.policy;
    Ok(ServeOptions {
        cluster: cluster.name.to_string(),
        servers: cluster.servers.clone(),
        channel: policy.channel.clone(),
        manager: login(&cluster.accounts.manager)?,
        replication: login(&cluster.accounts.replication)?,
        tls: primacy_manager::tls_mode(&cluster.tls),
        connect_timeout: policy.timing.connect_timeout.as_duration(),
        heartbeat: policy.heartbeat_period.as_duration(),
        listen: args.listen,
        dir: args.dir.clone(),
        server_id: args.server_id,
        sync: match args.sync {
            SyncWhen::Always => SyncPolicy::Always,
            SyncWhen::Interval => SyncPolicy::Interval,
            SyncWhen::Os => SyncPolicy::Os,
        },
        keep_for: args.keep_days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
        keep_bytes: args.keep_size,
        semi_sync: !args.no_semi_sync,
        from: args.from.as_ref().map(|from| match from.rsplit_once(':') {
            Some((file, position)) if position.parse::<u64>().is_ok() => file.to_owned(),
            _ => from.clone(),
        }),
    })
}
