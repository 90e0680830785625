//! A server that misbehaves, and archives that do harm.

use std::io::{Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;

const PATIENCE: Policy = Policy {
    attempts: 3,
    first_delay: Duration::from_millis(1),
    longest_delay: Duration::from_millis(2),
    longest_retry_after: Duration::from_millis(2),
    timeout: Duration::from_secs(10),
};

struct Quiet(Vec<String>);

impl Watch for Quiet {
    fn bytes(&mut self, _: u64, _: u64) {}
    fn message(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

fn digits(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers one connection after another with these; the requests come out.
fn server(answers: Vec<Vec<u8>>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (send, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let _ = send.send(head(&mut stream));
            let _ = stream.write_all(&answer);
        }
    });
    (format!("http://{address}/file"), requests)
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).to_lowercase()
}

/// An answer that says that it has `length` bytes, and has these.
fn answer(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn bytes() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(dir.path().join("scratch")).expect("a folder");
        Self { dir }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("deep/out")
    }

    fn get(&self, url: &str, expected: &[u8]) -> (Result<(), FetchError>, Vec<String>) {
        let order = Order {
            url: url.to_owned(),
            sha256: digits(expected),
            unpack: None,
            out: self.out(),
        };
        let mut watch = Quiet(Vec::new());
        let scratch = self.dir.path().join("scratch");
        let result = fetch(&order, &scratch, &PATIENCE, &Limits::DEFAULT, &mut watch);
        (result, watch.0)
    }

    fn has(&self, expected: &[u8]) {
        assert!(std::fs::read(self.out()).expect("the file") == expected);
        let left = std::fs::read_dir(self.dir.path().join("scratch")).expect("a folder");
        assert_eq!(left.count(), 0, "what was fetched is not kept twice");
    }
}

#[test]
fn a_download_that_breaks_off_is_continued_where_it_ended() {
    let all = bytes();
    let (bench, tag) = (Bench::new(), "ETag: \"1\"\r\n");
    let half = all.len() / 2;
    let rest = format!(
        "{tag}Content-Range: bytes {half}-{}/{}\r\n",
        all.len() - 1,
        all.len()
    );
    let (url, requests) = server(vec![
        answer("200 OK", tag, all.len(), &all[..half]),
        answer("206 Partial Content", &rest, all.len() - half, &all[half..]),
    ]);
    let (result, messages) = bench.get(&url, &all);
    result.expect("it ends well");
    bench.has(&all);
    let requests: Vec<String> = requests.try_iter().collect();
    assert!(!requests[0].contains("range:"));
    assert!(
        requests[1].contains(&format!("range: bytes={half}-")),
        "{}",
        requests[1]
    );
    assert!(requests[1].contains("if-range: \"1\""), "{}", requests[1]);
    assert!(
        messages.iter().any(|text| text.contains("resumed")),
        "{messages:?}"
    );
}

#[test]
fn a_server_that_lies_about_ranges_gives_it_all_again() {
    let all = bytes();
    let (bench, tag) = (Bench::new(), "ETag: \"1\"\r\n");
    let half = all.len() / 2;
    let lie = format!(
        "{tag}Content-Range: bytes 0-{}/{}\r\n",
        all.len() - 1,
        all.len()
    );
    let (url, _requests) = server(vec![
        answer("200 OK", tag, all.len(), &all[..half]),
        answer("206 Partial Content", &lie, all.len(), &all),
        answer("200 OK", tag, all.len(), &all),
    ]);
    bench.get(&url, &all).0.expect("it ends well");
    bench.has(&all);
}

#[test]
fn bytes_of_another_version_are_found_by_the_digest_and_fetched_again() {
    let all = bytes();
    let (bench, half) = (Bench::new(), all.len() / 2);
    let mut other = all.clone();
    other[0] ^= 1;
    // Both versions have one name.
    let tag = "ETag: \"1\"\r\n";
    let rest = format!(
        "{tag}Content-Range: bytes {half}-{}/{}\r\n",
        all.len() - 1,
        all.len()
    );
    let broken = || Vec::new();
    let (url, _requests) = server(vec![
        answer("200 OK", tag, all.len(), &other[..half]),
        broken(),
        broken(),
        answer("206 Partial Content", &rest, all.len() - half, &all[half..]),
        answer("200 OK", tag, all.len(), &all),
    ]);
    let (first, _) = bench.get(&url, &all);
    assert!(matches!(first, Err(FetchError::GaveUp { .. })), "{first:?}");
    let (second, messages) = bench.get(&url, &all);
    second.expect("it ends well");
    bench.has(&all);
    assert!(
        messages.iter().any(|text| text.contains("wrong SHA-256")),
        "{messages:?}"
    );
}

