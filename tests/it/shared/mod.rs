//! Workspaces that share a store use each other's results, and don't harm each other.

mod maintenance;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::space::{Said, Space, wait_until};

/// Two stages that note each of their runs outside the workspace.
const STAGES: &str = "
  one:
    cmd: echo one >> COUNT; echo said; mkdir d; cat in.txt | tee d/x > one.txt
    deps: [in.txt]
    outs: [one.txt, d]
  two:
    cmd: echo two >> COUNT; cat one.txt d/x > results/two.csv
    deps: [one.txt, d]
    outs: [results/two.csv]
";

/// A folder outside all workspaces, with the store and the stages' notes.
struct Shared {
    dir: TempDir,
    store: PathBuf,
}

impl Shared {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let store = dir.path().join("store");
        Self { dir, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The stages' runs so far.
    fn runs(&self) -> Vec<String> {
        let noted = fs::read_to_string(self.path("count")).unwrap_or_default();
        noted.lines().map(ToOwned::to_owned).collect()
    }

    /// A clone of the experiment.
    fn clone(&self, stages: &str) -> Space {
        let count = self.path("count").display().to_string();
        let space = Space::new(&stages.replace("COUNT", &count));
        space.write("in.txt", "data\n");
        space
    }

    fn command(&self, space: &Space, args: &[&str]) -> Command {
        let mut command = space.command(args);
        command.env("RESTAGE_STORE", &self.store);
        command
    }

    fn call(&self, space: &Space, args: &[&str]) -> Said {
        let output = self.command(space, args).output();
        output.expect("restage starts").into()
    }

    fn reproduce(&self, space: &Space) -> Said {
        self.call(space, &["--json", "reproduce"])
    }

    fn spawn(&self, space: &Space) -> Child {
        let mut command = self.command(space, &["reproduce"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("restage starts")
    }

    fn records(&self) -> usize {
        names(&self.store.join("records")).len()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string())
        .map(|name| name.expect("a name"))
        .collect();
    names.sort();
    names
}

/// A clone's files without restage's own.
fn outs(space: &Space) -> Vec<(String, Vec<u8>)> {
    let files = space.files().into_iter();
    files
        .filter(|(name, _)| name != "pipeline.yaml" && !name.contains(".restage"))
        .collect()
}

#[test]
fn a_stage_that_ran_in_one_clone_is_a_hit_in_another() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    let said = shared.reproduce(&a).exits(0);
    assert_eq!(said.with_outcome("ran"), ["one", "two"]);
    let said = shared.reproduce(&b).exits(0);
    assert_eq!(said.with_outcome("restored"), ["one", "two"]);
    assert_eq!(shared.runs(), ["one", "two"]);
    assert_eq!(outs(&a), outs(&b));
    assert_eq!(a.read("pipeline.lock"), b.read("pipeline.lock"));

    let said = shared.call(&b, &["status", "--check"]).exits(0);
    assert!(said.out.contains("all 2 stages are fresh"), "{}", said.out);
    let said = shared.call(&b, &["why", "one"]).exits(0);
    assert!(said.out.contains("one is fresh: ran"), "{}", said.out);
    shared.call(&b, &["fsck"]).exits(0);
    shared.call(&a, &["verify"]).exits(0);
}

#[test]
fn each_workspace_keeps_what_concerns_only_itself() {
    let shared = Shared::new();
    let a = shared.clone(STAGES);
    shared.reproduce(&a).exits(0);
    for folder in ["objects", "records", "claims", "scratch", "workspaces"] {
        assert!(shared.store.join(folder).is_dir(), "{folder}");
        assert!(!a.exists(&format!(".restage/{folder}")), "{folder}");
    }
    for folder in ["work", "logs"] {
        assert!(!shared.store.join(folder).exists(), "{folder}");
        assert!(a.path(&format!(".restage/{folder}")).is_dir(), "{folder}");
    }
}

#[test]
fn the_option_wins_over_the_environment_and_both_are_relative_to_the_current_folder() {
    let shared = Shared::new();
    let a = shared.clone(STAGES);
    let parent = shared.dir.path().to_owned();
    let call = |args: &[&str], variable: &str| -> Said {
        let mut command = a.command(args);
        command.current_dir(&parent).env("RESTAGE_STORE", variable);
        command.output().expect("restage starts").into()
    };
    let root = a.root().to_str().expect("a path").to_owned();
    call(&["-C", &root, "reproduce"], "by/variable").exits(0);
    assert!(parent.join("by/variable/records").is_dir());
    call(
        &["-C", &root, "reproduce", "--store", "by-option"],
        "by/other",
    )
    .exits(0);
    assert!(parent.join("by-option/records").is_dir() && !parent.join("by/other").exists());
    assert_eq!(shared.runs(), ["one", "two", "one", "two"]);
    call(&["-C", &root, "reproduce"], "").exits(0);
    assert!(a.exists(".restage/records"));
}

#[test]
fn naming_its_own_folder_as_the_store_changes_nothing_and_another_workspaces_is_refused() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    for space in [&a, &b] {
        let own = space.path(".restage");
        let output = space
            .command(&["reproduce"])
            .env("RESTAGE_STORE", own)
            .output();
        let said = Said::from(output.expect("restage starts"));
        said.exits(0).says("2 ran");
        assert!(space.exists(".restage/history.jsonl") && !space.exists(".restage/workspaces"));
        space.restage(&["reproduce"]).exits(0).says("2 fresh");
    }
    let other = a.path(".restage").display().to_string();
    b.restage(&["reproduce", "--store", &other])
        .exits(4)
        .says("belongs to another workspace");
}

#[test]
fn a_link_to_another_workspaces_folder_is_refused_and_one_to_a_folder_elsewhere_is_not() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    a.restage(&["reproduce"]).exits(0);
    symlink(a.path(".restage"), b.path(".restage")).expect("a link is made");
    for args in [&["reproduce"][..], &["status"], &["gc"]] {
        b.restage(args)
            .exits(4)
            .says("belongs to another workspace");
    }
    fs::remove_file(b.path(".restage")).expect("the link is removed");
    fs::create_dir(shared.path("elsewhere")).expect("a folder is made");
    symlink(shared.path("elsewhere"), b.path(".restage")).expect("a link is made");
    b.restage(&["reproduce"]).exits(0).says("2 ran");
    b.restage(&["reproduce"]).exits(0).says("2 fresh");
}

