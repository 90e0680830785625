//! restage dies, or a system call fails, at each fault point in turn: nothing is lost, and
//! nothing incomplete is taken for a result.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use serde_json::Value;

use crate::space::{Said, Space};

/// Six stages: a file, a folder, a matching pattern, an out that differs from run to run, a
/// checkpoint, a result for people.
const STAGES: &str = r"
  source: {cmd: 'cat in/*.txt > a.txt', deps: ['in/*.txt'], outs: [a.txt]}
  folder: {cmd: 'mkdir -p d/e; cp a.txt d/e/1; ln -s e/1 d/link; echo 2 > d/2', deps: [a.txt], outs: [d]}
  noise: {cmd: 'date +%N > t.txt; wc -c < a.txt > n.txt', deps: [a.txt], outs: [{path: t.txt, volatile: true}, n.txt]}
  scratch: {cmd: 'echo $(ls $RESTAGE_SCRATCH) > s.txt; touch $RESTAGE_SCRATCH/x; echo ok > s.txt', deps: [n.txt], outs: [s.txt]}
  join: {cmd: 'cat d/e/1 d/2 s.txt > results/j.txt', deps: [d, s.txt], outs: [results/j.txt]}
  last: {cmd: 'tr a-z A-Z < results/j.txt > results/l.txt', deps: [results/j.txt], outs: [results/l.txt]}
";

fn space() -> Space {
    let space = Space::new(STAGES);
    space.write("in/one.txt", "one\n");
    space.write("in/two.txt", "two\n");
    space
}

fn call(space: &Space, plan: &str) -> std::process::Output {
    let mut command = space.command(&["reproduce", "-j1"]);
    command
        .env("RESTAGE_FAULTS", plan)
        .output()
        .expect("restage starts")
}

/// The fault points of a call, in order.
fn points(space: &Space) -> Vec<String> {
    let log = space.path("points.log");
    let output = call(space, &format!("log:{}", log.display()));
    Said::from(output).exits(0);
    let text = fs::read_to_string(&log).expect("a log");
    fs::remove_file(&log).expect("a log");
    text.lines().map(ToOwned::to_owned).collect()
}

