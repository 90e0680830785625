//! The built stage, run as the runner runs it: what it leaves, and what it says.
//! It must not reach into the stage's code, nor need a network.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dataset::cifar::{self, Batches};
use dataset::{Source, Split};
use sha2::{Digest, Sha256};

struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, kind: &str, url: &str, sha256: &str) -> Output {
        let program = Command::new(env!("CARGO_BIN_EXE_download"));
        self.run_by(program, kind, url, sha256)
    }

    /// Runs what `command` starts, with the stage's arguments and environment.
    fn run_by(&self, mut command: Command, kind: &str, url: &str, sha256: &str) -> Output {
        let params = serde_json::json!({
            "seed": 42,
            "dataset": {
                "kind": kind, "url": url, "sha256": sha256, "label": "auto",
                "synthetic": { "train": 20, "test": 10 },
            },
        });
        command
            .args(["--out", "data/batches"])
            .current_dir(self.folder.path())
            .env_clear()
            .env("RESTAGE_PARAMS", params.to_string())
            .env("RESTAGE_SCRATCH", self.path("scratch"))
            .env("RESTAGE_EVENTS", self.path("events"))
            .output()
            .unwrap()
    }

    fn batches(&self) -> PathBuf {
        self.path("data/batches")
    }

    /// What a failed run says, paths shortened; it must leave no output.
    #[track_caller]
    fn failure(&self, output: &Output) -> String {
        assert_eq!(output.status.code(), Some(1));
        assert!(!self.batches().exists());
        let left = std::fs::read_dir(self.path("data")).unwrap().count();
        assert_eq!(left, 0, "something stayed beside the output");
        let text = String::from_utf8(output.stderr.clone()).unwrap();
        text.replace(self.folder.path().to_str().unwrap(), "WORK")
    }
}

fn sample() -> Batches {
    let split = |count: u8| {
        let mut split = Split::default();
        for index in 0..count {
            split.push(
                &std::array::from_fn(|place| (place as u8) ^ index),
                index % 10,
            );
        }
        split
    };
    Batches {
        classes: ('a'..='j').map(String::from).collect(),
        train: split(15),
        test: split(5),
    }
}

/// CIFAR-10's archive in small.
fn archive() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    cifar::write(folder.path(), &sample()).unwrap();
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(encoder);
    tar.append_dir_all("cifar-10-batches-bin", folder.path())
        .unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Answers every request with these bytes, and honours ranges.
fn serve(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/cifar.tar.gz", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut buffer = [0; 1024];
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count) if count > 0 => head.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let start = head
                .split("range: bytes=")
                .nth(1)
                .and_then(|rest| rest.split('-').next());
            let start: usize = start.map_or(0, |start| start.parse().unwrap());
            let total = bytes.len();
            let range = format!("Content-Range: bytes {start}-{}/{total}\r\n", total - 1);
            let (status, range) = if start > 0 {
                ("206 P", range.as_str())
            } else {
                ("200 OK", "")
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nETag: \"v1\"\r\nContent-Length: {}\r\nConnection: close\r\n{range}\r\n",
                total - start
            );
            let _ = stream.write_all(&[head.as_bytes(), &bytes[start..]].concat());
        }
    });
    url
}

fn local(workspace: &Workspace, bytes: &[u8]) -> String {
    let path = workspace.path("archive.tar.gz");
    std::fs::write(&path, bytes).unwrap();
    format!("file://{}", path.display())
}

#[track_caller]
fn assert_sample(folder: &Path, digest: &str) {
    assert_eq!(cifar::read(folder).unwrap(), sample());
    let source = Source::read(folder).unwrap();
    assert_eq!(
        source.label,
        format!("CIFAR-10 layout, archive sha256 {}", &digest[..12])
    );
    assert_eq!(source.sha256.as_deref(), Some(digest));
    for entry in std::fs::read_dir(folder).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644);
    }
}

#[test]
fn a_served_archive_is_fetched_checked_and_unpacked() {
    let (workspace, bytes) = (Workspace::new(), archive());
    let digest = sha256(&bytes);
    let output = workspace.run("cifar10", &serve(bytes), &digest.to_uppercase());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_sample(&workspace.batches(), &digest);
    assert_eq!(
        std::fs::read_dir(workspace.path("scratch"))
            .unwrap()
            .count(),
        0
    );
    let events = std::fs::read_to_string(workspace.path("events")).unwrap();
    assert!(
        events.contains("\"unit\":\"byte\"") && events.contains("bytes_per_second"),
        "{events}"
    );
}

#[test]
fn a_local_archive_is_read_where_it_is() {
    let (workspace, bytes) = (Workspace::new(), archive());
    let digest = sha256(&bytes);
    let output = workspace.run("cifar10", &local(&workspace, &bytes), &digest);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_sample(&workspace.batches(), &digest);
    assert_eq!(
        std::fs::read(workspace.path("archive.tar.gz")).unwrap(),
        bytes
    );
}

