//! A secret reaches its stage and appears nowhere else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::space::{Said, Space, wait_until};

const VALUE: &str = "s3cr\"et-T0ken";

/// A call with the variable TOKEN; all of its output is checked for the value.
#[track_caller]
fn call_with(space: &Space, value: &str, args: &[&str]) -> Said {
    let output = space.command(args).env("TOKEN", value).output();
    let said = Said::from(output.expect("restage starts"));
    for text in [&said.out, &said.err] {
        assert!(!text.contains(value), "{args:?} shows it:\n{text}");
        let spelt = serde_json::json!(value).to_string();
        let spelt = &spelt[1..spelt.len() - 1];
        assert!(!text.contains(spelt), "{args:?} shows it:\n{text}");
    }
    said
}

#[track_caller]
fn call(space: &Space, args: &[&str]) -> Said {
    call_with(space, VALUE, args)
}

fn all_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let entry = entry.expect("an entry");
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            all_files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// Files that contain the text, in their bytes or their path.
fn holding(space: &Space, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    all_files(space.root(), &mut found);
    assert!(
        found
            .iter()
            .any(|path| path.starts_with(space.path(".restage")))
    );
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).expect("a readable file");
        let mut windows = bytes.windows(text.len());
        windows.any(|window| window == text.as_bytes()) || path.to_string_lossy().contains(text)
    };
    found.retain(holds);
    found
}

#[track_caller]
fn is_nowhere(space: &Space, value: &str) {
    let spelt = serde_json::json!(value).to_string();
    for text in [value, &spelt[1..spelt.len() - 1]] {
        assert_eq!(holding(space, text), Vec::<PathBuf>::new());
    }
}

/// Prints it in every possible way.
const CHATTY: &str = r#"
echo "plain $TOKEN."
echo "error $TOKEN." >&2
printf 'split s3cr"e'; sleep 0.1; echo 't-T0ken.'
printf 'split s3cr"e' >&2; sleep 0.1; echo 't-T0ken.' >&2
printf 's3c\033r"et-T0ken with a control character.\n' >&2
json=$(printf %s "$TOKEN" | sed 's/"/\\"/')
spelt=$(printf %s "$TOKEN" | sed 's/"/\\u0022/')
{
  echo '{"event":"message","text":"event '"$json"'."}'
  echo '{"event":"message","text":"spelt '"$spelt"'."}'
  echo '{"event":"progress","done":1,"total":2,"unit":"'"$json"'","fraction":0.5,
         "metrics":{"'"$json"'":1}}' | tr -d '\n'
  echo
} >> "$RESTAGE_EVENTS"
sleep 0.3
touch "$TOKEN"
printf %s "$TOKEN" | wc -c > length.txt
"#;

/// A space with a stage that prints the secret and then runs `end`.
fn chatty(end: &str) -> Space {
    let space = Space::new(&format!(
        "  chatty:\n    cmd: sh chatty.sh; {end}\n    deps: [chatty.sh]\n    secret: [TOKEN]\n    \
         outs: [length.txt]\n"
    ));
    space.write("chatty.sh", CHATTY);
    space
}

#[test]
fn it_reaches_its_stage_and_nothing_else() {
    let space = chatty("exit 0");
    let said = call(&space, &["--json", "reproduce"]).exits(0);
    assert_eq!(said.with_outcome("ran"), ["chatty"]);
    assert_eq!(space.read("length.txt").trim(), VALUE.len().to_string());
    assert!(said.out.contains("event ***."), "{}", said.out);
    assert!(said.out.contains("spelt ***."), "{}", said.out);
    assert!(
        said.out.contains("not keep") || said.out.contains("not kept"),
        "{}",
        said.out
    );
    is_nowhere(&space, VALUE);
    let logs = call(&space, &["logs", "chatty"]).exits(0).out;
    assert!(logs.contains("plain ***.\nsplit ***.\n"), "{logs}");
    assert!(logs.contains("error ***.\nsplit ***.\n"), "{logs}");
    for args in [
        &["why", "chatty"][..],
        &["--json", "why", "chatty"],
        &["--json", "status"],
        &["status"],
        &["reproduce"],
        &["reproduce", "--force"],
        &["reproduce"],
        &["verify"],
        &["reproduce", "--force", "--audit"],
        &["dag"],
        &["gc"],
        &["fsck"],
    ] {
        call(&space, args).exits(0);
        is_nowhere(&space, VALUE);
    }
    let why = call(&space, &["why", "chatty"]).out;
    assert!(why.contains("secret TOKEN"), "{why}");
}

#[test]
fn another_value_makes_nothing_stale_and_a_fresh_stage_needs_none() {
    let space = chatty("exit 0");
    call(&space, &["reproduce"]).exits(0).says("1 ran");
    std::thread::sleep(std::time::Duration::from_millis(60));
    for _ in 0..2 {
        call_with(&space, "another-token", &["reproduce"])
            .exits(0)
            .says("1 fresh");
    }
    space.restage(&["reproduce"]).exits(0).says("1 fresh");
    space.restage(&["status", "--check"]).exits(0);
    is_nowhere(&space, VALUE);
    is_nowhere(&space, "another-token");
}

