//! Several calls at once in one workspace: no work is done twice, and no call disturbs another.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::space::{Said, Space, wait_until};

const STAGES: [&str; 8] = [
    "top", "left", "right", "join", "folder", "parts", "alone", "end",
];

/// Eight stages with a diamond, a folder and an isolated stage. Each notes its start outside the
/// workspace.
fn stages(bad: &str) -> String {
    let note = |name: &str| {
        let fails = if name == bad { "; exit 1" } else { "" };
        format!("echo {name} >> $HOME/ran{fails}")
    };
    format!(
        r"
  top: {{cmd: '{}; cat in.txt > top.txt; sleep 0.05', deps: [in.txt], params: [a], outs: [top.txt]}}
  left: {{cmd: '{}; sleep 0.1; echo left $(cat top.txt) > left.txt', deps: [top.txt], params: [a], outs: [left.txt]}}
  right: {{cmd: '{}; echo right $(cat top.txt) > right.txt', deps: [top.txt], outs: [right.txt]}}
  join: {{cmd: '{}; cat left.txt right.txt > join.txt', deps: [left.txt, right.txt], outs: [join.txt]}}
  folder: {{cmd: '{}; mkdir -p d/e; echo $RESTAGE_PARAMS > d/of-$(echo $RESTAGE_PARAMS | tr -dc 0-9); seq 40 | while read i; do cp top.txt d/e/$(echo $RESTAGE_PARAMS | tr -dc 0-9)-$i; done', deps: [top.txt], params: [a], outs: [d]}}
  parts: {{cmd: '{}; ls d d/e > parts.txt', deps: [d], outs: [parts.txt]}}
  alone: {{cmd: '{}; echo x > alone.txt; sleep 0.1', params: [a], outs: [alone.txt]}}
  end: {{cmd: '{}; cat join.txt parts.txt alone.txt > results/end.txt', deps: [join.txt, parts.txt, alone.txt], outs: [results/end.txt]}}
",
        note("top"),
        note("left"),
        note("right"),
        note("join"),
        note("folder"),
        note("parts"),
        note("alone"),
        note("end"),
    )
}

fn space(bad: &str) -> Space {
    let space = Space::new(&stages(bad));
    space.write("in.txt", "in\n");
    space
}

/// What a single undisturbed run leaves in the workspace.
fn expected(bad: &str, args: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let space = space(bad);
    space.reproduce(args);
    results(&space)
}

/// Everything except the notes.
fn results(space: &Space) -> BTreeMap<String, Vec<u8>> {
    let mut files = space.files();
    files.remove("ran");
    files
}

fn start(space: &Space, args: &[&str]) -> Child {
    space
        .command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("restage starts")
}

fn ends(child: Child) -> Said {
    child.wait_with_output().expect("restage ends").into()
}

