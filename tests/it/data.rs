//! Data from outside the pipeline's folder: what stages see of it, what a change of it does, and where a
//! machine has it.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use tempfile::TempDir;

use crate::space::{Said, Space, WITHOUT_VIEW, Who};

/// Data elsewhere: a large file, so that it is not copied, and two small ones.
fn elsewhere() -> TempDir {
    let dir = TempDir::new().expect("a temporary folder");
    fs::create_dir(dir.path().join("d")).expect("a folder");
    write(dir.path(), "big", &"x".repeat(3_000_000));
    write(dir.path(), "d/one.csv", "1\n");
    write(dir.path(), "d/two.csv", "2\n");
    dir
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("a file to write");
}

/// A pipeline with this under `data:`, and these stages.
fn space(data: &str, stages: &str) -> Space {
    let space = Space::new(stages);
    let text = space.read("pipeline.yaml");
    space.write(
        "pipeline.yaml",
        &text.replace("stages:\n", &format!("data:\n{data}stages:\n")),
    );
    space
}

fn at(path: &Path) -> String {
    format!("  set: {{path: \"{}\", place: in/set}}\n", path.display())
}

const COUNT: &str = "  count: {cmd: 'wc -c < in/set/big > n; cat in/set/d/*.csv >> n', deps: [in/set], outs: [n]}\n";
const OTHER: &str = "  other: {cmd: echo 1 > o, outs: [o]}\n";

/// With namespaces, and without as root and as an ordinary user; each call by its own kind of `restage`.
fn everywhere(check: impl Fn(&dyn Fn(&Space, &[&str]) -> Option<Said>, bool)) {
    let plain = |space: &Space, args: &[&str]| Some(space.restage(args));
    check(&plain, std::env::var_os(WITHOUT_VIEW).is_none());
    for who in [Who::Root, Who::User] {
        let refused = |space: &Space, args: &[&str]| {
            let said = space.refused(who, args)?.output().expect("restage starts");
            Some(said.into())
        };
        check(&refused, false);
    }
}

#[test]
fn a_stage_reads_data_from_outside_and_sees_nothing_of_where_it_is() {
    everywhere(|restage, _| {
        let data = elsewhere();
        let space = space(&at(data.path()), COUNT);
        let Some(said) = restage(&space, &["reproduce"]) else {
            return;
        };
        let _: Said = said.exits(0);
        assert_eq!(space.read("n"), "3000000\n1\n2\n");
        assert!(!space.exists("in"), "nothing of it is in the workspace");
        let lock = space.read("pipeline.lock");
        assert!(
            lock.contains("schema: 4\n") && lock.contains("data:\n  \"set\": \""),
            "{lock}"
        );
        assert!(!lock.contains(&data.path().display().to_string()), "{lock}");
        // Elsewhere it is the same: nothing runs.
        let moved = TempDir::new().expect("a temporary folder");
        let there = moved.path().join("there");
        fs::rename(data.path(), &there).expect("one file system");
        space.write(
            "restage.local.toml",
            &format!("[data]\nset = \"{}\"\n", there.display()),
        );
        let said = restage(&space, &["--json", "reproduce"])
            .expect("it did before")
            .exits(0);
        assert_eq!(said.with_outcome("ran"), [""; 0], "{}", said.out);
        assert_eq!(said.with_outcome("fresh"), ["count"]);
    });
}

