//! A tool's version output is an input: if it changes, the stage reruns.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::space::{Said, Space};

const STAGES: &str = "
  build:
    cmd: compiler > out.txt
    tools: [compiler --version]
    outs: [out.txt]
  copy:
    cmd: cp out.txt copy.txt
    deps: [out.txt]
    outs: [copy.txt]
";

/// A space with a compiler of this version on its PATH.
fn with_compiler(version: &str) -> Space {
    let space = Space::new(STAGES);
    install(&space, version);
    space
}

fn install(space: &Space, version: &str) {
    let script = format!(
        "#!/bin/sh\necho asked >> {}\necho compiler {version}\n",
        space.path("asked").display()
    );
    tool(space, &script);
}

fn tool(space: &Space, script: &str) {
    space.write("bin/compiler.new", script);
    let made = space.path("bin/compiler.new");
    fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).expect("a script");
    fs::rename(made, space.path("bin/compiler")).expect("a script");
}

fn call(space: &Space, args: &[&str]) -> Said {
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", space.path("bin").display());
    let output = space.command(args).env("PATH", path).output();
    output.expect("restage starts").into()
}

fn kept(space: &Space) -> usize {
    fs::read_dir(space.path(".restage/noop")).map_or(0, Iterator::count)
}

#[test]
fn a_new_version_runs_the_stage_again_and_the_same_one_does_not() {
    let space = with_compiler("1.2");
    let ran = |space: &Space| {
        let said = call(space, &["--json", "reproduce"]).exits(0);
        said.with_outcome("ran")
    };
    assert_eq!(ran(&space), ["build", "copy"]);
    assert_eq!(space.read("copy.txt"), "compiler 1.2\n");
    assert_eq!(ran(&space), [""; 0]);
    install(&space, "1.3");
    let why = call(&space, &["why", "build"]).exits(0).out;
    assert!(
        why.contains("tool \"compiler --version\": compiler 1.2 -> compiler 1.3"),
        "{why}"
    );
    assert_eq!(ran(&space), ["build", "copy"]);
    // The tool's bytes differ, its version doesn't.
    tool(&space, "#!/bin/sh\n# the same\necho compiler 1.3\n");
    assert_eq!(ran(&space), [""; 0]);
    // The earlier version is known.
    install(&space, "1.2");
    let said = call(&space, &["reproduce"]).exits(0);
    assert!(said.err.contains("2 restored"), "{}", said.err);
}

#[test]
fn a_call_with_nothing_to_do_asks_tools_again() {
    let space = with_compiler("1.2");
    call(&space, &["reproduce"]).exits(0).says("2 ran");
    std::thread::sleep(Duration::from_millis(60));
    call(&space, &["reproduce"]).exits(0).says("2 fresh");
    assert_eq!(kept(&space), 1, "nothing was remembered");
    // Answered from the snapshot: something that only a plan reads is damaged.
    for entry in fs::read_dir(space.path(".restage/records")).expect("records") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a record");
        fs::write(&path, text.replace("build", "biuld")).expect("a record to damage");
    }
    call(&space, &["reproduce"]).exits(0).says("2 fresh");
    install(&space, "1.3");
    call(&space, &["reproduce"]).exits(0).says("2 ran");
}

#[test]
fn a_tool_is_asked_once_per_plan_however_many_stages_need_it() {
    let space = with_compiler("1.2");
    let stage = |name: &str, more: &str| {
        format!(
            "  {name}: {{cmd: touch {name}, outs: [{name}], tools: [compiler --version]{more}}}\n"
        )
    };
    let stages: Vec<String> = (0..5).map(|n| stage(&format!("s{n}"), "")).collect();
    space.stages(&stages.concat());
    call(&space, &["status"]).exits(0);
    assert_eq!(space.read("asked").lines().count(), 1);
    // In a different environment it is a different question.
    space.stages(&(stages.concat() + &stage("other", ", env: {CC: other}")));
    call(&space, &["status"]).exits(0);
    assert_eq!(space.read("asked").lines().count(), 3);
}