/// How often each stage was started.
fn started(space: &Space) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in space.read("ran").lines() {
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

fn once_each() -> BTreeMap<String, usize> {
    STAGES.map(|name| (name.to_owned(), 1)).into()
}

/// The store contains what it should, and nothing is left to do.
#[track_caller]
fn assert_sound(space: &Space, args: &[&str]) {
    space.restage(&["fsck"]).exits(0);
    let mut check = vec!["status", "--check"];
    check.extend(args);
    space.restage(&check).exits(0);
    for folder in ["claims", "tmp", "scratch", "quarantine"] {
        let left = std::fs::read_dir(space.path(".restage").join(folder)).expect("a folder");
        assert_eq!(left.count(), 0, "{folder} is not empty");
    }
}

#[test]
fn eight_runs_at_once_run_each_stage_once_and_all_succeed() {
    let space = space("");
    // Then everything again, over existing outs with other bytes.
    for args in [
        vec!["reproduce", "-j2"],
        vec!["reproduce", "-j2", "-S", "a=7"],
    ] {
        let runs: Vec<Child> = (0..8).map(|_| start(&space, &args)).collect();
        for run in runs {
            ends(run).exits(0);
        }
        let mut told = once_each();
        if args.len() > 2 {
            // The new parameter changes no byte that these read.
            for name in ["right", "join"] {
                told.remove(name);
            }
        }
        assert_eq!(started(&space), told, "{args:?}");
        assert_eq!(results(&space), expected("", &args[1..]), "{args:?}");
        assert_sound(&space, &args[2..]);
        std::fs::remove_file(space.path("ran")).expect("the notes");
    }
}

#[test]
fn of_eight_runs_two_are_killed_and_the_others_succeed() {
    let expected = expected("", &[]);
    for round in 0..6_u64 {
        let space = space("");
        let mut runs: Vec<Child> = (0..8).map(|_| start(&space, &["reproduce"])).collect();
        // Moments across the whole run, with different victims each time.
        for victim in 0..2_u64 {
            std::thread::sleep(Duration::from_millis((round * 67 + victim * 31) % 180));
            runs[((round * 3 + victim * 5) % 8) as usize]
                .kill()
                .expect("it may be killed");
        }
        for run in runs {
            let said = ends(run);
            assert!(
                matches!(said.code, Some(0) | None),
                "round {round}: {:?} {}",
                said.code,
                said.err
            );
        }
        for (name, count) in started(&space) {
            assert!(count <= 3, "round {round}: {name} ran {count} times");
        }
        assert_eq!(results(&space), expected, "round {round}");
        assert_eq!(space.ran(&[]), [""; 0], "round {round}");
        assert_sound(&space, &[]);
    }
}

#[test]
fn a_failing_stage_fails_all_eight_runs_and_no_other_stage() {
    let space = space("right");
    let runs: Vec<Child> = (0..8)
        .map(|_| start(&space, &["reproduce", "-k"]))
        .collect();
    for run in runs {
        ends(run)
            .exits(1)
            .says("stage `right` exited with 1")
            .says("join: not run");
    }
    let mut counts = started(&space);
    assert!(counts.remove("right").is_some_and(|n| n <= 8));
    let told: BTreeMap<String, usize> = once_each()
        .into_iter()
        .filter(|(name, _)| !["right", "join", "end"].contains(&name.as_str()))
        .collect();
    assert_eq!(counts, told);
    assert_eq!(results(&space), expected("right", &["-k"]));
    space.restage(&["fsck"]).exits(0);
}

#[test]
fn maintenance_during_eight_runs_is_never_an_error_and_loses_no_result() {
    let space = space("");
    for args in [vec!["reproduce"], vec!["reproduce", "-S", "a=7"]] {
        let mut runs: Vec<Child> = (0..8).map(|_| start(&space, &args)).collect();
        let mut looked = 0;
        loop {
            let busy = runs
                .iter_mut()
                .any(|run| run.try_wait().expect("it can be waited for").is_none());
            let mut status = vec!["status"];
            status.extend(&args[1..]);
            space.restage(&status).exits(0);
            space.restage(&["why", "end"]).exits(0);
            let gc = space.restage(&["gc"]);
            // It needs the store to itself, and says so.
            if gc.code != Some(0) {
                gc.exits(4).says("another restage has");
            }
            looked += 1;
            if !busy {
                break;
            }
        }
        assert!(looked > 3, "the runs were over at once");
        for run in runs {
            ends(run).exits(0);
        }
        assert_eq!(results(&space), expected("", &args[1..]), "{args:?}");
        assert_sound(&space, &args[1..]);
    }
    assert!(started(&space).values().all(|count| *count <= 2));
}

#[test]
fn runs_of_different_targets_at_once_all_find_their_place_in_the_lock() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let stages: String = names
        .iter()
        .map(|name| format!("  {name}: {{cmd: 'echo {name} > {name}.txt', outs: [{name}.txt]}}\n"))
        .collect();
    for round in 0..12 {
        let space = Space::new(&stages);
        let runs: Vec<Child> = names
            .iter()
            .map(|name| start(&space, &["reproduce", name]))
            .collect();
        for run in runs {
            ends(run).exits(0);
        }
        let lock = space.read("pipeline.lock");
        for name in names {
            let entry = format!("\"{name}.txt\": ");
            assert!(lock.contains(&entry), "round {round}, {name}:\n{lock}");
        }
    }
}

#[test]
fn a_stage_that_another_run_is_running_is_waited_for_and_not_rerun() {
    let space = Space::new(
        "  s: {cmd: 'echo s >> $HOME/ran; touch $RESTAGE_SCRATCH/begun; sleep 1; echo x > s.txt', outs: [s.txt]}\n",
    );
    let first = start(&space, &["reproduce"]);
    wait_until("the stage has begun", || space.exists("ran"));
    let second = ends(start(&space, &["reproduce"]));
    second.exits(0).says("s: waiting for another restage");
    ends(first).exits(0);
    assert_eq!(space.read("ran"), "s\n");
}

