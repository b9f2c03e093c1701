//! A server whose binary logs stand on a small disk of their own (tmpfs), which a test can fill.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Cluster, must};

/// What a disk has room for while its server is set up.
const ROOMY: &str = "64m";

/// A small disk; taken away when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    /// Moves the binary logs of the primary `server` to a disk of their own: it is stopped, started
    /// again and opened. `None`, and said so, where mounting is not permitted.
    pub async fn under(cluster: &Cluster, server: &str) -> Option<Self> {
        let info = cluster.server(server).clone();
        let place = info.dir.join("logs");
        must(fs::create_dir_all(&place), "making a folder");
        let owner = must(fs::metadata(&info.datadir), "looking at a data directory");
        let options = format!("size={ROOMY},mode=0750,uid={},gid={}", owner.uid(), owner.gid());
        if let Err(why) = run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], &place) {
            skip(&why);
            return None;
        }
        // From here on it is unmounted when it is dropped.
        let disk = Self { place };
        cluster.stop(server).await;
        disk.take_logs(&info.datadir, &info.config_file, (owner.uid(), owner.gid()));
        cluster.start(server).await;
        let info = cluster.sandbox().info();
        if info.semi_sync {
            let new = "SET GLOBAL rpl_semi_sync_source_enabled = ON";
            cluster.say(server, "SET GLOBAL rpl_semi_sync_master_enabled = ON", new).await;
        }
        cluster.sql(server, "SET GLOBAL read_only = OFF").await;
        Some(disk)
    }

    fn take_logs(&self, data: &Path, options: &Path, owner: (u32, u32)) {
        let place = self.place.display();
        let text = must(fs::read_to_string(options), "reading an option file");
        let text =
            text.replace("log_bin = binlog\n", &format!("log_bin = {place}/binlog\n")).replace(
                "log_bin_index = binlog.index",
                &format!("log_bin_index = {place}/binlog.index"),
            );
        must(fs::write(options, text), "writing an option file");
        for entry in must(fs::read_dir(data), "reading a data directory").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with("binlog.") {
                continue;
            }
            let to = self.place.join(&name);
            must(fs::copy(entry.path(), &to), "moving a binary log");
            must(fs::remove_file(entry.path()), "moving a binary log");
            if name == "binlog.index" {
                let index = must(fs::read_to_string(&to), "reading an index");
                let index = index.replace("./", &format!("{place}/"));
                must(fs::write(&to, index), "writing an index");
            }
            must(std::os::unix::fs::chown(&to, Some(owner.0), Some(owner.1)), "giving a file away");
        }
    }

    /// Leaves room for so many more bytes.
    pub fn leave(&self, bytes: u64) {
        let files = must(fs::read_dir(&self.place), "reading a folder").flatten();
        let used: u64 = files.filter_map(|f| Some(f.metadata().ok()?.blocks() * 512)).sum();
        self.resize(&(used + bytes).to_string());
    }

    /// Gives it room again.
    pub fn enlarge(&self) {
        self.resize(ROOMY);
    }

    fn resize(&self, size: &str) {
        let resized = run("mount", &["-o", &format!("remount,size={size}")], &self.place);
        must(resized, "resizing a disk");
    }
}

/// Unmounts what a test that was killed left below this folder.
pub(crate) fn unmount_below(dir: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    for place in places.filter(|place| place.starts_with(dir) && *place != dir) {
        let _gone_already = run("umount", &["-l"], place);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: its server may still have files open there.
        let _gone_already = run("umount", &["-l"], &self.place);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may wait for mount, which ends at once")]
fn run(program: &str, words: &[&str], place: &Path) -> Result<(), String> {
    let output = Command::new(program).args(words).arg(place).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn skip(why: &str) {
    println!("SKIPPED: a file system cannot be mounted here ({why})");
}