#[test]
fn a_changed_file_stops_its_readers_alone_until_the_change_is_accepted() {
    let data = elsewhere();
    let space = space(&at(data.path()), &format!("{COUNT}{OTHER}"));
    assert_eq!(space.ran(&[]).len(), 2);
    write(data.path(), "d/one.csv", "11\n");
    write(data.path(), "d/three.csv", "3\n");
    fs::remove_file(space.path("o")).expect("an out");
    let said = space.restage(&["reproduce"]).exits(1);
    let text = "data `set` has changed: 2 files differ (first: `d/one.csv`)";
    let said = said.says(text).says("`restage data update set` accepts it");
    let _ = said.says("`count`");
    assert!(space.exists("o"), "a stage that does not read it goes on");
    assert_eq!(space.read("n"), "3000000\n1\n2\n", "the last result stays");
    let status = space.restage(&["status"]).exits(0).out;
    assert!(status.contains(text), "{status}");
    let list = space.restage(&["data"]).exits(0).out;
    assert!(
        list.contains("changed") && list.contains("2 files differ"),
        "{list}"
    );

    let said = space.restage(&["data", "update", "set"]).exits(0).out;
    assert!(said.contains("set: accepted, 2 files differ"), "{said}");
    assert_eq!(space.ran(&[]), ["count"]);
    assert_eq!(space.read("n"), "3000000\n11\n3\n2\n");
    // Back to what it was: stopped again, and once accepted restored.
    write(data.path(), "d/one.csv", "1\n");
    fs::remove_file(data.path().join("d/three.csv")).expect("a file");
    let _ = space
        .restage(&["reproduce"])
        .exits(1)
        .says("2 files differ");
    let _ = space.restage(&["data", "update", "set"]).exits(0);
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(space.read("n"), "3000000\n1\n2\n");
}

#[test]
fn what_is_pinned_counts_in_a_clone_too() {
    let data = elsewhere();
    let space = space(&at(data.path()), COUNT);
    let _ = space.restage(&["reproduce"]).exits(0);
    write(data.path(), "d/one.csv", "11\n");
    fs::remove_dir_all(space.path(".restage")).expect("a store");
    let said = space.restage(&["reproduce"]).exits(1);
    let _ = said.says("it is not what pipeline.lock says; which files differ is not known");
    assert_eq!(space.read("n"), "3000000\n1\n2\n");
}

#[test]
fn data_that_is_not_there_concerns_its_readers_alone() {
    let space = space(
        "  set: {path: \"${env.SETS}/a\", place: in/set}\n",
        &format!("{COUNT}{OTHER}"),
    );
    let said = space.restage(&["reproduce"]).exits(1);
    let said =
        said.says("stage `count` can't run: nothing says where data `set` is: `SETS` is not set");
    let _ = said.says("write `set = \"/where/it/is\"` under `[data]` into restage.local.toml");
    assert!(space.exists("o"));
    let with = |value: &Path, args: &[&str]| {
        let said: Said = space
            .command(args)
            .env("SETS", value)
            .output()
            .expect("it starts")
            .into();
        said
    };
    let said = with(space.root(), &["reproduce"]).exits(1);
    let _ = said.says("data `set` is not at `");
    let data = elsewhere();
    let sets = TempDir::new().expect("a temporary folder");
    std::os::unix::fs::symlink(data.path(), sets.path().join("a")).expect("a link");
    let _ = with(sets.path(), &["reproduce"]).exits(0);
    assert_eq!(space.read("n"), "3000000\n1\n2\n");
    // What needs no stage that reads it needs no data.
    let _ = space.restage(&["reproduce", "other"]).exits(0);
    let list = space.restage(&["data"]).exits(0).out;
    assert!(
        list.starts_with("missing") && list.contains("`SETS` is not set"),
        "{list}"
    );
}