#[test]
fn a_store_in_what_a_stage_reads_or_writes_is_refused_before_anything_is_made() {
    let space = Space::new("  a: {cmd: 'mkdir out; ls data > out/f', deps: [data], outs: [out]}\n");
    space.write("data/in", "1");
    symlink(space.path("data"), space.path("link")).expect("a link is made");
    let refused = |store: &str, why: &str| {
        for command in ["reproduce", "status"] {
            let said = space.restage(&[command, "--store", store]);
            said.exits(2).says(why).says("nothing was changed");
        }
        assert!(!space.exists("out") && !space.exists(".restage"));
        assert_eq!(names(&space.path("data")), ["in"]);
    };
    refused("data/store", "lies in `data`, which stage `a` reads");
    refused(
        "nowhere/../link/x/store",
        "lies in `data`, which stage `a` reads",
    );
    refused("out", "lies in `out`, which stage `a` writes");
    // A declared folder may itself be a link to where the store lies.
    let outside = tempfile::tempdir().expect("a folder is made");
    fs::remove_dir_all(space.path("data")).expect("the folder is removed");
    fs::write(outside.path().join("in"), "1").expect("a file is written");
    symlink(outside.path(), space.path("data")).expect("a link is made");
    let store = outside.path().join("deep/store").display().to_string();
    refused(&store, "lies in `data`, which stage `a` reads");
}

#[test]
fn two_clones_at_once_run_each_stage_once() {
    let shared = Shared::new();
    let stages = STAGES.replace("mkdir d", "sleep 0.4; mkdir d");
    let clones: Vec<Space> = (0..3).map(|_| shared.clone(&stages)).collect();
    let children: Vec<Child> = clones.iter().map(|space| shared.spawn(space)).collect();
    for mut child in children {
        assert!(child.wait().expect("restage ends").success());
    }
    assert_eq!(shared.runs(), ["one", "two"]);
    for clone in &clones {
        assert_eq!(outs(clone), outs(&clones[0]));
        shared.call(clone, &["status", "--check"]).exits(0);
    }
}

