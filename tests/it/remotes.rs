//! Results go to a remote and come from one. A remote is never needed, and what it gives is never believed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::space::{Said, Space};

/// Three stages that note each of their runs: a file, a folder that is read in part, a table.
const STAGES: &str = "
  prep: {cmd: 'cat in.txt > prep.txt', deps: [in.txt], outs: [prep.txt]}
  train: {cmd: 'mkdir model; cat prep.txt > model/weights; echo log > model/log', deps: [prep.txt], outs: [model]}
  table: {cmd: 'cat model/weights > results/table.csv', deps: [model/weights], outs: [results/table.csv]}
";

/// A folder for a remote, and a first workspace that pushes to it.
struct Lab {
    dir: TempDir,
    space: Space,
}

impl Lab {
    fn new() -> Self {
        let lab = Self {
            dir: TempDir::new().expect("a folder"),
            space: Space::new(STAGES),
        };
        lab.space.write("in.txt", "a\nb\n");
        lab.space.write("restage.toml", &lab.settings(""));
        lab.space.restage(&["remote", "key"]).exits(0);
        lab
    }

    /// With all results pushed.
    fn pushed() -> Self {
        let lab = Self::new();
        lab.space.reproduce(&[]).exits(0);
        lab.space.restage(&["push"]).exits(0);
        lab
    }

    fn remote(&self) -> PathBuf {
        self.dir.path().join("remote")
    }

    fn settings(&self, more: &str) -> String {
        format!(
            "[remote.lab]\nurl = \"file://{}\"\n{more}",
            self.remote().display()
        )
    }

    /// Another clone, of the same person.
    fn clone(&self) -> Space {
        let clone = self.of_a_stranger();
        clone.write(KEY, &self.space.read(KEY));
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(clone.path(KEY), private).expect("a mode");
        clone
    }

    /// Another clone, of somebody who has no key.
    fn of_a_stranger(&self) -> Space {
        let clone = Space::new(STAGES);
        for name in ["in.txt", "restage.toml", "pipeline.lock"] {
            if self.space.exists(name) {
                clone.write(name, &self.space.read(name));
            }
        }
        clone
    }

    /// The files of the remote whose names have this in them.
    fn files(&self, part: &str) -> Vec<PathBuf> {
        let mut found = below(&self.remote());
        found.retain(|path| path.display().to_string().contains(part));
        found
    }

    /// The object that has these bytes.
    fn object(&self, bytes: &str) -> PathBuf {
        let objects = self.files("/objects/").into_iter();
        let mut objects =
            objects.filter(|path| fs::read(path).expect("a file") == bytes.as_bytes());
        objects.next().expect("an object")
    }
}