#[test]
fn a_file_in_data_and_what_a_pattern_matches_in_it_are_read_alone() {
    everywhere(|restage, _| {
        let data = elsewhere();
        let stages = "  one: {cmd: 'cp in/set/d/one.csv a; test ! -e in/set/big', deps: [in/set/d/one.csv], outs: [a]}
  all: {cmd: 'cat in/set/d/* > b; test ! -e in/set/big', deps: [\"in/set/d/*.csv\"], outs: [b]}
  dir: {cmd: 'cat in/set/d/* > c; test ! -e in/set/big', deps: [in/set/d], outs: [c]}\n";
        let space = space(&at(data.path()), stages);
        let Some(said) = restage(&space, &["reproduce"]) else {
            return;
        };
        let _: Said = said.exits(0);
        assert_eq!(
            (space.read("a"), space.read("b"), space.read("c")),
            ("1\n".into(), "1\n2\n".into(), "1\n2\n".into())
        );
        // A change elsewhere in the data reruns nothing, once accepted.
        write(data.path(), "big", "small");
        let _: Said = restage(&space, &["data", "update", "set"])
            .expect("as before")
            .exits(0);
        let said = restage(&space, &["--json", "reproduce"])
            .expect("as before")
            .exits(0);
        assert_eq!(said.with_outcome("ran"), [""; 0]);
        write(data.path(), "d/three.csv", "3\n");
        let _: Said = restage(&space, &["data", "update", "set"])
            .expect("as before")
            .exits(0);
        let said = restage(&space, &["--json", "reproduce"])
            .expect("as before")
            .exits(0);
        let mut ran = said.with_outcome("ran");
        ran.sort();
        assert_eq!(ran, ["all", "dir"]);
    });
}

#[test]
fn a_stage_cannot_change_data_without_losing_its_result() {
    everywhere(|restage, view| {
        let data = elsewhere();
        let write = "chmod u+w in/set/big || true; (printf X | dd of=in/set/big conv=notrunc status=none) || true; \
                     (echo 3 > in/set/d/new.csv) || true; (rm -f in/set/d/one.csv) || true; echo 1 > w";
        let space = space(
            &at(data.path()),
            &format!("  w: {{cmd: '{write}', deps: [in/set], outs: [w]}}\n"),
        );
        let Some(said) = restage(&space, &["reproduce"]) else {
            return;
        };
        assert!(data.path().join("d/one.csv").exists() && !data.path().join("d/new.csv").exists());
        let big = fs::read(data.path().join("big")).expect("a file");
        if view {
            let _: Said = said.exits(0);
            assert!(
                big.iter().all(|byte| *byte == b'x'),
                "it was bound read-only"
            );
        } else if big[0] == b'X' {
            let _: Said = said.exits(1).says("`in/set`");
            assert!(!space.exists("w"), "whoever wrote to it has no result");
        }
    });
}

#[test]
fn a_run_with_nothing_to_do_notices_what_came_into_data() {
    let data = elsewhere();
    let space = space(&at(data.path()), COUNT);
    let _ = space.restage(&["reproduce"]).exits(0);
    // What was touched just before it was read has no snapshot yet.
    std::thread::sleep(std::time::Duration::from_millis(60));
    let _ = space.restage(&["reproduce"]).exits(0).says("done: 1 fresh");
    // Something that only a plan reads, damaged in place.
    for entry in fs::read_dir(space.path(".restage/records")).expect("records") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a record");
        fs::write(&path, text.replace("count", "cuont")).expect("a record to damage");
    }
    let _ = space.restage(&["reproduce"]).exits(0).says("done: 1 fresh");
    let elsewhere = TempDir::new().expect("a temporary folder");
    space.write(
        "restage.local.toml",
        &format!("[data]\nset = \"{}\"\n", elsewhere.path().display()),
    );
    let _ = space.restage(&["reproduce"]).exits(1).says("has changed");
    fs::remove_file(space.path("restage.local.toml")).expect("a file");
    let _ = space.restage(&["reproduce"]).exits(0);
    write(data.path(), "d/new", "");
    let _ = space
        .restage(&["reproduce"])
        .exits(1)
        .says("1 file differs (`d/new`)");
}

#[test]
fn a_single_file_can_be_data_and_names_of_any_kind_count() {
    let data = elsewhere();
    let path = data.path().join("d/one.csv");
    let space = space(
        &format!("  one: {{path: \"{}\"}}\n", path.display()),
        "  s: {cmd: cp data/one a, deps: [data/one], outs: [a]}\n",
    );
    let _ = space.restage(&["reproduce"]).exits(0);
    assert_eq!(space.read("a"), "1\n");
    write(data.path(), "d/one.csv", "2\n");
    let _ = space
        .restage(&["reproduce"])
        .exits(1)
        .says("data `one` has changed: its bytes differ");
    let _ = space.restage(&["data", "update", "one"]).exits(0);
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn links_out_of_data_lead_to_what_they_lead_to() {
    everywhere(|restage, _| {
        let hub = TempDir::new().expect("a temporary folder");
        for folder in ["blobs", "snap"] {
            fs::create_dir(hub.path().join(folder)).expect("a folder");
        }
        write(hub.path(), "blobs/1", &"y".repeat(2_000_000));
        std::os::unix::fs::symlink("../blobs/1", hub.path().join("snap/model")).expect("a link");
        let space = space(
            &at(&hub.path().join("snap")),
            "  s: {cmd: 'wc -c < in/set/model > a', deps: [in/set], outs: [a]}\n",
        );
        let Some(said) = restage(&space, &["reproduce"]) else {
            return;
        };
        let _: Said = said.exits(0);
        assert_eq!(space.read("a"), "2000000\n");
    });
}

#[test]
fn data_where_stages_write_or_something_else_is_is_refused() {
    let data = elsewhere();
    let space = space(
        &at(data.path()),
        "  s: {cmd: echo 1 > in/set/x, outs: [in/set/x]}\n  t: {cmd: 'ls in > y', deps: [in], outs: [y]}\n",
    );
    let said = space.restage(&["reproduce"]).exits(2);
    let said = said.says("data `set` is placed at `in/set`, where stage `s` writes");
    let _ = said.says("stage `t` reads the folder `in`, in which data `set` is placed");

    space.stages(COUNT);
    let stages = space.read("pipeline.yaml");
    let with = |data: &str| stages.replace("stages:\n", &format!("data:\n{data}stages:\n"));
    space.write("pipeline.yaml", &with(&at(data.path())));
    space.write("in/set/mine", "");
    let said = space.restage(&["reproduce"]).exits(1);
    let _ = said.says("data `set` is placed at `in/set`, and something else is there");
    fs::remove_dir_all(space.path("in/set")).expect("a folder");
    std::os::unix::fs::symlink(data.path(), space.path("in/set")).expect("a link");
    let _ = space.restage(&["reproduce"]).exits(0);
    space.write(
        "pipeline.yaml",
        &with(&at(space.root().parent().expect("a folder above"))),
    );
    let _ = space
        .restage(&["reproduce"])
        .exits(1)
        .says("holds the pipeline's folder");
    space.write(
        "pipeline.yaml",
        &with("  set: {path: \"${root}/x\", place: /abs}\n"),
    );
    let said = space.restage(&["status"]).exits(2);
    let _ = said
        .says("`path` of data `set` has `${root}`")
        .says("`/abs` cannot be the place of data `set`");
}

#[test]
fn a_lock_file_that_pins_data_is_not_replaced_by_one_that_does_not() {
    let data = elsewhere();
    let space = space(&at(data.path()), &format!("{COUNT}{OTHER}"));
    let _ = space.restage(&["reproduce"]).exits(0);
    let lock = space.read("pipeline.lock");
    space.write("pipeline.lock", &lock.replace("# end\n", ""));
    write(data.path(), "d/one.csv", "11\n");
    let said = space.restage(&["reproduce"]).exits(1);
    let _ = said.says("it says what data `set` is pinned to");
    fs::remove_file(space.path("o")).expect("an out");
    let said = space.restage(&["reproduce", "other"]).exits(0);
    let _ = said.says("it was left as it is");
    space.write("pipeline.lock", &lock);
    let _ = space
        .restage(&["reproduce"])
        .exits(1)
        .says("1 file differs (`d/one.csv`)");
}

#[test]
fn what_one_machine_says_is_in_no_key_and_git_is_kept_from_it() {
    let space = Space::empty();
    space.write(".gitignore", "x");
    let _ = space.restage(&["init"]).exits(0);
    assert_eq!(space.read(".gitignore"), "x\n/restage.local.toml\n");

    let data = elsewhere();
    let space = self::space(
        &at(data.path()),
        "  s: {cmd: 'ls > a', deps: [in/set, \"*.toml\"], outs: [a]}\n",
    );
    space.write("mine.toml", "");
    space.write("restage.local.toml", "");
    let _ = space.restage(&["reproduce"]).exits(0);
    assert_eq!(space.read("a"), "a\nin\nmine.toml\n");
    space.write("restage.local.toml", "[data]\n\nset = 1\n");
    let _ = space
        .restage(&["reproduce"])
        .exits(1)
        .says("restage.local.toml:3: ");
    let _ = space.git(&["init", "-q"]).exits(0);
    let _ = space.git(&["add", "-f", "restage.local.toml"]).exits(0);
    let said = space.restage(&["status"]).exits(0);
    let _ = said.says("git keeps `restage.local.toml`");
}

#[test]
fn other_commands_know_data_too() {
    let data = elsewhere();
    let space = space(&at(data.path()), COUNT);
    let _ = space.restage(&["reproduce"]).exits(0);
    let _ = space.restage(&["verify"]).exits(0);
    let said = space.restage(&["trace", "in/set/d/one.csv"]).exits(0).out;
    assert!(said.contains("count"), "{said}");
    let why = space.restage(&["why", "count"]).exits(0).out;
    assert!(why.contains("in/set"), "{why}");
    let _ = space.restage(&["gc"]).exits(0);
    let _ = space.restage(&["fsck"]).exits(0);
    let said = space.restage(&["reproduce", "--strict", "-f"]).exits(0);
    assert!(!said.err.contains("undeclared"), "{}", said.err);
    // gc kept the list of its files.
    write(data.path(), "d/one.csv", "11\n");
    let _ = space
        .restage(&["reproduce"])
        .exits(1)
        .says("1 file differs (`d/one.csv`)");
    let said = space.restage(&["data", "update", "sets"]).exits(2);
    let _ = said.says("has no data `sets`").says("did you mean `set`?");
    let json = space.restage(&["--json", "data"]).exits(0).out;
    let value: serde_json::Value = serde_json::from_str(json.trim()).expect("a line of JSON");
    assert_eq!(
        (value["state"].as_str(), value["files"].as_u64()),
        (Some("changed"), Some(3))
    );
}

/// A server that gives these answers, one a connection, and counts connections.
fn server(answers: Vec<Vec<u8>>) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!(
        "http://{}/a.tar.gz",
        listener.local_addr().expect("an address")
    );
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut byte = [0];
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
                head.push(byte[0]);
            }
            let _ = stream.write_all(&answer);
        }
    });
    (url, asked)
}