#[test]
fn the_last_lines_of_a_failure_do_not_show_it() {
    let space = chatty("echo \"last $TOKEN\" >&2; exit 4");
    let said = call(&space, &["reproduce"]).exits(1);
    assert!(said.err.contains("last ***"), "{}", said.err);
    assert!(said.err.contains("split ***."), "{}", said.err);
    assert!(said.err.contains("*** with a control"), "{}", said.err);
    let said = call(&space, &["--json", "reproduce"]).exits(1);
    assert!(said.out.contains("last ***"), "{}", said.out);
    // What the stage itself wrote into its folder stays readable there.
    fs::remove_dir_all(space.path(".restage/work")).expect("a failed attempt");
    is_nowhere(&space, VALUE);
}

#[test]
fn a_stage_that_writes_it_into_an_out_fails() {
    for (write, named) in [
        ("printf 'token=%s' \"$TOKEN\" > out", "`out`"),
        ("mkdir -p out/a && echo \"$TOKEN\" > out/a/b", "`out/a/b`"),
        ("mkdir out && touch \"out/x$TOKEN\"", "`out/x***`"),
        ("mkdir out && ln -s \"x$TOKEN\" out/link", "`out/link`"),
    ] {
        let stages = format!(
            "  first: {{cmd: touch first, outs: [first]}}\n  s:\n    cmd: |\n      {write}\n    \
             deps: [first]\n    secret: [TOKEN]\n    outs: [out]\n"
        );
        let space = Space::new(&stages);
        let said = call(&space, &["reproduce"]).exits(1);
        let reason = format!("wrote the value of a secret into {named}");
        assert!(said.err.contains(&reason), "{}", said.err);
        assert!(said.err.contains("nothing was recorded"), "{}", said.err);
        assert!(!space.exists("out"));
        is_nowhere(&space, VALUE);
        call(&space, &["--json", "reproduce"]).exits(1);
        is_nowhere(&space, VALUE);
    }
}

#[test]
fn each_line_of_a_value_with_several_is_hidden() {
    let space = Space::new(
        "  s:\n    cmd: echo \"$TOKEN\" | tail -n 1; echo \"$TOKEN\" >&2; touch out\n    \
         secret: [TOKEN]\n    outs: [out]\n",
    );
    let key = "BEGIN KEY\nMIIEvQIBADAN\nEND KEY";
    call_with(&space, key, &["reproduce"]).exits(0);
    for line in key.lines() {
        is_nowhere(&space, line);
    }
    let logs = call_with(&space, key, &["logs", "s"]).exits(0).out;
    assert_eq!(logs, "***\n***\n");
}

#[test]
fn a_secret_that_is_not_set_or_too_short_stops_the_call_before_anything_runs() {
    let space = Space::new(
        "  first: {cmd: touch first, outs: [first]}\n  s:\n    cmd: touch out\n    deps: [first]\n    \
         secret: [TOKEN]\n    outs: [out]\n",
    );
    insta::assert_snapshot!(space.restage(&["reproduce"]).exits(2).err, @r"
    error: stage `s` needs the secret `TOKEN`, which is not set
     --> pipeline.yaml:9:14
      |
    9 |     secret: [TOKEN]
      |              ^^^^^ declared here
      |
      = hint: nothing ran; set the variable in the environment that restage is started in
    ");
    let empty = space.command(&["reproduce"]).env("TOKEN", "").output();
    Said::from(empty.expect("restage starts"))
        .exits(2)
        .says("is not set");
    call_with(&space, "abc", &["reproduce"])
        .exits(2)
        .says("the secret `TOKEN`, which is shorter than 4 characters");
    assert!(!space.exists("first"));
    // Stages that don't declare it don't need it.
    assert_eq!(space.ran(&["first"]), ["first"]);
}

#[test]
fn it_is_in_no_file_even_if_restage_is_killed() {
    let space = Space::new(
        "  s:\n    cmd: |\n      echo $$ > started\n      while :; do echo \"out $TOKEN\"; \
         echo \"err $TOKEN\" >&2; echo \"$TOKEN\" >> $RESTAGE_EVENTS; done\n    \
         secret: [TOKEN]\n    outs: [out]\n",
    );
    let mut restage = space
        .command(&["reproduce"])
        .env("TOKEN", VALUE)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("restage starts");
    let logs = space.path(".restage/logs");
    let printed = || {
        let mut found = Vec::new();
        if logs.exists() {
            all_files(&logs, &mut found);
        }
        let long = |path: &PathBuf| fs::metadata(path).is_ok_and(|m| m.len() > 100_000);
        found.iter().filter(|path| long(path)).count() == 3
    };
    wait_until("it has printed a lot", printed);
    restage.kill().expect("a process to kill");
    restage.wait().expect("its end");
    is_nowhere(&space, VALUE);
    // The next call stops what was left behind.
    space.stages("  s: {cmd: touch out, outs: [out]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
    is_nowhere(&space, VALUE);
}