const KEY: &str = ".config/restage/signing-key";

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(below(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// The stages that a call of reproduce ran.
fn ran(said: &Said) -> Vec<String> {
    said.with_outcome("ran")
}

fn reproduce(space: &Space, args: &[&str]) -> Said {
    let args: Vec<&str> = ["reproduce", "--json"]
        .iter()
        .chain(args)
        .copied()
        .collect();
    space.restage(&args)
}

#[test]
fn a_fresh_clone_gets_all_results_and_runs_nothing() {
    let lab = Lab::pushed();
    let clone = lab.clone();
    let said = reproduce(&clone, &["--pull"]).exits(0);
    assert_eq!(ran(&said), [] as [&str; 0]);
    assert_eq!(clone.read("results/table.csv"), "a\nb\n");
    assert_eq!(clone.read("pipeline.lock"), lab.space.read("pipeline.lock"));
    // Nobody is asked where nothing is to be done.
    fs::remove_dir_all(lab.remote()).expect("a folder");
    let said = clone.restage(&["reproduce", "--pull"]).exits(0);
    assert!(!said.err.contains("warning"), "{}", said.err);
    clone.restage(&["fsck"]).exits(0);
}

#[test]
fn what_was_pushed_is_not_pushed_again() {
    let lab = Lab::new();
    lab.space.reproduce(&[]).exits(0);
    let said = lab.space.restage(&["push"]).exits(0);
    assert!(
        said.out.starts_with("pushed 3 results to lab (3 files"),
        "{}",
        said.out
    );
    let said = lab.space.restage(&["push"]).exits(0);
    assert_eq!(
        said.out,
        "pushed 0 results to lab (no file was missing); 3 were there\n"
    );
    let said = lab.space.restage(&["remote", "status"]).exits(0);
    assert_eq!(said.out.matches(" there ").count(), 3, "{}", said.out);
}

#[test]
fn a_stage_that_has_no_result_is_named_and_the_others_are_pushed() {
    let lab = Lab::new();
    lab.space.reproduce(&["prep"]).exits(0);
    let said = lab.space.restage(&["push"]).exits(0);
    assert!(
        said.out.starts_with("pushed 1 result to lab"),
        "{}",
        said.out
    );
    said.says("2 stages have no result and can't be pushed: `train`, `table`");
    let said = lab.space.restage(&["remote", "status"]).exits(0);
    assert!(said.out.contains("train  not there"), "{}", said.out);
}

#[test]
fn an_edit_runs_what_it_changes_and_pulls_the_rest() {
    let lab = Lab::pushed();
    let clone = lab.clone();
    clone.stages(&STAGES.replace("cat model/weights > results", "tac model/weights > results"));
    let said = reproduce(&clone, &["--pull"]).exits(0);
    assert_eq!(ran(&said), ["table"]);
    assert_eq!(clone.read("results/table.csv"), "b\na\n");
}

#[test]
fn what_follows_from_a_stage_that_runs_is_pulled_when_it_is_known() {
    let lab = Lab::pushed();
    let clone = lab.clone();
    // Another key, and the same bytes: what reads them has its key again.
    clone.stages(&STAGES.replace("cat in.txt > prep.txt", "cat < in.txt > prep.txt"));
    let said = reproduce(&clone, &["--pull"]).exits(0);
    assert_eq!(ran(&said), ["prep"]);
    assert_eq!(clone.read("results/table.csv"), "a\nb\n");
    // Nor does it need the lock file to know what to ask for.
    let clone = lab.clone();
    fs::remove_file(clone.path("pipeline.lock")).expect("a file");
    let said = reproduce(&clone, &["--pull"]).exits(0);
    assert_eq!(ran(&said), [] as [&str; 0]);
}

#[test]
fn pull_brings_results_and_places_nothing() {
    let lab = Lab::pushed();
    let clone = lab.clone();
    let said = clone.restage(&["pull"]).exits(0);
    assert!(
        said.out.starts_with("pulled 3 results from lab"),
        "{}",
        said.out
    );
    assert!(!clone.exists("results/table.csv"));
    fs::remove_dir_all(lab.remote()).expect("a folder");
    assert_eq!(ran(&reproduce(&clone, &[]).exits(0)), [] as [&str; 0]);
    // Of a target only what it needs.
    let lab = Lab::pushed();
    let clone = lab.clone();
    let said = clone.restage(&["pull", "prep"]).exits(0);
    assert!(
        said.out.starts_with("pulled 1 result from lab (1 file"),
        "{}",
        said.out
    );
}

#[test]
fn files_that_are_in_place_are_not_fetched() {
    let lab = Lab::pushed();
    let clone = lab.clone();
    clone.write("results/table.csv", "a\nb\n");
    let said = clone.restage(&["pull"]).exits(0);
    // The table has the same bytes as the weights and as what was prepared.
    assert!(said.out.contains("(1 file, 4 B)"), "{}", said.out);
}

#[test]
fn a_remote_that_is_not_there_costs_a_warning() {
    let lab = Lab::new();
    let required = ["reproduce", "--pull", "--remote-required"];
    lab.space
        .restage(&required)
        .exits(4)
        .says("is not a folder");
    let said = lab.space.restage(&["reproduce", "--pull"]).exits(0);
    assert_eq!(said.err.matches("warning").count(), 1, "{}", said.err);
    let said = said.says("`lab` is not used any more: ");
    said.says("is not a folder");
    assert_eq!(lab.space.read("results/table.csv"), "a\nb\n");
    // A server that does not answer.
    let space = Space::new(STAGES);
    space.write("in.txt", "a\n");
    space.write(
        "restage.toml",
        "[remote.web]\nurl = \"http://127.0.0.1:9/x\"\n",
    );
    space.restage(&required).exits(4).says("can't be reached");
    assert!(!space.exists("prep.txt"));
    let said = space.restage(&["reproduce", "--pull"]).exits(0);
    assert_eq!(said.err.matches("warning").count(), 1, "{}", said.err);
    said.says("can't be reached");
    // Commands that only look ask nobody.
    space.write("in.txt", "b\n");
    for args in [&["status"][..], &["reproduce", "-n"], &["why", "prep"]] {
        let said = space.restage(args).exits(0);
        assert!(!said.err.contains("web"), "{}", said.err);
    }
}

#[test]
fn an_object_that_the_remote_lost_makes_its_stage_run() {
    let lab = Lab::pushed();
    fs::remove_file(lab.object("log\n")).expect("a file");
    let clone = lab.clone();
    let said = clone.restage(&["reproduce", "--pull"]).exits(0);
    let said = said.says("`lab` has not all of default/train: ");
    said.says("is not there");
    assert_eq!(clone.read("model/log"), "log\n");
    let said = lab.space.restage(&["remote", "check"]).exits(3);
    said.says("has not all of default/train");
    let said = lab.space.restage(&["push"]).exits(0);
    assert!(
        said.out.contains("(1 file, 4 B); 3 were there"),
        "{}",
        said.out
    );
    lab.space.restage(&["remote", "check"]).exits(0);
}

#[test]
fn a_byte_that_changed_in_the_remote_is_never_placed() {
    let lab = Lab::pushed();
    fs::write(lab.object("log\n"), "lag\n").expect("a file");
    let clone = lab.clone();
    let said = clone.restage(&["reproduce", "--pull"]).exits(0);
    said.says("is damaged");
    assert_eq!(clone.read("model/log"), "log\n");
    clone.restage(&["fsck"]).exits(0);
    lab.space.restage(&["remote", "check"]).exits(3);
    lab.space.restage(&["push", "--repair"]).exits(0);
    let said = lab.space.restage(&["remote", "check"]).exits(0);
    assert!(said.out.contains("all is right"), "{}", said.out);
}

#[test]
fn what_the_store_lost_comes_from_the_remote() {
    let lab = Lab::pushed();
    for path in below(&lab.space.path(".restage/objects")) {
        fs::remove_file(path).expect("an object");
    }
    for out in ["prep.txt", "results/table.csv"] {
        fs::remove_file(lab.space.path(out)).expect("an out");
    }
    fs::remove_dir_all(lab.space.path("model")).expect("an out");
    let said = reproduce(&lab.space, &["--pull"]).exits(0);
    assert_eq!(ran(&said), [] as [&str; 0]);
    assert_eq!(lab.space.read("results/table.csv"), "a\nb\n");
}

#[test]
fn results_that_nobody_trusted_signed_are_named_and_not_used() {
    let lab = Lab::pushed();
    let stranger = lab.of_a_stranger();
    let said = stranger
        .restage(&["reproduce", "--pull", "--json"])
        .exits(0);
    assert_eq!(ran(&said), ["prep", "train", "table"]);
    said.says("`lab` has 3 results that nobody signed whom restage.toml trusts");
    // The one who pushed is trusted by name.
    let key = lab.space.restage(&["remote", "key"]).exits(0).out;
    let trusted = format!("trusted = [\"{}\"]\n", key.trim());
    let other = lab.of_a_stranger();
    other.write("restage.toml", &lab.settings(&trusted));
    assert_eq!(
        ran(&reproduce(&other, &["--pull"]).exits(0)),
        [] as [&str; 0]
    );
    // Whoever is not in the list is told, and pushes for nobody.
    other.write("in.txt", "evil\n");
    other.restage(&["push"]).exits(2).says("you have no key");
    other.restage(&["remote", "key"]).exits(0);
    other.reproduce(&[]).exits(0);
    other
        .restage(&["push"])
        .exits(0)
        .says("does not trust your key");
    let fourth = lab.of_a_stranger();
    fourth.write("restage.toml", &lab.settings(&trusted));
    fourth.write("in.txt", "evil\n");
    let said = reproduce(&fourth, &["--pull"]).exits(0);
    assert_eq!(ran(&said), ["prep", "train", "table"]);
}

#[test]
fn a_key_is_made_once_and_is_for_its_owner_alone() {
    let space = Space::new(STAGES);
    let first = space
        .restage(&["remote", "key"])
        .exits(0)
        .says("made a new key");
    let mode = fs::metadata(space.path(KEY))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = space.restage(&["remote", "key"]).exits(0);
    assert_eq!(first.out, second.out);
    assert!(!second.err.contains("made"), "{}", second.err);
    let secret = space.read(KEY).lines().nth(1).expect("a key").to_owned();
    assert!(!second.out.contains(&secret));
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(space.path(KEY), open).expect("a mode");
    space
        .restage(&["remote", "key"])
        .exits(2)
        .says("can be read by others");
    // In a job the key is a variable.
    let job = Space::new(STAGES);
    let mut command = job.command(&["remote", "key"]);
    command.env("RESTAGE_SIGNING_KEY", &secret);
    let said = Said::from(command.output().expect("restage starts")).exits(0);
    let key = |text: &str| text.trim().rsplit(':').next().expect("a key").to_owned();
    assert_eq!(key(&said.out), key(&first.out));
    assert!(!job.exists(KEY));
}

#[test]
fn a_stage_has_no_credentials_in_its_environment() {
    let lab = Lab::new();
    lab.space
        .stages("  env: {cmd: 'env > env.txt', outs: [env.txt]}\n");
    let mut command = lab.space.command(&["reproduce", "--pull"]);
    let secret = lab
        .space
        .read(KEY)
        .lines()
        .nth(1)
        .expect("a key")
        .to_owned();
    command
        .env("RESTAGE_SIGNING_KEY", &secret)
        .env("AWS_SECRET_ACCESS_KEY", "s3cr3t")
        .env("RESTAGE_REMOTE_LAB_TOKEN", "s3cr3t");
    Said::from(command.output().expect("restage starts")).exits(0);
    let seen = lab.space.read("env.txt");
    assert!(
        !seen.contains("s3cr3t") && !seen.contains(&secret),
        "{seen}"
    );
    lab.space.restage(&["push"]).exits(0);
    for path in lab.files("") {
        let text = String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned();
        assert!(!text.contains("s3cr3t") && !text.contains(&secret));
    }
}

#[test]
fn mistakes_in_restage_toml_are_named_with_their_line() {
    let lab = Lab::new();
    let push = |text: &str, code, says: &[&str]| {
        lab.space.write("restage.toml", text);
        for said in says {
            lab.space.restage(&["push"]).exits(code).says(said);
        }
    };
    push(
        "",
        2,
        &["no remote is named there", "hint: write `[remote.NAME]`"],
    );
    push(
        "[remote.lab]\nulr = \"x\"\n",
        2,
        &["restage.toml:2: ", "did you mean `url`?"],
    );
    push(
        "[remote.lab]\nurl = \"lab\"\n",
        2,
        &["`url` of remote `lab` is no address"],
    );
    push(
        "[remote.lab]\nurl = \"s3://a/b\"\nregion = 1\n",
        2,
        &["restage.toml:3: "],
    );
    let two = "[remote.a]\nurl = \"file:///x\"\n[remote.b]\nurl = \"file:///y\"\n";
    push(two, 2, &["several remotes: a, b", "--remote NAME"]);
    lab.space.restage(&["push", "--remote", "c"]).exits(2);
    // Nothing of it is needed to run stages, and it enters no key.
    lab.space.reproduce(&[]).exits(0);
    lab.space.write("restage.toml", &lab.settings(""));
    assert_eq!(ran(&reproduce(&lab.space, &[]).exits(0)), [] as [&str; 0]);
}

#[test]
fn a_run_pushes_what_it_made_if_that_is_wanted() {
    let lab = Lab::new();
    let said = lab.space.restage(&["reproduce", "--push"]).exits(0);
    said.says("pushed 3 results to lab");
    // What is up to date is pushed all the same.
    fs::remove_dir_all(lab.remote()).expect("a folder");
    let said = lab.space.restage(&["reproduce", "--push"]).exits(0);
    said.says("pushed 3 results to lab");
    // By restage.toml only after a run.
    lab.space
        .write("restage.toml", &lab.settings("push = \"success\"\n"));
    let said = lab.space.restage(&["reproduce"]).exits(0);
    assert!(!said.err.contains("pushed"), "{}", said.err);
    lab.space.write("in.txt", "c\n");
    let said = lab.space.restage(&["reproduce"]).exits(0);
    said.says("pushed 3 results to lab");
    // What can't be pushed costs a warning.
    fs::remove_file(lab.space.path(KEY)).expect("a file");
    let said = lab.space.restage(&["reproduce", "--push"]).exits(0);
    said.says("warning: nothing was pushed:")
        .says("you have no key");
    lab.space.write("restage.toml", "nonsense");
    lab.space.write("in.txt", "d\n");
    let said = lab.space.restage(&["reproduce"]).exits(0);
    said.says("nothing was pushed: restage.toml:1");
}

#[test]
fn a_push_into_a_folder_that_may_not_be_written_says_so() {
    let lab = Lab::pushed();
    let clone = lab.clone();
    lab.space.write("in.txt", "other\n");
    lab.space.reproduce(&[]).exits(0);
    // As root only what is no folder can't be written to.
    fs::remove_dir_all(lab.remote().join("v1/tmp")).expect("a folder");
    fs::write(lab.remote().join("v1/tmp"), "x").expect("a file");
    let said = lab.space.restage(&["push"]).exits(4);
    said.says("v1/tmp");
    let said = reproduce(&clone, &["--pull"]).exits(0);
    assert_eq!(ran(&said), [] as [&str; 0]);
}

/// A push, and a pull, that die at one moment after another: whoever looks sees no record without its objects, and the next
/// one ends it.
#[test]
fn a_push_or_pull_that_is_killed_leaves_nothing_half() {
    let whole = Lab::pushed();
    let mut died = 0;
    for at in (1..400).step_by(7) {
        let lab = Lab::new();
        lab.space.reproduce(&[]).exits(0);
        let killed = |space: &Space, args: &[&str]| {
            let mut command = space.command(args);
            command.env("RESTAGE_FAULTS", format!("die:{at}"));
            let output = command.output().expect("restage starts");
            output.status.signal().is_some()
        };
        let clone = whole.clone();
        let dead = [killed(&lab.space, &["push"]), killed(&clone, &["pull"])];
        for record in lab.files("/records/") {
            let text = fs::read_to_string(record).expect("a record");
            let record: serde_json::Value =
                serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
            for out in record["outs"].as_array().expect("outs") {
                let digest = out["content"]["digest"].as_str().expect("a digest");
                let path = lab.remote().join("v1/objects").join(&digest[..2]);
                assert!(path.join(&digest[2..]).exists(), "die:{at}");
            }
        }
        lab.space.restage(&["push"]).exits(0);
        lab.space.restage(&["remote", "check"]).exits(0);
        assert_eq!(lab.files("/records/").len(), 3, "die:{at}");
        clone.restage(&["fsck"]).exits(0);
        clone.restage(&["pull"]).exits(0);
        assert_eq!(
            ran(&reproduce(&clone, &[]).exits(0)),
            [] as [&str; 0],
            "die:{at}"
        );
        died += dead.iter().filter(|dead| **dead).count();
        if dead == [false, false] {
            break;
        }
    }
    assert!(died > 20, "only {died} calls died");
}
