//! Hooks and webhooks: from the configuration to what operations call.

use std::borrow::Cow;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use primacy_config::{ClusterConfig, HookConfig, HookRun, WebhookConfig};
use primacy_exec::{Hooks, Scripts};
use primacy_hooks::{Authorities, Hook, HookEvent, Subscription, Webhook, WebhookOptions};
use primacy_plan::{Finding, Severity};
use secrecy::{ExposeSecret, SecretString};

use crate::ManagerError;
use crate::load::read_secret;
use crate::setup::Shared;

/// How long hooks that run beside may take at the end, and webhooks until they were told once more.
/// A hook's own limit is 10 s unless it is written.
pub(crate) const FINISH: Duration = Duration::from_secs(15);

/// A webhook that can be told, and what it signs with, to see whether that has changed.
#[derive(Clone)]
pub(crate) struct Told {
    secret: Option<SecretString>,
    webhook: Webhook,
}

impl PartialEq for Told {
    /// All else is in the configuration, which is compared too.
    fn eq(&self, other: &Self) -> bool {
        let exposed =
            |told: &'_ Self| told.secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        exposed(self) == exposed(other)
    }
}

/// Makes the webhooks of a cluster ready: their secrets and certificates are read.
pub(crate) async fn webhooks(config: &ClusterConfig) -> Result<Vec<Told>, ManagerError> {
    let mut told = Vec::new();
    for (n, webhook) in config.webhooks.iter().enumerate() {
        told.push(ready(format!("{}/{}", config.name, n + 1), webhook).await?);
    }
    Ok(told)
}

async fn ready(name: String, config: &WebhookConfig) -> Result<Told, ManagerError> {
    let what = format!("secret of the webhook {name}");
    let secret = config.secret.as_ref().map(|from| read_secret(&what, from)).transpose()?;
    let mut options = WebhookOptions::new(name, config.url.as_str())?;
    options.secret.clone_from(&secret);
    options.allow_plain = config.allow_plain;
    if let Some(path) = &config.ca_file {
        options.authorities = Authorities::File(path.clone());
    }
    Ok(Told { secret, webhook: Webhook::new(options).await? })
}

/// What operations on a cluster call.
pub(crate) fn start(
    config: &ClusterConfig,
    webhooks: &[Told],
    scripts: Scripts,
    shared: &Shared,
) -> Result<Hooks, ManagerError> {
    let hooks = config.hooks.iter().map(hook).collect::<Result<Vec<_>, _>>()?;
    let subscriptions = webhooks.iter().zip(&config.webhooks).map(|(told, config)| Subscription {
        webhook: told.webhook.clone(),
        events: config.at.clone(),
    });
    let (chronicle, subscriptions) = (shared.chronicle.clone(), subscriptions.collect());
    let name = config.name.as_str();
    Ok(Hooks::start(name, hooks, subscriptions, Some(scripts), chronicle, shared.clock))
}

/// Hooks for whoever only looks: nobody is called.
pub(crate) fn none(config: &ClusterConfig, shared: &Shared) -> Hooks {
    let chronicle = shared.chronicle.clone();
    Hooks::start(config.name.as_str(), Vec::new(), Vec::new(), None, chronicle, shared.clock)
}

fn hook(config: &HookConfig) -> Result<Hook, ManagerError> {
    let limit = config.timeout.as_duration();
    let hook = match &config.run {
        HookRun::Program { path, arguments } => Hook::executable(path, arguments, limit)?,
        HookRun::Command(line) => Hook::shell(line, limit),
    };
    Ok(hook.at(config.at.iter().copied()).before_failover(config.on_failure.into()))
}

/// A program that has to be there.
pub(crate) struct Needed {
    path: PathBuf,
    /// A switchover is refused without it.
    by_switchovers: bool,
}

/// The programs that have to be there.
pub(crate) fn programs(config: &ClusterConfig) -> Vec<Needed> {
    let programs = config.hooks.iter().filter_map(|hook| match &hook.run {
        HookRun::Program { path, .. } => Some(Needed {
            path: path.clone(),
            by_switchovers: hook.at.is_empty() || hook.at.contains(&HookEvent::BeforeSwitchover),
        }),
        HookRun::Command(_) => None,
    });
    programs.collect()
}

/// What is wrong with a program that has to be there, as far as it can be seen without running it.
pub(crate) fn unusable(program: &Needed) -> Option<Finding> {
    let (why, mend) = match std::fs::metadata(&program.path) {
        Err(error) => (error.to_string(), "install it, or mend `program` in the configuration"),
        Ok(meta) if !meta.is_file() => {
            ("it is no file".to_owned(), "mend `program` in the configuration")
        }
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
            ("nobody may execute it".to_owned(), "chmod +x it")
        }
        Ok(_) => return None,
    };
    let (severity, follows) = match program.by_switchovers {
        true => (Severity::Blocks, "every switchover is refused"),
        false => (Severity::Risk, "what it does at a failover is not done"),
    };
    Some(Finding {
        code: Cow::Borrowed("hook-unusable"),
        severity,
        server: None,
        sentence: format!("the hook {} cannot be run: {why}; {follows}", program.path.display()),
        mend: mend.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_or_may_not_be_run_is_found() {
        let told = |path: &str| {
            let needed = Needed { path: path.into(), by_switchovers: false };
            unusable(&needed).map(|finding| finding.sentence)
        };
        assert_eq!(told("/bin/sh"), None);
        assert!(told("/no/such/hook").unwrap().contains("/no/such/hook cannot be run: No such"));
        assert!(told("/").unwrap().contains("it is no file"));
        assert!(told("/etc/passwd").unwrap().contains("nobody may execute it"));
    }
}