#[test]
fn a_busy_server_is_asked_again_and_one_that_refuses_is_not() {
    let all = bytes();
    let bench = Bench::new();
    let (url, _requests) = server(vec![
        answer("503 Service Unavailable", "Retry-After: 600\r\n", 0, b""),
        answer("200 OK", "", all.len(), &all),
    ]);
    bench.get(&url, &all).0.expect("it ends well");
    bench.has(&all);
    let (url, requests) = server(vec![answer("404 Not Found", "", 0, b""); 2]);
    let (result, _) = Bench::new().get(&url, &all);
    assert!(
        matches!(result, Err(FetchError::Status { status: 404, .. })),
        "{result:?}"
    );
    assert_eq!(requests.try_iter().count(), 1);
}

#[test]
fn a_wrong_file_is_refused_and_not_kept() {
    let bench = Bench::new();
    let (url, _requests) = server(vec![answer("200 OK", "", 5, b"other")]);
    let (result, _) = bench.get(&url, b"asked");
    let error = result.expect_err("another file");
    assert!(error.to_string().contains(&digits(b"other")), "{error}");
    assert!(
        error
            .hint()
            .contains(&format!("sha256: {}", digits(b"other")))
    );
    assert!(!bench.out().exists());
    let left = std::fs::read_dir(bench.dir.path().join("scratch")).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[test]
fn a_file_that_is_here_stays_where_it_is() {
    let bench = Bench::new();
    let path = bench.dir.path().join("a b");
    std::fs::write(&path, b"here").expect("a file");
    let url = format!("file://{}/a%20b", bench.dir.path().display());
    bench.get(&url, b"here").0.expect("a file");
    bench.has(b"here");
    assert!(path.exists());
    for wrong in ["ftp://x/y", "file://host/x", "x"] {
        let (result, _) = Bench::new().get(wrong, b"");
        assert!(matches!(result, Err(FetchError::Address { .. })), "{wrong}");
    }
}

/// A tar file of entries: kind, name, and bytes or target.
fn tar_of(entries: &[(tar::EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, content) in entries {
        let mut header = tar::Header::new_old();
        header.set_entry_type(*kind);
        header.set_mode(if name.ends_with(".sh") { 0o755 } else { 0o600 });
        // `set_path` refuses what we want.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let data = match kind {
            tar::EntryType::Symlink | tar::EntryType::Link => {
                header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
                ""
            }
            _ => content,
        };
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data.as_bytes()).expect("an entry");
    }
    builder.into_inner().expect("an archive")
}

fn unpacked(kind: Unpack, archive: &[u8], limits: &Limits) -> (TempDir, Result<(), UnpackError>) {
    let dir = TempDir::new().expect("a temporary folder");
    std::fs::write(dir.path().join("archive"), archive).expect("a file");
    std::fs::create_dir(dir.path().join("out")).expect("a folder");
    let out = dir.path().join("out");
    let result = unpack::unpack(&dir.path().join("archive"), kind, &out, limits);
    (dir, result)
}

fn holds(dir: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let found = std::fs::read_to_string(dir.join("out").join(name));
        assert_eq!(found.ok().as_deref(), Some(*text), "{name}");
    }
}

use tar::EntryType::{Directory, Fifo, Link, Regular, Symlink};

