//! Whether the server's files can be read over ssh, and what mends it if not.

use std::path::Path;
use std::time::Duration;

use super::{SshHost, files, quote};
use crate::{Ability, HostError};

/// Who logs in, where that leads, and whether the data directory (`$1`) and one byte of the binary
/// log's index (`$2`) can be read.
const PROBE: &str = "LC_ALL=C; export LC_ALL; id -un; uname -n; \
    ls -A -- \"$1\" >/dev/null || exit 3; cd -- \"$1\" || exit 3; \
    if [ -n \"$2\" ]; then dd if=\"$2\" bs=1 count=1 >/dev/null || exit 4; fi; exit 0";

impl SshHost {
    pub(super) async fn may_read(&self, limit: Duration) -> Result<Ability, HostError> {
        // Of one that never answered only its logs may be known (`master_binlog_dir` of MHA).
        let of_logs = || self.server.binlog_base.as_deref().and_then(Path::parent);
        let dir = self.server.data_dir.as_deref().or_else(of_logs);
        let Some(data_dir) = dir.map(|path| self.path(path)) else {
            return Ok(Ability::No("the server's data directory is not known".to_owned()));
        };
        let index = self.server.binlog_base.as_deref().map(|base| {
            let mut index = self.path(base).into_os_string();
            index.push(".index");
            index.into()
        });
        let remote =
            quote::command(PROBE, &[data_dir.as_os_str(), files::argument(index.as_ref())]);
        let answer = self.client.run("looking at its files", &remote, limit).await?;
        let text = String::from_utf8_lossy(&answer.output).into_owned();
        let mut lines = text.lines();
        let user = lines.next().unwrap_or("unknown").to_owned();
        if let Err(reason) = self.is_the_host(lines.next().unwrap_or_default()) {
            return Ok(Ability::No(reason));
        }
        let said = answer.said;
        let mend = format!(
            "add {user} to the group of the data directory (usermod -aG mysql {user}), or log in \
             as the server's own user with ssh_user"
        );
        Ok(match answer.status {
            0 => Ability::Yes,
            3 => Ability::No(format!(
                "user {user} may not read the data directory {} ({said}); {mend}",
                data_dir.display()
            )),
            4 => Ability::No(format!(
                "user {user} may look into the data directory {}, but not read its binary logs \
                 ({said}); {mend}",
                data_dir.display()
            )),
            other => Ability::No(format!("the host answered with status {other} ({said})")),
        })
    }
}