fn answer(status: &str, body: &[u8], sent: usize) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"1\"\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), &body[..sent]].concat()
}

/// An archive with `d/one.csv`, and its SHA-256; `None` where there are no programs to make it.
fn archive() -> Option<(Vec<u8>, String)> {
    let dir = elsewhere();
    let run = |program: &str, args: &[&str]| {
        let output = std::process::Command::new(program)
            .args(args)
            .current_dir(dir.path())
            .output();
        output.ok().filter(|output| output.status.success())
    };
    let made = run("tar", &["-czf", "a.tar.gz", "d/one.csv"]);
    let digest = made.and_then(|_| run("sha256sum", &["a.tar.gz"]));
    let Some(digest) = digest else {
        println!("skipped: no tar, gzip or sha256sum");
        return None;
    };
    let bytes = fs::read(dir.path().join("a.tar.gz")).expect("a file");
    let digest = String::from_utf8_lossy(&digest.stdout)[..64].to_owned();
    Some((bytes, digest))
}

fn downloaded(url: &str, sha256: &str) -> String {
    format!("  set: {{url: \"{url}\", sha256: \"{sha256}\", unpack: tar.gz, place: in/set}}\n")
}

const READ: &str = "  s: {cmd: 'cat in/set/d/*.csv > n', deps: [in/set], outs: [n]}\n";