#[test]
fn after_a_kill_in_one_clone_another_stops_what_it_left_and_runs_the_stage() {
    let shared = Shared::new();
    let stages = STAGES.replace("mkdir d", "test -e GO || sleep 60; mkdir d");
    let go = shared.path("go").display().to_string();
    let stages = stages.replace("GO", &go);
    let (a, b) = (shared.clone(&stages), shared.clone(&stages));
    let mut child = shared.spawn(&a);
    wait_until("the stage runs", || shared.runs() == ["one"]);
    child.kill().expect("a kill");
    child.wait().expect("an end");
    fs::write(&go, "").expect("a file");
    let said = shared.reproduce(&b).exits(0);
    assert_eq!(said.with_outcome("ran"), ["one", "two"]);
    let said = shared.reproduce(&a).exits(0);
    assert_eq!(said.with_outcome("restored"), ["one", "two"]);
    assert_eq!(shared.runs(), ["one", "one", "two"]);
    shared.call(&a, &["fsck"]).exits(0);
    assert!(names(&shared.store.join("claims")).is_empty());
    assert!(names(&shared.store.join("scratch")).is_empty());
}

#[test]
fn a_call_with_nothing_to_do_notices_lost_records_but_ignores_new_ones() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    shared.call(&a, &["reproduce"]).exits(0);
    std::thread::sleep(Duration::from_millis(60));
    shared.call(&a, &["reproduce"]).exits(0).says("2 fresh");
    let kept = || names(&a.path(".restage/noop"));
    let first = kept();
    assert_eq!(first.len(), 1, "nothing was remembered");

    b.write("in.txt", "other\n");
    shared.call(&b, &["reproduce"]).exits(0).says("2 ran");
    // A plan would write a new one.
    let seen = |name: &str| fs::metadata(a.path(".restage/noop").join(name)).unwrap();
    let before = seen(&first[0]).mtime_nsec();
    shared.call(&a, &["reproduce"]).exits(0).says("2 fresh");
    assert_eq!(seen(&first[0]).mtime_nsec(), before);

    for name in names(&shared.store.join("records")) {
        fs::remove_file(shared.store.join("records").join(name)).expect("a record");
    }
    shared.call(&a, &["reproduce"]).exits(0).says("2 ran");
    // Without the shared store it is a different request.
    a.restage(&["reproduce"]).exits(0).says("2 ran");
    shared.call(&a, &["reproduce"]).exits(0).says("2 fresh");
}

#[test]
fn logs_stay_where_a_stage_ran() {
    let shared = Shared::new();
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    shared.reproduce(&a).exits(0);
    shared.reproduce(&b).exits(0);
    assert_eq!(shared.call(&a, &["logs", "one"]).exits(0).out, "said\n");
    let said = shared.call(&b, &["logs", "one"]).exits(2);
    let said = said.says("stage `one` has not run here");
    said.says(&format!("restage -C {} logs one", a.root().display()));
}

#[test]
fn a_store_on_another_file_system_works_by_copies() {
    let Ok(far) = TempDir::new_in("/dev/shm") else {
        eprintln!("skipped: there is no /dev/shm to write to");
        return;
    };
    let mut shared = Shared::new();
    let device = |path: &Path| fs::metadata(path).expect("a folder").dev();
    if device(far.path()) == device(shared.dir.path()) {
        eprintln!("skipped: /dev/shm is on the file system of temporary files");
        return;
    }
    shared.store = far.path().join("store");
    let (a, b) = (shared.clone(STAGES), shared.clone(STAGES));
    shared.reproduce(&a).exits(0);
    let said = shared.reproduce(&b).exits(0);
    assert_eq!(said.with_outcome("restored"), ["one", "two"]);
    assert_eq!(outs(&a), outs(&b));
    assert_eq!(device(&b.path("one.txt")), device(b.root()));
    b.write("in.txt", "other\n");
    let said = shared.reproduce(&b).exits(0);
    assert_eq!(said.with_outcome("ran"), ["one", "two"]);
    shared.call(&a, &["verify"]).exits(0);
    shared.call(&b, &["gc"]).exits(0);
    shared.call(&b, &["fsck"]).exits(0);
    assert!(names(&b.path(".restage/tmp")).is_empty());
    assert!(names(&shared.store.join("tmp")).is_empty());
}

#[test]
fn a_store_in_the_workspace_matches_no_pattern() {
    let shared = Shared::new();
    let stages = "
  all: {cmd: 'echo run >> COUNT; ls **/*.json > out.txt || true', deps: ['**/*.json'], outs: [out.txt]}
";
    let a = shared.clone(stages);
    a.write("x.json", "{}");
    let call = || a.restage(&["reproduce", "--store", "cache"]).exits(0);
    call().says("1 ran");
    call().says("1 fresh");
    assert_eq!(shared.runs(), ["run"]);
}
