//! Ranges, lengths and lists, byte for byte.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use primacy_host::{HostAccess, HostError};

use crate::far_side::{FarSide, LIMIT, Tools};

/// Every byte value, line ends of both kinds, and more than one block of `dd`.
fn content() -> Vec<u8> {
    let all: Vec<u8> = (0..=255).collect();
    let mut content = [all.as_slice(), b"\r\n\n\r\0\x1a~.\n"].concat().repeat(400);
    content.extend(b"the end without a line break");
    content
}

async fn reads_exactly(tools: Tools) {
    let Some(far) = FarSide::with(tools, "") else { return };
    let content = content();
    let path = far.write("binlog.000001", &content);
    far.write("empty", "");
    let host = far.host();
    let end = content.len();
    for (offset, len) in
        [(0, 4), (0, end), (0, end + 9), (1, 70_000), (32_767, 2), (32_768, 1), (end - 3, 100)]
    {
        let read = host.read_range(&path, offset as u64, len, LIMIT).await.unwrap();
        assert_eq!(read, content[offset..(offset + len).min(end)], "{tools:?} {offset} {len}");
    }
    for beyond in [end as u64, end as u64 + 1, 1 << 40] {
        let read = host.read_range(&path, beyond, 100, LIMIT).await.unwrap();
        assert!(read.is_empty(), "{tools:?} {beyond}");
    }
    let name = Path::new("binlog.000001");
    assert_eq!(host.file_len(name, LIMIT).await.unwrap(), end as u64);
    assert_eq!(host.file_len(Path::new("empty"), LIMIT).await.unwrap(), 0);
    assert_eq!(far.logins(), 1, "the calls share one connection");
}

async fn lists_exactly(tools: Tools) {
    let Some(far) = FarSide::with(tools, "") else { return };
    let names = ["binlog.000001", "-n", "a b", "*", "new\nline", "it's", ".hidden", "..odd", "ü"];
    for (len, name) in names.iter().enumerate() {
        far.write(name, vec![b'x'; len * 1000]);
    }
    fs::create_dir(far.data().join("mysql")).unwrap();
    std::os::unix::fs::symlink("/nowhere", far.data().join("dangling")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"not\xfftext");
    fs::write(far.data().join(odd), "").unwrap();
    let host = far.host();
    let listed = host.list(Path::new("."), LIMIT).await.unwrap();
    let mut expected: Vec<(String, u64)> =
        names.iter().enumerate().map(|(n, name)| ((*name).to_owned(), n as u64 * 1000)).collect();
    expected.sort();
    let listed: Vec<_> = listed.into_iter().map(|entry| (entry.name, entry.len)).collect();
    assert_eq!(listed, expected, "{tools:?}");
    fs::create_dir(far.data().join("nothing")).unwrap();
    assert!(host.list(Path::new("nothing"), LIMIT).await.unwrap().is_empty());
}

#[tokio::test]
async fn every_byte_is_read_as_it_is() {
    reads_exactly(Tools::Usual).await;
}

#[tokio::test]
async fn every_byte_is_read_as_it_is_from_a_host_with_busybox_only() {
    reads_exactly(Tools::Busybox).await;
}

#[tokio::test]
async fn every_byte_is_read_as_it_is_from_a_host_with_little_more_than_posix() {
    reads_exactly(Tools::Posix).await;
}

#[tokio::test]
async fn odd_names_are_listed_as_they_are() {
    lists_exactly(Tools::Usual).await;
}

#[tokio::test]
async fn odd_names_are_listed_as_they_are_by_busybox() {
    lists_exactly(Tools::Busybox).await;
}

#[tokio::test]
async fn odd_names_are_listed_as_they_are_without_stat() {
    lists_exactly(Tools::Posix).await;
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_not_there() {
    for tools in [Tools::Usual, Tools::Busybox, Tools::Posix] {
        let Some(far) = FarSide::with(tools, "") else { return };
        far.data();
        let host = far.host();
        let gone = Path::new("binlog.000009");
        let mut sink = Vec::new();
        for error in [
            host.read_range(gone, 0, 10, LIMIT).await.unwrap_err(),
            host.file_len(gone, LIMIT).await.unwrap_err(),
            host.list(gone, LIMIT).await.unwrap_err(),
            host.fetch(gone, 0, &mut sink, LIMIT).await.unwrap_err(),
        ] {
            let HostError::File { source, .. } = &error else { panic!("{error}") };
            assert_eq!(source.kind(), std::io::ErrorKind::NotFound, "{tools:?}: {error}");
        }
        assert!(sink.is_empty());
        let dir = host.file_len(Path::new("."), LIMIT).await.unwrap_err();
        assert!(dir.to_string().contains("not understood"), "{dir}");
    }
}

#[tokio::test]
async fn many_reads_at_once_share_the_connection() {
    let Some(far) = FarSide::start() else { return };
    let content = content();
    far.write("binlog.000001", &content);
    let host = far.host();
    let name = Path::new("binlog.000001");
    let reads = (0..8).map(|n| host.read_range(name, n * 1000, 1000, LIMIT));
    let mut tasks = Vec::new();
    for read in reads {
        tasks.push(read);
    }
    for (n, read) in join(tasks).await.into_iter().enumerate() {
        assert_eq!(read.unwrap(), content[n * 1000..(n + 1) * 1000]);
    }
    assert_eq!(far.logins(), 1);
}

/// Runs futures side by side.
async fn join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_host_that_allows_one_session_a_connection_is_read_all_the_same() {
    let Some(far) = FarSide::with(Tools::Usual, "MaxSessions 1") else { return };
    far.write("binlog.000001", "abc");
    let host = far.host();
    for _ in 0..2 {
        let read = host.read_range(Path::new("binlog.000001"), 1, 9, LIMIT).await.unwrap();
        assert_eq!(read, b"bc");
    }
}

#[tokio::test]
async fn the_shared_connection_ends_with_the_access_to_the_host() {
    let Some(far) = FarSide::start() else { return };
    far.write("binlog.000001", "abc");
    let host = far.host();
    host.file_len(Path::new("binlog.000001"), LIMIT).await.unwrap();
    drop(host);
    let end = std::time::Instant::now() + LIMIT;
    while !far.log().contains("Connection closed by") && !far.log().contains("disconnected by") {
        assert!(std::time::Instant::now() < end, "{}", far.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn nobody_else_may_enter_the_folder_of_the_sockets_and_none_is_left_in_it() {
    use std::os::unix::fs::MetadataExt;
    let Some(far) = FarSide::start() else { return };
    far.write("binlog.000001", "abc");
    let host = far.host();
    host.file_len(Path::new("binlog.000001"), LIMIT).await.unwrap();
    let user = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("primacy-ssh-{user}"));
    assert_eq!(fs::symlink_metadata(&folder).unwrap().mode() & 0o777, 0o700);
    let ours = format!("{}-", std::process::id());
    let sockets = || -> Vec<String> {
        let entries = fs::read_dir(&folder).unwrap();
        entries.flatten().map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    let here: Vec<_> = sockets().into_iter().filter(|name| name.starts_with(&ours)).collect();
    assert!(!here.is_empty());
    drop(host);
    let left = sockets();
    // Tests that run beside this one have sockets of their own.
    assert!(here.iter().any(|socket| !left.contains(socket)), "{here:?} {left:?}");
}