#[test]
fn files_folders_and_links_come_out_of_each_kind_of_archive() {
    let tar = tar_of(&[
        (Directory, "./d/", ""),
        (Symlink, "d/link", "../run.sh"),
        (Regular, "d/a", "one"),
        (Regular, "run.sh", "two"),
        (Link, "again", "d/a"),
    ]);
    let files = [
        ("d/a", "one"),
        ("run.sh", "two"),
        ("again", "one"),
        ("d/link", "two"),
    ];
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).expect("memory");
    let zst = ruzstd::encoding::compress_to_vec(
        Cursor::new(&tar[..1000]),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    // Two frames.
    let rest = ruzstd::encoding::compress_to_vec(
        Cursor::new(&tar[1000..]),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    for (kind, bytes) in [
        (Unpack::Tar, tar.clone()),
        (Unpack::TarGz, gz.finish().expect("memory")),
        (Unpack::TarZst, [zst, rest].concat()),
    ] {
        let (dir, result) = unpacked(kind, &bytes, &Limits::DEFAULT);
        result.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        holds(dir.path(), &files);
        let mode = |name: &str| {
            use std::os::unix::fs::PermissionsExt;
            let found = std::fs::metadata(dir.path().join("out").join(name)).expect("a file");
            found.permissions().mode() & 0o777
        };
        assert_eq!((mode("run.sh"), mode("d/a")), (0o755, 0o644));
        let (_, damaged) = unpacked(kind, &bytes[..bytes.len() / 3], &Limits::DEFAULT);
        assert!(
            matches!(damaged, Err(UnpackError::Damaged { .. })),
            "{kind:?}: {damaged:?}"
        );
    }
}

#[test]
fn xz_is_read_as_xz_writes_it() {
    let tar = tar_of(&[(Regular, "a", "one")]);
    let dir = TempDir::new().expect("a temporary folder");
    std::fs::write(dir.path().join("t"), &tar).expect("a file");
    let packed = std::process::Command::new("xz")
        .arg("-9")
        .arg("-k")
        .arg(dir.path().join("t"))
        .output();
    if !packed.is_ok_and(|packed| packed.status.success()) {
        println!("skipped: no xz");
        return;
    }
    let bytes = std::fs::read(dir.path().join("t.xz")).expect("a file");
    let (dir, result) = unpacked(Unpack::TarXz, &bytes, &Limits::DEFAULT);
    result.expect("a sound archive");
    holds(dir.path(), &[("a", "one")]);
}

#[test]
fn what_leads_out_is_refused() {
    for (entries, reason) in [
        (vec![(Regular, "/etc/x", "")], "absolute"),
        (vec![(Regular, "a/../../x", "")], "`..`"),
        (vec![(Symlink, "x", "/etc")], "leads out"),
        (vec![(Symlink, "x", "../../x")], "leads"),
        // Each alone leads nowhere bad.
        (
            vec![
                (Directory, "d", ""),
                (Symlink, "d/up", ".."),
                (Symlink, "x", "d/up/../.."),
            ],
            "leads",
        ),
        (
            vec![(Symlink, "x", "."), (Symlink, "y", "x/..")],
            "leads out",
        ),
        (vec![(Symlink, "x", "gone")], "leads nowhere"),
        (vec![(Symlink, "d", "."), (Regular, "d/f", "")], "no folder"),
        (vec![(Regular, "d", ""), (Regular, "d/f", "")], "no folder"),
        (vec![(Link, "x", "../../etc/passwd")], "`..`"),
        (vec![(Link, "x", "none")], "second name"),
        (vec![(Fifo, "x", "")], "device"),
        (
            vec![(Regular, "x", "1"), (Regular, "./x", "2")],
            "same name",
        ),
        (vec![(Symlink, "x", "y"), (Regular, "x", "2")], "same name"),
    ] {
        let (dir, result) = unpacked(Unpack::Tar, &tar_of(&entries), &Limits::DEFAULT);
        let error = result.expect_err(reason);
        assert!(matches!(error, UnpackError::Unsafe { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}: {reason}");
        let beside = std::fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(beside, 2, "nothing was written outside");
    }
}

#[test]
fn bombs_end_where_they_grow_too_large() {
    let zeros = "\0".repeat(4_000_000);
    let tar = tar_of(&[(Regular, "z", &zeros)]);
    let gz = gzip(&tar);
    let limits = Limits {
        bytes: 1_000_000,
        ratio: 1,
        entries: 10,
    };
    for (kind, bytes) in [(Unpack::TarGz, gz), (Unpack::Zip, zip_of(&[("z", &zeros)]))] {
        let (dir, result) = unpacked(kind, &bytes, &limits);
        assert!(
            matches!(result, Err(UnpackError::TooLarge { what: "bytes", .. })),
            "{result:?}"
        );
        let written = std::fs::metadata(dir.path().join("out/z")).map_or(0, |found| found.len());
        assert!(written < 1_200_000, "{written}");
    }
    let many: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let many: Vec<_> = many
        .iter()
        .map(|name| (Regular, name.as_str(), ""))
        .collect();
    let (_, result) = unpacked(Unpack::Tar, &tar_of(&many), &limits);
    assert!(
        matches!(
            result,
            Err(UnpackError::TooLarge {
                what: "entries",
                ..
            })
        ),
        "{result:?}"
    );
}

fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, text) in files {
        let (mut entry, config) = archive
            .new_file(*name)
            .compression_method(rawzip::CompressionMethod::DEFLATE)
            .start()
            .expect("an entry");
        let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::best());
        let mut writer = config.wrap(encoder);
        writer.write_all(text.as_bytes()).expect("memory");
        let (encoder, descriptor) = writer.finish().expect("memory");
        encoder.finish().expect("memory");
        entry.finish(descriptor).expect("memory");
    }
    archive.finish().expect("memory");
    bytes
}

