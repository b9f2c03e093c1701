//! What sandboxes are made of and what their servers do.

use primacy_sandbox::{ProcessState, Role, SandboxInfo, ServerStatus};

use super::table;
use crate::look::count;
use crate::paint;

/// One sandbox: what it is, where its servers listen, where its configuration is.
pub(crate) fn made(info: &SandboxInfo) -> String {
    let rows = info.servers.iter().map(|server| {
        [server.name.clone(), server.address.to_string(), role(server.role).to_owned()]
    });
    format!(
        "{}  {}\n\n{}\n  configuration  {}\n",
        paint::strong(&info.name),
        kind(info),
        table::plain(["Server", "Address", "Role"], rows.collect()),
        info.config.display()
    )
}

/// `MariaDB 10.11.6, GTID, semi-sync (1), 3 servers`
fn kind(info: &SandboxInfo) -> String {
    let mut words = vec![info.version.to_string()];
    words.push(if info.gtid { "GTID" } else { "file and position" }.to_owned());
    if info.semi_sync {
        words.push(format!("semi-sync ({})", info.semi_sync_wait_count));
    }
    if info.tls_ca.is_some() {
        words.push("TLS".to_owned());
    }
    words.push(count(info.servers.len(), "server", "servers"));
    words.join(", ")
}

/// All sandboxes.
pub(crate) fn list(all: &[&SandboxInfo]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let rows =
        all.iter().map(|info| [info.name.clone(), kind(info), info.dir.display().to_string()]);
    table::plain(["Name", "Servers", "Folder"], rows.collect())
}

/// What the servers of one sandbox do.
pub(crate) fn status(servers: &[ServerStatus]) -> String {
    let rows = servers.iter().map(|server| {
        let answers = match (server.process, server.answers) {
            (ProcessState::Running, false) => "does not answer",
            (_, true) => "answers",
            (_, false) => "-",
        };
        [
            server.name.clone(),
            server.address.to_string(),
            role(server.role).to_owned(),
            process(server.process).to_owned(),
            server.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            answers.to_owned(),
        ]
    });
    table::plain(["Server", "Address", "Made as", "Process", "Pid", "Port"], rows.collect())
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Replica => "replica",
    }
}

fn process(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Running => "running",
        ProcessState::Frozen => "frozen",
        ProcessState::Stopped => "stopped",
        ProcessState::Dead => "dead",
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;
    use crate::render::testing::stripped;

    fn info() -> SandboxInfo {
        let server = |n: u16, role: &str| {
            json!({
                "name": format!("s{n}"), "address": format!("127.0.0.1:{}", 13000 + n),
                "role": role, "dir": "/x", "datadir": "/x", "socket": "/x", "pid_file": "/x",
                "config_file": "/x", "error_log": "/x", "server_id": n,
            })
        };
        serde_json::from_value(json!({
            "name": "demo", "dir": "/var/lib/demo", "installation": "mariadb-10.11",
            "version": { "flavor": "mariadb", "number": [10, 11, 6] },
            "gtid": true, "semi_sync": true, "semi_sync_wait_count": 1,
            "servers": [server(1, "primary"), server(2, "replica")],
            "accounts": [], "config": "/var/lib/demo/primacy.toml",
        }))
        .unwrap()
    }

    #[test]
    fn a_new_sandbox() {
        assert_snapshot!(stripped(&made(&info())), @"
        demo  MariaDB 10.11.6, GTID, semi-sync (1), 2 servers

          Server  Address          Role
          s1      127.0.0.1:13001  primary
          s2      127.0.0.1:13002  replica

          configuration  /var/lib/demo/primacy.toml
        ");
        assert_snapshot!(list(&[&info()]), @"
        Name  Servers                                          Folder
        demo  MariaDB 10.11.6, GTID, semi-sync (1), 2 servers  /var/lib/demo
        ");
    }

    #[test]
    fn servers_that_run_and_do_not() {
        let server = |name: &str, process, pid, answers| ServerStatus {
            name: name.into(),
            address: "127.0.0.1:13001".parse().unwrap(),
            role: Role::Replica,
            process,
            pid,
            answers,
        };
        let all = [
            server("s1", ProcessState::Running, Some(812), true),
            server("s2", ProcessState::Running, Some(813), false),
            server("s3", ProcessState::Frozen, Some(814), false),
            server("s4", ProcessState::Dead, None, false),
        ];
        assert_snapshot!(status(&all), @"
        Server  Address          Made as  Process  Pid  Port
        s1      127.0.0.1:13001  replica  running  812  answers
        s2      127.0.0.1:13001  replica  running  813  does not answer
        s3      127.0.0.1:13001  replica  frozen   814  -
        s4      127.0.0.1:13001  replica  dead     -    -
        ");
    }
}
