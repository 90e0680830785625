//! A call with nothing to do is answered from a snapshot: no change may slip through
//! (docs/adr/0005).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::space::{Said, Space};

const STAGES: &str = "
  read:
    cmd: cat in.txt $(ls globbed/*) tree/inner > out.txt; echo \"$SETTING\" >> out.txt
    deps: [in.txt, {path: 'globbed/*.txt', optional: true}, tree]
    env: [SETTING]
    outs: [out.txt]
  fold:
    cmd: mkdir -p folder && cp out.txt folder/copy
    deps: [out.txt]
    outs: [folder]
";

/// A space whose next `reproduce` answers from its snapshot.
fn at_rest() -> Space {
    let space = Space::new(STAGES);
    for name in ["in.txt", "globbed/a.txt", "tree/inner"] {
        space.write(name, name);
    }
    call(&space, &[]).says("2 ran");
    // Files that were touched a moment ago could change unnoticed, so they are not kept.
    std::thread::sleep(Duration::from_millis(60));
    call(&space, &[]).says("2 fresh");
    assert_eq!(kept(&space).len(), 1, "nothing was remembered");
    space
}

fn call(space: &Space, args: &[&str]) -> Said {
    let mut all = vec!["reproduce"];
    all.extend(args);
    let output = space.command(&all).env("SETTING", "one").output();
    Said::from(output.expect("restage starts")).exits(0)
}

fn kept(space: &Space) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(space.path(".restage/noop")) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

#[test]
fn a_call_with_nothing_to_do_does_not_plan_again() {
    let space = at_rest();
    // Something that only a plan reads, damaged in place, so that its folder stays unchanged.
    for entry in fs::read_dir(space.path(".restage/records")).expect("records") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a record");
        fs::write(&path, text.replace("read", "raed")).expect("a record to damage");
    }
    call(&space, &[]).says("done: 2 fresh");
    assert!(
        space
            .restage(&["status"])
            .out
            .contains("0 of 2 stages are fresh")
    );
}

#[test]
fn every_change_is_noticed() {
    type Change = fn(&Space);
    let changes: [(&str, &str, Change); 12] = [
        ("an input is edited", "2 ran", |s| {
            s.write("in.txt", "IN.TXT")
        }),
        ("a matching file is added", "2 ran", |s| {
            s.write("globbed/b.txt", "b")
        }),
        ("a matching file is removed", "2 ran", |s| {
            fs::remove_file(s.path("globbed/a.txt")).expect("a file");
        }),
        ("a file of a folder is edited", "2 ran", |s| {
            s.write("tree/inner", "x")
        }),
        ("a file is added to a folder", "1 ran", |s| {
            s.write("tree/new", "x")
        }),
        ("an out is edited", "1 restored", |s| {
            let out = s.path("out.txt");
            fs::remove_file(&out).expect("an out");
            fs::write(&out, "by hand").expect("a file");
        }),
        ("an out is removed", "1 restored", |s| {
            fs::remove_file(s.path("out.txt")).expect("an out");
        }),
        ("a file in an out is removed", "1 restored", |s| {
            let folder = s.path("folder");
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("a folder");
            fs::remove_file(folder.join("copy")).expect("a file");
        }),
        ("the pipeline is edited", "1 ran", |s| {
            s.stages(&STAGES.replace("mkdir -p folder", "mkdir folder"));
        }),
        ("the records are gone", "2 ran", |s| {
            fs::remove_dir_all(s.path(".restage/records")).expect("records");
        }),
        ("the lock is gone", "2 fresh", |s| {
            fs::remove_file(s.path("pipeline.lock")).expect("a lock");
        }),
        ("the memory is damaged", "2 fresh", |s| {
            for path in kept(s) {
                fs::write(path, "{}").expect("a file");
            }
        }),
    ];
    for (what, outcome, change) in changes {
        let space = at_rest();
        change(&space);
        let said = call(&space, &[]);
        assert!(said.err.contains(outcome), "{what}: {}", said.err);
        assert!(space.exists("pipeline.lock"), "{what}");
    }
}

/// So many stages that a run keeps a snapshot at its end.
const MANY: usize = 400;

#[test]
fn the_first_call_after_much_work_does_not_plan_and_notices_every_change() {
    type Change = fn(&Space);
    let stage =
        |n: usize| format!("  s{n}: {{cmd: cat in.txt > o{n}, deps: [in.txt], outs: [o{n}]}}\n");
    let space = Space::new(&(0..MANY).map(stage).collect::<String>());
    space.write("in.txt", "0\n");
    let damaged = |space: &Space| {
        for entry in fs::read_dir(space.path(".restage/records")).expect("records") {
            let path = entry.expect("an entry").path();
            let text = fs::read_to_string(&path).expect("a record");
            fs::write(&path, text.replacen("cat", "dog", 1)).expect("a record to damage");
        }
    };
    std::thread::sleep(Duration::from_millis(60));
    call(&space, &[]).says("400 ran");
    // Only a plan would read them.
    damaged(&space);
    call(&space, &[]).says("done: 400 fresh");
    let changes: [(&str, &str, Change); 4] = [
        ("an input is edited", "400 ran", |s| {
            s.write("in.txt", "1\n")
        }),
        ("an out is edited", "1 restored", |s| {
            fs::remove_file(s.path("o7")).expect("an out");
            s.write("o7", "2\n");
        }),
        ("an out is removed", "1 restored", |s| {
            fs::remove_file(s.path("o8")).expect("an out");
        }),
        ("records are gone", "400 ran", |s| {
            fs::remove_dir_all(s.path(".restage/records")).expect("records");
        }),
    ];
    for (what, outcome, change) in changes {
        change(&space);
        let said = call(&space, &[]);
        assert!(said.err.contains(outcome), "{what}: {}", said.err);
    }
}

#[test]
fn a_source_that_changes_during_a_run_is_noticed_by_the_next_call() {
    let stage =
        |n: usize| format!("  s{n}: {{cmd: cat in.txt > o{n}, deps: [in.txt], outs: [o{n}]}}\n");
    let mut stages: String = (0..MANY).map(stage).collect();
    // Written like this it would be a mistake; here somebody edits the file just then.
    let edit = "  edits: {cmd: 'cat o0 > edited; echo 1 > $IN', deps: [o0], env: [IN], isolation: none, outs: [edited]}\n";
    stages += edit;
    let space = Space::new(&stages);
    space.write("in.txt", "0\n");
    let reproduce = |args: &[&str]| {
        let mut command = space.command(&[&["reproduce"], args].concat());
        let output = command.env("IN", space.path("in.txt")).output();
        Said::from(output.expect("restage starts"))
    };
    std::thread::sleep(Duration::from_millis(60));
    let _ = reproduce(&[]).exits(0);
    let said = reproduce(&[]).exits(0);
    assert!(!said.err.contains("401 fresh"), "{}", said.err);
    assert_eq!(space.read("o399"), "1\n");
}

#[test]
fn a_different_environment_parameters_or_targets_are_a_different_request() {
    let space = at_rest();
    let output = space.command(&["reproduce"]).env("SETTING", "two").output();
    Said::from(output.expect("restage starts"))
        .exits(0)
        .says("2 ran");
    call(&space, &[]).says("2 restored");
    call(&space, &["read"]).says("1 fresh");
    call(&space, &["-S", "a=3"]).says("2 fresh");
    call(&space, &["--force"]).says("2 ran");
    let json = space
        .command(&["--json", "reproduce"])
        .env("SETTING", "one")
        .output();
    let said = Said::from(json.expect("restage starts")).exits(0);
    assert_eq!(said.with_outcome("fresh"), ["read", "fold"]);
}

#[test]
fn a_second_pipeline_file_with_the_same_text_gets_its_own_lock_file() {
    let space = at_rest();
    fs::copy(space.path("pipeline.yaml"), space.path("other.yaml")).expect("a copy");
    call(&space, &["--file", "other.yaml"]).says("2 fresh");
    assert!(space.exists("other.yaml.lock"));
}

#[test]
fn what_a_plan_warns_of_is_warned_of_by_each_call() {
    let space = at_rest();
    let replace = |old: &str, new: &str| {
        let text = space.read("pipeline.yaml").replace(old, new);
        space.write("pipeline.yaml", &text);
        std::thread::sleep(Duration::from_millis(60));
    };
    let says_each_time = |warning: &str| {
        for _ in 0..3 {
            call(&space, &[]).says(warning);
        }
    };
    let digest = restage_core::digest::Digest::of(b"a: 1");
    replace(
        "name: test",
        &format!("name: test\ncopied_params: {{p.yaml: \"{digest}\"}}"),
    );
    call(&space, &[]);
    assert_eq!(
        kept(&space).len(),
        2,
        "a copied file that is gone is no reason to plan"
    );
    space.write("p.yaml", "a: 2");
    says_each_time("`p.yaml` was edited");
    space.write("p.yaml", "a: 1");
    let said = call(&space, &[]);
    assert!(!said.err.contains("p.yaml"), "{}", said.err);
    replace("a: 1,", "a: 1_000,");
    says_each_time("the number 1000");
}