#[test]
fn zip_files_come_out_whole_or_not_at_all() {
    let bytes = zip_of(&[("a/b.txt", "one"), ("c", "two")]);
    let (dir, result) = unpacked(Unpack::Zip, &bytes, &Limits::DEFAULT);
    result.expect("a sound archive");
    holds(dir.path(), &[("a/b.txt", "one"), ("c", "two")]);
    let (_, result) = unpacked(Unpack::Zip, &bytes[..bytes.len() - 30], &Limits::DEFAULT);
    assert!(
        matches!(result, Err(UnpackError::Damaged { .. })),
        "{result:?}"
    );
    // A bit in the packed bytes.
    let mut flipped = bytes.clone();
    flipped[40] ^= 4;
    let (_, result) = unpacked(Unpack::Zip, &flipped, &Limits::DEFAULT);
    assert!(
        matches!(result, Err(UnpackError::Damaged { .. })),
        "{result:?}"
    );
    let (_, result) = unpacked(Unpack::TarGz, &bytes, &Limits::DEFAULT);
    assert!(
        matches!(result, Err(UnpackError::Damaged { .. })),
        "{result:?}"
    );
}

/// A gzip member with these bytes.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(bytes).expect("memory");
    gz.finish().expect("memory")
}

#[test]
fn the_end_of_a_packed_archive_is_looked_at_too() {
    let tar = tar_of(&[(Regular, "a", "one")]);
    let gz = gzip(&tar);
    let mut flipped = gz.clone();
    let checksum = gz.len() - 8;
    flipped[checksum] ^= 1;
    for bytes in [&flipped[..], &gz[..checksum], &gz[..gz.len() - 1]] {
        let (_, result) = unpacked(Unpack::TarGz, bytes, &Limits::DEFAULT);
        let damaged = matches!(result, Err(UnpackError::Damaged { .. }));
        assert!(damaged, "{} of {}: {result:?}", bytes.len(), gz.len());
    }
    let two = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
    let filled = [&gz[..], &[0; 512]].concat();
    for bytes in [&gz, &two, &filled] {
        let (dir, result) = unpacked(Unpack::TarGz, bytes, &Limits::DEFAULT);
        result.expect("a sound archive");
        holds(dir.path(), &[("a", "one")]);
    }
}

#[test]
fn a_name_without_end_is_not_read_into_memory() {
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").expect("a short path");
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(64 << 20);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(512 + (64 << 20), b'n');
    bytes.extend(tar_of(&[(Regular, "a", "one")]));
    let (_, result) = unpacked(Unpack::Tar, &bytes, &Limits::DEFAULT);
    let error = result.expect_err("too long");
    assert!(matches!(error, UnpackError::Damaged { .. }), "{error}");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("the names of an entry have no end"));
    let name = format!("{}/x", "n".repeat(256));
    let (_, result) = unpacked(Unpack::Zip, &zip_of(&[(&name, "")]), &Limits::DEFAULT);
    let error = result.expect_err("too long").to_string();
    assert!(error.contains("longer than a file system takes"), "{error}");
    assert!(error.len() < 400, "{error}");
}

#[test]
fn a_file_of_this_machine_that_changes_while_it_is_read_is_not_believed() {
    struct Writer(PathBuf, &'static [u8]);
    impl Watch for Writer {
        fn bytes(&mut self, done: u64, total: u64) {
            if done == total {
                std::fs::write(&self.0, self.1).expect("a file");
            }
        }
        fn message(&mut self, _: &str) {}
    }
    let dir = TempDir::new().expect("a temporary folder");
    let file = dir.path().join("file");
    // Other bytes, and the same ones once more.
    for after in [&b"two"[..], b"one"] {
        std::fs::write(&file, "one").expect("a file");
        let order = Order {
            url: format!("file://{}", file.display()),
            sha256: digits(b"one"),
            unpack: None,
            out: dir.path().join("out"),
        };
        let mut writer = Writer(file.clone(), after);
        let result = fetch(&order, dir.path(), &PATIENCE, &Limits::DEFAULT, &mut writer);
        assert!(
            matches!(result, Err(FetchError::Changed { .. })),
            "{result:?}"
        );
        std::fs::remove_file(dir.path().join("out")).expect("an out");
    }
    let order = Order {
        url: format!("file://{}", dir.path().display()),
        sha256: digits(b"one"),
        unpack: None,
        out: dir.path().join("out"),
    };
    let result = fetch(
        &order,
        dir.path(),
        &PATIENCE,
        &Limits::DEFAULT,
        &mut Quiet(Vec::new()),
    );
    assert!(
        matches!(result, Err(FetchError::Folder { .. })),
        "{result:?}"
    );
}