#[test]
fn a_download_is_resumed_checked_unpacked_and_never_repeated() {
    let Some((bytes, sha256)) = archive() else {
        return;
    };
    let (url, asked) = server(vec![
        answer("503 Service Unavailable", b"", 0),
        answer("200 OK", &bytes, 50),
        answer("200 OK", &bytes, bytes.len()),
    ]);
    let count = || asked.load(std::sync::atomic::Ordering::SeqCst);
    let shared = TempDir::new().expect("a temporary folder");
    let store = shared.path().join("store");
    let with_store = |space: &Space, args: &[&str]| -> Said {
        let mut command = space.command(args);
        // Nobody's proxy knows this machine.
        command
            .env("RESTAGE_STORE", &store)
            .env("no_proxy", "127.0.0.1");
        command.output().expect("restage starts").into()
    };
    let space = space(&downloaded(&url, &sha256), READ);
    let _ = with_store(&space, &["reproduce"]).exits(0).says("2 ran");
    assert_eq!((space.read("n").as_str(), count()), ("1\n", 3));
    // Offline from here on: the server is gone.
    let _ = with_store(&space, &["reproduce"]).exits(0).says("2 fresh");
    fs::remove_dir_all(space.path("in")).expect("a folder");
    let _ = with_store(&space, &["reproduce"])
        .exits(0)
        .says("1 restored");
    assert_eq!(space.read("in/set/d/one.csv"), "1\n");
    for command in [&["gc"][..], &["fsck"], &["verify"], &["reproduce", "-f"]] {
        let _ = with_store(&space, command).exits(0);
    }
    let list = with_store(&space, &["data"]).exits(0).out;
    assert!(list.starts_with("here ") && list.contains(&url), "{list}");
    // Another address of the same bytes, in another workspace.
    let other = self::space(&downloaded("https://example.org/x", &sha256), READ);
    let _ = with_store(&other, &["reproduce"])
        .exits(0)
        .says("2 restored");
    assert_eq!((other.read("n").as_str(), count()), ("1\n", 3));
    let _ = with_store(&space, &["data", "update", "set"])
        .exits(2)
        .says("its `sha256` says what it is");
}