#[test]
fn a_tool_is_found_and_asked_as_the_stage_would_find_it() {
    let space = with_compiler("1.2");
    space.stages(
        "
  s:
    cmd: compiler > out
    env: {PATH: './bin:/usr/bin:/bin', MODE: strict}
    tools: ['compiler; echo mode $MODE, home $HOME, other $OTHER.']
    outs: [out]
",
    );
    let output = space
        .command(&["--json", "why", "s"])
        .env("OTHER", "not declared")
        .output();
    let said = Said::from(output.expect("restage starts")).exits(0);
    let value: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let label = "tool \"compiler; echo mode $MODE, home $HOME, other $OTHER.\"";
    let last = value["inputs"][label].as_str().expect("a tool's answer");
    assert_eq!(
        last,
        format!("mode strict, home {}, other .", space.root().display())
    );
}

#[test]
fn a_tool_is_asked_by_the_shell_that_reads_the_command() {
    let stage = |name: &str, shell: &str, cmd: &str| {
        format!(
            "  {name}: {{shell: {shell}, cmd: '{cmd}', tools: [echo $0], outs: [{name}.txt]}}\n"
        )
    };
    let space = Space::new(
        &[
            stage("bash", "bash", "echo x > bash.txt"),
            stage("sh", "sh", "echo x > sh.txt"),
            stage("words", "[/bin/bash, -c]", "echo x > words.txt"),
            stage("python", "[python3, -c]", "open(\"python.txt\", \"w\")"),
        ]
        .concat(),
    );
    for (name, answer) in [
        ("bash", "bash"),
        ("sh", "/bin/sh"),
        ("words", "/bin/bash"),
        ("python", "/bin/sh"),
    ] {
        let said = space.restage(&["--json", "why", name]).exits(0);
        let value: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(value["inputs"]["tool \"echo $0\""], answer, "{name}");
    }
}

#[test]
fn what_a_shell_says_of_a_missing_program_is_no_version_of_it() {
    let stage = |line: &str| format!("  s: {{cmd: touch s, tools: ['{line}'], outs: [s]}}\n");
    let space = Space::new(&stage("no-such-tool --version | cat"));
    space
        .reproduce(&[])
        .exits(2)
        .says("a tool of stage `s`, exited with 127")
        .says("it printed: bash: ");
    space.stages(&stage("yes | head -1"));
    space
        .reproduce(&[])
        .exits(2)
        .says("a tool of stage `s`, exited with 141")
        .says("hint: nothing ran; a program in a pipe had more to say than its reader");
    space.stages("  s: {cmd: touch s, tools: [echo 1], outs: [s], env: {PATH: bin}}\n");
    space
        .reproduce(&[])
        .exits(2)
        .says("could not be started: there is no program `bash`")
        .says("or write `shell: sh`");
}

#[test]
fn a_tool_that_gives_no_version_stops_the_call_before_anything_runs() {
    let space = with_compiler("1.2");
    tool(&space, "#!/bin/sh\necho no license >&2\nexit 7\n");
    let said = call(&space, &["reproduce"]).exits(2);
    insta::assert_snapshot!(said.err, @r"
    error: `compiler --version`, a tool of stage `build`, exited with 7
     --> pipeline.yaml:8:13
      |
    8 |     tools: [compiler --version]
      |             ^^^^^^^^^^^^^^^^^^ asked for its version
      |
      = note: it printed: no license
      = hint: nothing ran; install it, or fix the command: `tools` are shell commands that print a version and exit with 0
    ");
    fs::remove_file(space.path("bin/compiler")).expect("a tool");
    call(&space, &["reproduce"])
        .exits(2)
        .says("`compiler --version`, a tool of stage `build`, exited with 127")
        .says("not found");
    tool(&space, "#!/bin/sh\n");
    call(&space, &["status"]).exits(2).says("printed nothing");
    assert!(!space.exists("out.txt"));
}

#[test]
fn versions_that_differ_in_bytes_that_are_not_utf8_are_two() {
    let space = with_compiler("1.2");
    let ran = |byte: &str| {
        tool(&space, &format!("#!/bin/sh\nprintf 'v\\{byte}\\n'\n"));
        let said = call(&space, &["--json", "reproduce"]).exits(0);
        said.with_outcome("ran")
    };
    assert_eq!(ran("377"), ["build", "copy"]);
    assert_eq!(ran("377"), [""; 0]);
    assert_eq!(ran("376"), ["build", "copy"]);
}

#[test]
fn a_stage_that_is_not_a_target_needs_no_tools() {
    let space = Space::new(
        "  a: {cmd: no-such-tool, outs: [a], tools: [no-such-tool]}\n  b: {cmd: touch b, outs: [b]}\n",
    );
    assert_eq!(space.ran(&["b"]), ["b"]);
    space.reproduce(&[]).exits(2);
}