#[test]
fn a_folder_that_one_run_replaces_while_others_read_it_is_not_an_error() {
    let space = Space::new(
        r"
  d: {cmd: 'a=$(echo $RESTAGE_PARAMS | tr -dc 0-9); for i in $(seq 60); do mkdir -p d/$a-$i; echo $i > d/$a-$i/x; ln -s x d/$a-$i/y; done', params: [a], outs: [d]}
  ls: {cmd: 'ls d > ls.txt', deps: [d], outs: [ls.txt]}
",
    );
    let values = ["a=1", "a=2"];
    for value in values {
        space.reproduce(&["-S", value]).exits(0);
    }
    std::thread::scope(|scope| {
        let run = |value: &'static str| {
            for _ in 0..15 {
                space.restage(&["reproduce", "-S", value]).exits(0);
            }
        };
        let runs = values.map(|value| scope.spawn(move || run(value)));
        while runs.iter().any(|run| !run.is_finished()) {
            space.restage(&["status", "-S", "a=1"]).exits(0);
        }
    });
    assert_eq!(space.ran(&["-S", "a=1"]), [""; 0]);
    assert_eq!(space.read("ls.txt").lines().next(), Some("1-1"));
    space.restage(&["fsck"]).exits(0);
}

#[test]
fn eight_runs_at_once_restore_lost_outs_and_run_nothing() {
    let space = space("");
    space.ran(&[]);
    let (before, notes) = (results(&space), space.read("ran"));
    for _ in 0..8 {
        std::fs::remove_dir_all(space.path("d")).expect("a folder");
        std::fs::remove_file(space.path("join.txt")).expect("a file");
        let runs: Vec<Child> = (0..8).map(|_| start(&space, &["reproduce"])).collect();
        for run in runs {
            ends(run).exits(0);
        }
        assert_eq!(results(&space), before);
    }
    assert_eq!(space.read("ran"), notes);
    assert_sound(&space, &[]);
}

/// Everything of restage dies at once, on a machine of that name; the stage that it started goes on.
const ON_NODE7: &str = "
    hostname node7
    \"$@\" &
    until [ -e $HOME/started ]; do sleep 0.02; done
    ours=$(for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" != restage ] || echo ${p#/proc/}; done)
    kill -STOP $ours; kill -KILL $ours; touch $HOME/killed; sleep 60";

#[test]
fn a_stage_that_goes_on_unseen_on_another_machine_spoils_no_result() {
    let stages = "
  s:
    isolation: none
    cmd: >-
      n=$(wc -l < $RESTAGE_SCRATCH/lines || echo 0);
      while [ $n -lt 20 ]; do n=$((n + 1)); echo $n >> $RESTAGE_SCRATCH/lines; touch $HOME/started; sleep 0.1; done;
      cp $RESTAGE_SCRATCH/lines out
    outs: [out]
";
    let space = Space::new(stages);
    let other = |script: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args([
            "-Urmupf",
            "--mount-proc",
            "--kill-child",
            "sh",
            "-c",
            script,
            "sh",
        ]);
        unshare
    };
    let probe = other("hostname node7").output();
    if !probe.as_ref().is_ok_and(|output| output.status.success()) {
        println!("skipped: no namespaces that stand for another machine: {probe:?}");
        return;
    }
    let run = |script: &str| {
        let restage = space.command(&["reproduce"]);
        let mut other = other(script);
        other.arg(restage.get_program()).args(restage.get_args());
        let variables = restage.get_envs();
        let variables = variables.filter_map(|(name, value)| Some((name, value?)));
        other.current_dir(space.root()).env_clear().envs(variables);
        other
    };
    let mut node7 = run(ON_NODE7);
    let node7 = node7.stdout(Stdio::null()).stderr(Stdio::null());
    let mut node7 = node7.spawn().expect("it was tried");
    wait_until("a stage without its restage", || space.exists("killed"));
    let node8 = run("hostname node8; exec \"$@\"").output();
    let said = Said::from(node8.expect("it was tried")).exits(0);
    let lines: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    assert_eq!(space.read("out"), lines.join("\n") + "\n");
    said.says("s: a run of it on `node7` ended without saying so, and may go on unseen");
    node7.kill().expect("a process");
    node7.wait().expect("a process");
}