#[test]
fn a_wrong_digest_is_an_error_and_the_bytes_are_not_kept() {
    let workspace = Workspace::new();
    let url = serve(b"not the archive".to_vec());
    let output = workspace.run("cifar10", &url, &"0".repeat(64));
    let text = workspace.failure(&output).replace(&url, "URL");
    insta::assert_snapshot!(text, @"
    error: the archive from `URL` is not the expected one
      expected SHA-256: 0000000000000000000000000000000000000000000000000000000000000000
      its SHA-256:      d8250fce32177cdb504fbe8f4fcf8d2af251c5caec93098b33693066b1462870
    hint: the bytes were removed; check `dataset.url`, or set `dataset.sha256` to the SHA-256 above if you trust it
    ");
    assert_eq!(
        std::fs::read_dir(workspace.path("scratch"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn a_wrong_digest_of_a_local_file_says_what_to_set() {
    let workspace = Workspace::new();
    let url = local(&workspace, b"not the archive");
    let output = workspace.run("cifar10", &url, &"0".repeat(64));
    insta::assert_snapshot!(workspace.failure(&output), @"
    error: the archive from `file://WORK/archive.tar.gz` is not the expected one
      expected SHA-256: 0000000000000000000000000000000000000000000000000000000000000000
      its SHA-256:      d8250fce32177cdb504fbe8f4fcf8d2af251c5caec93098b33693066b1462870
    hint: if this is the archive that you want, set `dataset.sha256` to its SHA-256
    ");
}

#[test]
fn bad_bytes_of_an_earlier_attempt_are_fetched_anew_once() {
    let (workspace, bytes) = (Workspace::new(), archive());
    let (digest, url) = (sha256(&bytes), serve(bytes.clone()));
    let scratch = workspace.path("scratch");
    std::fs::create_dir(&scratch).unwrap();
    std::fs::write(scratch.join("archive.partial"), [7; 100]).unwrap();
    let note = serde_json::json!({ "url": url, "validator": "\"v1\"", "total": bytes.len() });
    std::fs::write(scratch.join("archive.partial.json"), note.to_string()).unwrap();
    let output = workspace.run("cifar10", &url, &digest);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_sample(&workspace.batches(), &digest);
    let events = std::fs::read_to_string(workspace.path("events")).unwrap();
    assert!(events.contains("fetching all of it again"), "{events}");
}

#[test]
fn a_corrupt_archive_with_the_right_digest_is_an_error() {
    let (workspace, mut bytes) = (Workspace::new(), archive());
    bytes.truncate(bytes.len() / 2);
    let output = workspace.run("cifar10", &local(&workspace, &bytes), &sha256(&bytes));
    insta::assert_snapshot!(workspace.failure(&output), @"
    error: archive `WORK/archive.tar.gz` is damaged or truncated
      caused by: incomplete deflate stream
    hint: nothing of it was kept; `dataset.url` is `file://WORK/archive.tar.gz`, it must be CIFAR-10's binary archive
    ");
}

#[test]
fn a_missing_local_archive_is_an_error() {
    let workspace = Workspace::new();
    let url = format!("file://{}/none.tar.gz", workspace.folder.path().display());
    let output = workspace.run("cifar10", &url, &"0".repeat(64));
    insta::assert_snapshot!(workspace.failure(&output), @"
    error: cannot read `WORK/none.tar.gz`
      caused by: No such file or directory (os error 2)
    hint: check `dataset.url`; it must name a readable file
    ");
}

#[test]
fn generated_images_have_the_same_layout() {
    let workspace = Workspace::new();
    let output = workspace.run("synthetic", "", &"0".repeat(64));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let batches = cifar::read(&workspace.batches()).unwrap();
    assert_eq!((batches.train.len(), batches.test.len()), (20, 10));
    assert_eq!(
        Source::read(&workspace.batches()).unwrap().label,
        "synthetic"
    );
}

/// A limit on file sizes stands for a full disk: writing fails in the midst.
#[test]
fn a_full_disk_is_an_error_that_keeps_what_was_fetched() {
    let workspace = Workspace::new();
    let url = serve(vec![7; 1_000_000]);
    let mut shell = Command::new("/bin/sh");
    let limited = "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\"";
    shell.args(["-c", limited, env!("CARGO_BIN_EXE_download")]);
    let output = workspace.run_by(shell, "cifar10", &url, &"0".repeat(64));
    insta::assert_snapshot!(workspace.failure(&output), @"
    error: cannot write `WORK/scratch/archive.partial`
      caused by: File too large (os error 27)
    hint: make room or fix the permissions, then run again; what was fetched is kept
    ");
    let kept = std::fs::metadata(workspace.path("scratch/archive.partial"))
        .unwrap()
        .len();
    assert!((1..1_000_000).contains(&kept), "{kept} bytes were kept");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let workspace = Workspace::new();
    std::fs::write(workspace.path("data"), "a file").unwrap();
    let output = workspace.run("synthetic", "", &"0".repeat(64));
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"
    error: cannot create the folder `data`
      caused by: File exists (os error 17)
    ");
}

#[test]
fn an_output_that_is_already_there_is_left_alone() {
    let workspace = Workspace::new();
    std::fs::create_dir_all(workspace.batches()).unwrap();
    std::fs::write(workspace.batches().join("mine"), "precious").unwrap();
    let output = workspace.run("synthetic", "", &"0".repeat(64));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read_dir(workspace.batches()).unwrap().count(), 1);
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @"
    error: `data/batches` exists and is not empty
    hint: remove it, or choose another folder for --out
    ");
}