/// Everything that a clean run leaves, without times: published files, objects, records.
fn state(space: &Space) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, bytes) in space.files() {
        // Differs from run to run, as do its object and its digest in the lock's entry.
        if name != "t.txt" {
            all.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    let volatile = volatile_object(space);
    for path in files_below(&space.path(".restage/objects")) {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if !volatile.contains(&name) {
            let bytes = fs::read(&path).expect("an object");
            all.insert(
                format!("object {name}"),
                String::from_utf8_lossy(&bytes).into_owned(),
            );
        }
    }
    for path in files_below(&space.path(".restage/records")) {
        let record = record(&path);
        let stage = record["stage"].as_str().expect("a stage").to_owned();
        let mut outs = record["outs"].clone();
        for out in outs.as_array_mut().expect("outs") {
            if out["volatile"] == true {
                out["content"] = Value::Null;
            }
        }
        let kept = [
            &record["key"],
            &record["inputs"],
            &outs,
            &record["nondeterministic"],
        ];
        let known = all.insert(format!("record {stage}"), format!("{kept:?}"));
        assert_eq!(known, None, "two records of {stage}");
    }
    all
}

fn record(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a record");
    serde_json::from_str(text.lines().next().expect("a line")).expect("JSON")
}

/// The names of `t.txt`'s objects, from this run and earlier ones.
fn volatile_object(space: &Space) -> String {
    let known = [
        "a.txt",
        "n.txt",
        "s.txt",
        "results/j.txt",
        "results/l.txt",
        "d/e/1",
        "d/2",
    ];
    let known: Vec<Vec<u8>> = known
        .iter()
        .map(|name| fs::read(space.path(name)).expect("an out"))
        .collect();
    let mut names = String::new();
    for path in files_below(&space.path(".restage/objects")) {
        let bytes = fs::read(&path).expect("an object");
        let digits = bytes
            .strip_suffix(b"\n")
            .is_some_and(|d| d.len() == 9 && d.iter().all(u8::is_ascii_digit));
        if digits && !known.contains(&bytes) {
            names += &path.file_name().expect("a name").to_string_lossy();
            names.push(' ');
        }
    }
    names
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The next call completes the work, and leaves exactly what a clean run leaves.
#[track_caller]
fn assert_recovers(space: &Space, clean: &BTreeMap<String, String>, what: &str, set_aside: bool) {
    let said = space.restage(&["reproduce", "-j1"]);
    assert_eq!(said.code, Some(0), "{what}: {}", said.err);
    let state = state(space);
    for (name, text) in clean {
        assert_eq!(state.get(name), Some(text), "{what}: {name}");
    }
    for name in state.keys() {
        assert!(clean.contains_key(name), "{what}: {name} is left");
    }
    let said = space.restage(&["reproduce", "-j1"]);
    assert!(said.err.contains("6 fresh"), "{what}: {}", said.err);
    let entries = fs::read_dir(space.path(".restage")).expect("a store");
    for name in entries.map(|entry| entry.expect("an entry").file_name()) {
        assert!(
            name == ".gitignore" || !name.to_string_lossy().starts_with('.'),
            "{what}: {name:?} is left"
        );
    }
    // What a disk error kept from being flushed is no object any more.
    let quarantine = (!set_aside).then_some("quarantine");
    for folder in ["claims", "scratch", "tmp"].into_iter().chain(quarantine) {
        let left = files_below(&space.path(&format!(".restage/{folder}")));
        assert!(left.is_empty(), "{what}: {left:?} is left");
    }
}

/// Each `stride`th point.
fn each_point(stride: usize, test: impl Fn(usize, &str)) {
    let points = points(&space());
    assert!(points.len() > 100, "{} points", points.len());
    for (index, point) in points.iter().enumerate().skip(3).step_by(stride) {
        test(index + 1, point);
    }
}

#[test]
fn killed_at_a_fault_point_it_continues_to_the_same_store_and_results() {
    kill_at_each(7);
}

#[test]
#[ignore = "takes minutes: make torture"]
fn killed_at_every_fault_point_it_continues_to_the_same_store_and_results() {
    kill_at_each(1);
}

fn kill_at_each(stride: usize) {
    let clean = space();
    Said::from(call(&clean, "die:1000000")).exits(0);
    let clean = state(&clean);
    let (tried, died) = (Cell::new(0), Cell::new(0));
    each_point(stride, |number, point| {
        let space = space();
        let status = call(&space, &format!("die:{number}")).status;
        let reached = status.signal() == Some(9);
        assert!(reached || status.success(), "{number}: {point}");
        tried.set(tried.get() + 1);
        died.set(died.get() + u32::from(reached));
        assert_recovers(
            &space,
            &clean,
            &format!("killed at {number}, {point}"),
            false,
        );
    });
    // Results of stages that end close together share a flush, so a call may have fewer points
    // than the one that counted them, and end before it dies.
    let (tried, died) = (tried.get(), died.get());
    assert!(died * 10 >= tried * 8, "{died} of {tried} died");
}

#[test]
fn a_system_error_at_a_point_costs_an_attempt_and_no_result() {
    fail_at_each(7);
}

#[test]
#[ignore = "takes minutes: make torture"]
fn a_system_error_at_every_point_costs_an_attempt_and_no_result() {
    fail_at_each(1);
}

fn fail_at_each(stride: usize) {
    let clean = space();
    Said::from(call(&clean, "die:1000000")).exits(0);
    let clean = state(&clean);
    let errors = ["ENOSPC", "EIO", "EACCES", "EMFILE", "EROFS"];
    each_point(stride, |number, point| {
        let space = space();
        let error = errors[number % errors.len()];
        // Once, or from then on.
        let more = if number % 2 == 0 { "+" } else { "" };
        let plan = format!("{error}:{number}{more}");
        let said = Said::from(call(&space, &plan));
        assert!(
            matches!(said.code, Some(0 | 1 | 4)) && !said.err.contains("panicked"),
            "{plan}, {point}: {said:?}"
        );
        assert_recovers(&space, &clean, &format!("{plan}, {point}"), error == "EIO");
    });
}

/// The objects whose digests some bytes contain, as text or raw, and those that these name in turn.
fn objects_in(space: &Space, bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files_below(&space.path(".restage/objects")) {
        let name = path.strip_prefix(space.path(".restage/objects"));
        let name = name.expect("an object").to_string_lossy().into_owned();
        let hex = name.replace('/', "");
        let digits = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
        let raw: Vec<u8> = digits
            .map(|digits| u8::from_str_radix(digits, 16).expect("a byte"))
            .collect();
        let named = |digest: &[u8]| bytes.windows(digest.len()).any(|part| part == digest);
        if named(hex.as_bytes()) || named(&raw) {
            found.extend(objects_in(space, &fs::read(&path).expect("an object")));
            found.insert(format!(".restage/objects/{name}"));
        }
    }
    found
}

/// Killing a process loses nothing that it wrote, so only the order of the calls shows what a loss
/// of power would leave.
#[test]
fn a_record_is_written_after_its_outs_and_their_folders_are_flushed() {
    let space = space();
    let points = points(&space);
    let mut checked = 0;
    for path in files_below(&space.path(".restage/records")) {
        let outs = record(&path)["outs"].to_string();
        let write = format!("write\t{}", path.display());
        let written = points.iter().position(|point| *point == write);
        let before = &points[..written.expect("a point for the record")];
        for object in objects_in(&space, outs.as_bytes()) {
            let placed = before.iter().position(|point| {
                let call = point.starts_with("link to") || point.starts_with("rename to");
                call && point.ends_with(&object)
            });
            let placed = placed.unwrap_or_else(|| panic!("no {object} before {write}"));
            let (folder, _) = object.rsplit_once('/').expect("a folder");
            for (call, path) in [("flush\t", object.as_str()), ("flush the folder\t", folder)] {
                let flushed = before[placed..].iter().any(|point| {
                    let this = point.starts_with(call) && point.ends_with(path);
                    this || point.starts_with("flush the disk of\t")
                });
                assert!(flushed, "{path} was not flushed before {write}");
                checked += 1;
            }
        }
    }
    // Seven outs, of which one is a folder with two files.
    assert_eq!(checked, 2 * 9);
}

#[test]
fn published_copies_are_flushed_before_the_run_ends() {
    let space = space();
    let points = points(&space);
    for out in [
        "a.txt",
        "d",
        "t.txt",
        "n.txt",
        "s.txt",
        "results/j.txt",
        "results/l.txt",
    ] {
        let path = space.path(out);
        let put = points.iter().position(|point| {
            point.starts_with("rename to") && point.ends_with(&format!("\t{}", path.display()))
        });
        let put = put.unwrap_or_else(|| panic!("{out} was not put into the workspace"));
        let file = format!("flush\t{}", path.display());
        let flushed = points[put..]
            .iter()
            .any(|point| *point == file || point.starts_with("flush the disk of\t"));
        assert!(flushed, "{out} was not flushed");
    }
}

#[test]
fn a_malformed_plan_of_faults_is_refused() {
    let said = Said::from(call(&space(), "burn")).exits(2);
    said.says("RESTAGE_FAULTS=`burn` is not a plan of faults");
}
