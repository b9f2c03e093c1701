//! The systemd unit that starts a server: masked until the next boot while the server is to stay
//! down, so that systemd does not run into the guard again and again.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::proc;

/// sd_booted(3): this directory exists where systemd runs the machine.
const BOOTED: &str = "/run/systemd/system";
const PLACES: &[&str] = &["/usr/bin/systemctl", "/bin/systemctl"];
/// Programs that stand between systemd and the server.
const WRAPPERS: &[&str] = &["mysqld_safe", "mariadbd-safe"];

/// The machine's service manager.
#[derive(Clone, Debug)]
pub(crate) struct Systemd {
    program: PathBuf,
    /// Where units are masked until the next boot.
    masks: PathBuf,
}

impl Systemd {
    /// `None` where the machine is not run by systemd.
    pub(crate) fn of_this_machine() -> Option<Self> {
        let program = PLACES.iter().map(PathBuf::from).find(|path| path.exists())?;
        Path::new(BOOTED).is_dir().then_some(Self { program, masks: PathBuf::from(BOOTED) })
    }

    #[cfg(test)]
    pub(crate) fn with(program: PathBuf, masks: PathBuf) -> Self {
        Self { program, masks }
    }

    /// The unit that starts this server: its main process is the server, or the server's wrapper.
    /// A service that merely has the server somewhere below it (a session, a runner) is not one.
    pub(crate) async fn unit_of(&self, pid: u32, limit: Duration) -> Option<String> {
        let unit = service_of(pid)?;
        if service_of(std::process::id()).as_ref() == Some(&unit) {
            return None;
        }
        let main = self.run(&["show", "--property=MainPID", "--value", &unit], limit).await.ok()?;
        let main: u32 = main.trim().parse().ok()?;
        let parent = proc::stat(pid).ok()?.parent;
        let wrapped = main == parent
            && proc::program(parent).is_ok_and(|name| WRAPPERS.contains(&name.as_str()));
        (main == pid || wrapped).then_some(unit)
    }

    /// Keeps systemd from starting the unit, until unmasked or the next boot.
    pub(crate) async fn mask(&self, unit: &str, limit: Duration) -> Result<(), String> {
        self.run(&["mask", "--runtime", unit], limit).await.map(drop)
    }

    /// Lets systemd start the unit again; starts nothing.
    pub(crate) async fn unmask(&self, unit: &str, limit: Duration) -> Result<(), String> {
        self.run(&["unmask", "--runtime", unit], limit).await.map(drop)
    }

    /// Whether it is masked until the next boot: systemd says so by a link (systemctl(1), mask), which
    /// everybody may see. What cannot be told counts as masked.
    pub(crate) fn is_masked(&self, unit: &str) -> bool {
        match std::fs::read_link(self.masks.join(unit)) {
            Ok(target) => target == Path::new("/dev/null"),
            // A file that is no link is a unit of its own.
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput),
        }
    }

    /// Has systemd start the unit; does not wait for it.
    pub(crate) async fn start(&self, unit: &str, limit: Duration) -> Result<(), String> {
        self.run(&["start", "--no-block", "--no-ask-password", unit], limit).await.map(drop)
    }

    /// Has systemd stop the unit; does not wait for it.
    pub(crate) async fn stop(&self, unit: &str, limit: Duration) -> Result<(), String> {
        self.run(&["stop", "--no-block", "--no-ask-password", unit], limit).await.map(drop)
    }

    /// What systemd calls its state: `active`, `activating`, `failed`, ...
    pub(crate) async fn state(&self, unit: &str, limit: Duration) -> Result<String, String> {
        let said = self.run(&["show", "--property=ActiveState", "--value", unit], limit).await?;
        Ok(said.trim().to_owned())
    }

    async fn run(&self, arguments: &[&str], limit: Duration) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let shown = format!("systemctl {}", arguments.join(" "));
        let output = timeout(limit, command.output())
            .await
            .map_err(|_| format!("{shown} did not end within {} ms", limit.as_millis()))?
            .map_err(|error| format!("{shown} could not be run: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{shown} ended with {}: {}", output.status, said.trim()))
    }
}

/// The system service whose control group a process is in.
fn service_of(pid: u32) -> Option<String> {
    proc::control_groups(pid)
        .into_iter()
        .filter(|(controllers, _)| controllers.is_empty() || controllers == "name=systemd")
        .find_map(|(_, path)| service_in(&path))
}

fn service_in(path: &str) -> Option<String> {
    // Units below a user's own manager are not the system's to mask.
    let users = path.split('/').any(|part| part.starts_with("user@"));
    let unit = path.rsplit('/').find(|part| part.ends_with(".service"))?;
    (!users).then(|| unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_read_from_the_control_group() {
        let unit = |path: &str| service_in(path);
        assert_eq!(unit("/system.slice/mariadb.service").as_deref(), Some("mariadb.service"));
        let template = "/system.slice/system-mariadb.slice/mariadb@a.service";
        assert_eq!(unit(template).as_deref(), Some("mariadb@a.service"));
        assert_eq!(unit("/user.slice/user-0.slice/session-1.scope"), None);
        assert_eq!(unit("/user.slice/user-7.slice/user@7.service/app.slice/db.service"), None);
        assert_eq!(unit("/"), None);
    }
}