#[test]
fn a_download_of_other_bytes_is_refused_with_what_they_are() {
    let Some((bytes, sha256)) = archive() else {
        return;
    };
    let files = TempDir::new().expect("a temporary folder");
    fs::write(files.path().join("a.tar.gz"), &bytes).expect("a file");
    let url = format!("file://{}/a.tar.gz", files.path().display());
    everywhere(|restage, _| {
        let space = space(&downloaded(&url, &"0".repeat(64)), READ);
        let Some(said) = restage(&space, &["reproduce"]) else {
            return;
        };
        let _: Said = said.exits(1).says(&sha256);
        assert!(!space.exists("in") && !space.exists("n"));
        let text = space
            .read("pipeline.yaml")
            .replace(&"0".repeat(64), &sha256.to_uppercase());
        space.write("pipeline.yaml", &text);
        let _: Said = restage(&space, &["reproduce"]).expect("as before").exits(0);
        assert_eq!(space.read("n"), "1\n");
    });
}

#[test]
fn what_is_wrong_with_data_is_said_at_its_place() {
    let space = space(
        "  a: {url: \"https://x/y\"}\n  b: {path: /x, url: \"https://x/y\"}\n  c: {}\n  d: {path: /x, unpack: zip}\n  \
         e: {url: \"ftp://x\", sha256: 12, unpack: rar, place: p}\n  f: {path: /x, place: p/q}\n  g: {path: ~/x}\n",
        OTHER,
    );
    let mut said = space.restage(&["status"]).exits(2);
    for text in [
        "data `a` has no `sha256`",
        "data `b` has both `path` and `url`",
        "data `c` has no `path`",
        "data `d` has `unpack` without `url`",
        "`url` of data `e` cannot be `ftp://x`",
        "`unpack` of data `e` cannot be `rar`",
        "data `f` is placed at `p/q`, and `e` at `p`",
        "`path` of data `g` begins with `~`",
    ] {
        said = said.says(text);
    }
}
