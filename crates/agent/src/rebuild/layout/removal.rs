//! Removing what is not needed any more, large files in pieces: a file system that frees hundreds of
//! gigabytes at once may stall for the server that works on it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

/// So much is freed at once.
const PIECE: u64 = 64 << 20;
const PAUSE: Duration = Duration::from_millis(20);
const BLOCK: u64 = 512;

/// Removes a directory and everything in it, if it is there. Can be called again.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if let Ok(dir) = open(CWD, path, OFlags::DIRECTORY) {
        shorten_all(&dir, PIECE, &mut |_| std::thread::sleep(PAUSE));
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), format!("removing {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Never through a link: who owns the data directory may have made one to anywhere.
fn open(
    at: impl std::os::fd::AsFd,
    path: impl rustix::path::Arg,
    how: OFlags,
) -> io::Result<OwnedFd> {
    let how = how | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(rustix::fs::openat(at, path, how, Mode::empty())?)
}

/// Shortens large files from their end. What cannot be shortened is removed as it is.
fn shorten_all(dir: &OwnedFd, piece: u64, pause: &mut dyn FnMut(u64)) {
    let Ok(entries) = Dir::read_from(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let Ok(about) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        match FileType::from_raw_mode(about.st_mode) {
            FileType::Directory => {
                if let Ok(below) = open(dir, name, OFlags::DIRECTORY) {
                    shorten_all(&below, piece, pause);
                }
            }
            FileType::RegularFile => {
                if let Ok(file) = open(dir, name, OFlags::WRONLY)
                    && let Err(error) = shorten(&file, piece, pause)
                {
                    tracing::debug!(%error, ?name, "it is removed in one piece");
                }
            }
            _ => {}
        }
    }
}

/// Only a file that has no other name: what is behind that is not ours to empty.
fn shorten(file: &OwnedFd, piece: u64, pause: &mut dyn FnMut(u64)) -> io::Result<()> {
    let about = rustix::fs::fstat(file)?;
    let on_disk = u64::try_from(about.st_blocks).unwrap_or_default().saturating_mul(BLOCK);
    if about.st_nlink != 1 || on_disk <= piece {
        return Ok(());
    }
    let mut length = u64::try_from(about.st_size).unwrap_or_default();
    while length > piece {
        length -= piece;
        rustix::fs::ftruncate(file, length)?;
        pause(length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_shortened_in_pieces_and_what_has_another_name_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let large = vec![7_u8; 10 << 10];
        fs::create_dir_all(at("old/app")).unwrap();
        for file in ["old/app/large", "linked", "elsewhere"] {
            fs::write(at(file), &large).unwrap();
        }
        fs::write(at("old/small"), "x").unwrap();
        fs::hard_link(at("linked"), at("old/linked")).unwrap();
        std::os::unix::fs::symlink(at("elsewhere"), at("old/link")).unwrap();
        std::os::unix::fs::symlink(folder.path(), at("old/folder")).unwrap();
        let mut seen = Vec::new();
        let dir = open(CWD, at("old"), OFlags::DIRECTORY).unwrap();
        shorten_all(&dir, 4 << 10, &mut |length| seen.push(length));
        assert_eq!(seen, [6 << 10, 2 << 10]);
        // As if it had been interrupted here.
        for _ in 0..2 {
            remove(&at("old")).unwrap();
            assert!(!at("old").exists());
        }
        for file in ["linked", "elsewhere"] {
            assert_eq!(fs::read(at(file)).unwrap(), large, "{file}");
        }
    }
}
