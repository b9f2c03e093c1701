//! Brings a file to another host over the system's `ssh`.
//!
//! The file goes through the command's standard input: neither `scp` nor an sftp subsystem has to be
//! there. It gets its name only when all of it has arrived.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::NodeError;

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The login.
    pub user: String,
    /// The host.
    pub host: String,
    /// The port of its sshd.
    pub port: u16,
    /// Further words for `ssh`.
    pub options: Vec<String>,
}

/// However large the file is.
const LIMIT: Duration = Duration::from_secs(3600);

/// So much of what the other side says is kept.
const SAID: u64 = 4096;

/// Words of options as a configuration has them: divided by blanks, with quotes as in a shell.
///
/// # Errors
/// If a quote is not closed.
pub fn words(text: &str) -> Result<Vec<String>, NodeError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(NodeError::refused(format!("a quote in {text:?} is not closed")));
    }
    words.extend(word);
    Ok(words)
}

/// Brings `file` to the same place there, and sees that it is as long there.
///
/// # Errors
/// What `ssh` or the host said.
pub async fn ship(file: &Path, to: &Destination) -> Result<(), NodeError> {
    let source = std::fs::File::open(file).map_err(|e| NodeError::io("read", file, e))?;
    let length = source.metadata().map_err(|e| NodeError::io("read", file, e))?.len();
    let there = quoted(&file.display().to_string());
    let part = quoted(&format!("{}.part", file.display()));
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = quoted(&folder.unwrap_or(Path::new(".")).display().to_string());
    let script = format!(
        "umask 077; mkdir -p {folder} && cat > {part} && wc -c < {part} && mv -f {part} {there}"
    );
    let mut ssh = Command::new("ssh");
    for option in
        ["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"]
    {
        ssh.args(["-o", option]);
    }
    ssh.args(&to.options).args(["-p", &to.port.to_string()]);
    ssh.args(["--", &format!("{}@{}", to.user, to.host), &script]);
    ssh.stdin(source).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |why: String| {
        let (host, file) = (&to.host, file.display());
        NodeError::refused(format!("{file} was not brought to {host} over ssh: {why}"))
    };
    let mut child = ssh.spawn().map_err(|e| failed(format!("ssh was not started: {e}")))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (out, err) = tokio::join!(said(out), said(err));
        (child.wait().await, out, err)
    };
    let (status, out, err) =
        timeout(LIMIT, all).await.map_err(|_| failed("it took more than an hour".to_owned()))?;
    match status {
        Ok(status) if status.success() && out.trim().parse() == Ok(length) => Ok(()),
        Ok(status) if status.success() => {
            Err(failed(format!("{length} bytes were sent, and {} arrived", out.trim())))
        }
        Ok(status) => Err(failed(format!("{status}: {}", err.trim()))),
        Err(error) => Err(failed(error.to_string())),
    }
}

async fn said(stream: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut text = Vec::new();
    if let Some(mut stream) = stream {
        let _rest = (&mut stream).take(SAID).read_to_end(&mut text).await;
        let _unread = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// One word for the other host's shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_words() {
        let all = |text| words(text).map_err(|e| e.to_string());
        let wanted = ["-F", "/etc/my ssh", "-oPort=22"].map(str::to_owned).to_vec();
        assert_eq!(all("-F '/etc/my ssh'  -oPort=\"22\" "), Ok(wanted));
        assert_eq!(all(""), Ok(vec![]));
        assert!(all("-F 'x").unwrap_err().contains("not closed"));
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
