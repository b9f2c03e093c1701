//! Hooks and webhooks of a cluster: what must hold between their keys, and their way back to text.

use primacy_types::HookEvent;

use crate::error::Problems;
use crate::fields::{Fields, Lookup, text, word};
use crate::model::{ClusterName, HookConfig, HookRun, OnFailure, SecretSource, WebhookConfig};
use crate::schema::Section;
use crate::security::read_secret;
use crate::tree::{Table, Tree};
use crate::value::Value;

/// A section of a list: one of its tables.
fn lookup<'t>(path: &'static str, table: &'t Table) -> Lookup<'t> {
    Lookup { section: Section::named(path), own: Some(table), defaults: None }
}

fn moments(at: &Lookup<'_>) -> Vec<HookEvent> {
    match at.value("at") {
        Some(Value::Moments(moments)) => moments,
        _ => Vec::new(),
    }
}

/// The hooks of a cluster in the order of the file.
pub(crate) fn read_hooks(
    tree: &Tree,
    cluster: &ClusterName,
    problems: &mut Problems<'_>,
) -> Option<Vec<HookConfig>> {
    let tables = tree.list_of(cluster, "hook");
    let hooks: Vec<_> = tables.map(|table| read_hook(table, problems)).collect();
    hooks.into_iter().collect()
}

fn read_hook(table: &Table, problems: &mut Problems<'_>) -> Option<HookConfig> {
    let at = lookup("cluster.*.hook[]", table);
    let hook = HookConfig {
        run: read_run(table, &at, problems)?,
        at: moments(&at),
        timeout: at.duration("timeout"),
        on_failure: at.word("on_failure").unwrap_or_default(),
    };
    if let Some((found, _)) = at.found("on_failure")
        && !(hook.at.is_empty() || hook.at.contains(&HookEvent::BeforeFailover))
    {
        problems.add(
            &found.key_span,
            "this says what a failure before a failover means, but `at` does not name \
             before_failover",
            "add \"before_failover\" to `at`, or remove the key",
        );
    }
    Some(hook)
}

fn read_run(table: &Table, at: &Lookup<'_>, problems: &mut Problems<'_>) -> Option<HookRun> {
    match (at.found("program"), at.found("command")) {
        (Some((program, _)), Some((command, _))) => {
            let (first, second) = match program.key_span.start < command.key_span.start {
                true => (program, command),
                false => (command, program),
            };
            let place = problems.source.place(first.key_span.start);
            problems.add(
                &second.key_span,
                format!("what the hook runs is already said ({place})"),
                "keep one of `program` and `command`",
            );
            None
        }
        (None, None) => {
            problems.add(
                &table.span,
                "this hook runs nothing",
                "write program = \"/path/of/a/program\", or command = \"a line for a shell\"",
            );
            None
        }
        (Some(_), None) => {
            let arguments = match at.value("arguments") {
                Some(Value::Arguments(arguments)) => arguments,
                _ => Vec::new(),
            };
            Some(HookRun::Program { path: at.path("program")?, arguments })
        }
        (None, Some(_)) => {
            if let Some((found, _)) = at.found("arguments") {
                problems.add(
                    &found.key_span,
                    "`arguments` belongs to `program`, and this hook has a `command`",
                    "write them into the line, or use `program`",
                );
            }
            Some(HookRun::Command(at.text("command")?))
        }
    }
}

/// The webhooks of a cluster in the order of the file.
pub(crate) fn read_webhooks(
    tree: &Tree,
    cluster: &ClusterName,
    problems: &mut Problems<'_>,
) -> Option<Vec<WebhookConfig>> {
    let tables = tree.list_of(cluster, "webhook");
    let webhooks: Vec<_> = tables.map(|table| read_webhook(table, problems)).collect();
    webhooks.into_iter().collect()
}

fn read_webhook(table: &Table, problems: &mut Problems<'_>) -> Option<WebhookConfig> {
    let at = lookup("cluster.*.webhook[]", table);
    let secret = read_secret(table, problems);
    let Some((found, _)) = at.found("url") else {
        problems.add(&table.span, "this webhook has no `url`", "write url = \"https://host/path\"");
        return None;
    };
    let Some(Value::Url(url)) = at.value("url") else { return None };
    let allow_plain = at.flag("allow_plain");
    if !url.is_tls() && !url.is_loopback() && !allow_plain {
        problems.add(
            &found.value_span,
            "this URL is not encrypted: everybody on the way could read what is told",
            "write https://, or allow_plain = true",
        );
    }
    if let (Some((found, _)), false) = (at.found("ca_file"), url.is_tls()) {
        problems.add(
            &found.key_span,
            "`ca_file` is not used with a URL that is not https",
            "write https://, or remove the key",
        );
    }
    Some(WebhookConfig {
        url,
        secret: secret?,
        at: moments(&at),
        ca_file: at.path("ca_file"),
        allow_plain,
    })
}

fn moments_field(moments: &[HookEvent]) -> Option<Value> {
    (!moments.is_empty()).then(|| Value::Moments(moments.to_vec()))
}

pub(crate) fn hook_fields(hook: &HookConfig) -> Fields {
    let mut fields: Fields = match &hook.run {
        HookRun::Program { path, arguments } => {
            let arguments = Some(arguments.clone()).filter(|all| !all.is_empty());
            vec![
                ("program", Some(Value::Path(path.clone()))),
                ("arguments", arguments.map(Value::Arguments)),
            ]
        }
        HookRun::Command(line) => vec![("command", text(line))],
    };
    let refuses_nothing = !hook.at.is_empty() && !hook.at.contains(&HookEvent::BeforeFailover);
    fields.extend([
        ("at", moments_field(&hook.at)),
        ("timeout", Some(Value::Duration(hook.timeout))),
        // Where it does not matter it may not be written.
        ("on_failure", Some(hook.on_failure).filter(|_| !refuses_nothing).and_then(word)),
    ]);
    fields
}

pub(crate) fn webhook_fields(webhook: &WebhookConfig) -> Fields {
    let secret = match &webhook.secret {
        Some(SecretSource::File(path)) => ("secret_file", Some(Value::Path(path.clone()))),
        Some(SecretSource::Env(name)) => ("secret_env", text(name)),
        Some(SecretSource::Credential(name)) => ("secret_credential", text(name)),
        None | Some(SecretSource::Given(_)) => ("secret_file", None),
    };
    vec![
        ("url", Some(Value::Url(webhook.url.clone()))),
        secret,
        ("at", moments_field(&webhook.at)),
        ("ca_file", webhook.ca_file.clone().map(Value::Path)),
        ("allow_plain", Some(Value::Bool(webhook.allow_plain))),
    ]
}

/// Which of these moments no version calls yet.
pub(crate) fn never_called(moments: &[HookEvent]) -> Vec<&'static str> {
    let rejoin = |at: &&HookEvent| matches!(at, HookEvent::BeforeRejoin | HookEvent::AfterRejoin);
    moments.iter().filter(rejoin).map(|at| at.word()).collect()
}

impl From<OnFailure> for primacy_types::RefuseOrProceed {
    fn from(on_failure: OnFailure) -> Self {
        match on_failure {
            OnFailure::GoOn => Self::Proceed,
            OnFailure::Refuse => Self::Refuse,
        }
    }
}
