//! A command means what its author meant: lines that fail, lists, shells, environment, layout,
//! long parameters.

use std::fs;
use std::os::unix::fs::symlink;

use crate::space::{Said, Space};

#[test]
fn a_line_or_a_program_in_a_pipe_that_fails_fails_the_stage() {
    for cmd in [
        "cat no-such-file\\necho on > s.txt",
        "cat no-such-file | sort > s.txt",
    ] {
        let space = Space::new(&format!("  s: {{cmd: \"{cmd}\", outs: [s.txt]}}\n"));
        space
            .restage(&["reproduce"])
            .exits(1)
            .says("stage `s` exited with 1");
        assert!(!space.exists("s.txt"));
        space.restage(&["reproduce"]).exits(1);
    }
}

#[test]
fn a_pipe_whose_reader_had_enough_is_explained() {
    let space = Space::new("  s: {cmd: 'yes | head -n1 > s.txt', outs: [s.txt]}\n");
    let said = space.restage(&["reproduce"]).exits(1);
    said.says("exited with 141").says("`pipefail`");
    space.stages("  s: {cmd: '(yes || [ $? = 141 ]) | head -n1 > s.txt', outs: [s.txt]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn a_line_that_fails_without_a_word_is_explained() {
    let space = Space::new("  s: {cmd: 'test -e no; echo x > s.txt', outs: [s.txt]}\n");
    let said = space.restage(&["reproduce"]).exits(1);
    said.says("the first line that fails ends a command");
    space.stages("  s: {cmd: 'test -e no || true; echo x > s.txt', outs: [s.txt]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn a_list_of_commands_runs_until_one_fails() {
    let space = Space::new(
        "  s: {cmd: [mkdir d, \"x=1; cd d; echo $x > a\", \"echo b$x > d/b\"], outs: [d]}\n",
    );
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!([space.read("d/a"), space.read("d/b")], ["1\n", "b\n"]);

    space.stages("  s: {cmd: [\"test -e no && echo on\", echo x > s.txt], outs: [s.txt]}\n");
    let said = space.restage(&["reproduce"]).exits(1);
    said.says("stage `s` exited with 1");
}

#[test]
fn the_shell_of_the_pipeline_or_the_stage_reads_the_command_and_is_in_its_key() {
    let stages = "  s: {cmd: 'cat no-such-file | sort; echo $0 > s.txt', outs: [s.txt]}\n";
    let space = Space::new(stages);
    space.restage(&["reproduce"]).exits(1);
    let text = space.read("pipeline.yaml");
    space.write(
        "pipeline.yaml",
        &text.replace("stages:", "shell: sh\nstages:"),
    );
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "/bin/sh\n");
    let quiet = "  s: {cmd: 'echo x > s.txt', outs: [s.txt]}\n";
    space.stages(quiet);
    assert_eq!(space.ran(&[]), ["s"]);
    space.stages(&quiet.replace("{cmd", "{shell: [bash, -c], cmd"));
    assert_eq!(space.ran(&[]), ["s"], "another shell");
    let said = space.restage(&["status", "--check"]).exits(0);
    assert!(said.out.contains("fresh"), "{}", said.out);
}

#[test]
fn a_command_can_be_in_another_language() {
    let space = Space::new(
        "  s:\n    shell: [awk]\n    cmd: |\n      BEGIN {\n        print \"${x}\" > \"s.txt\"\n      }\n    outs: [s.txt]\n",
    );
    let text = space.read("pipeline.yaml");
    space.write("pipeline.yaml", &text.replace("{a: 1, b: 2}", "{x: plain}"));
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "plain\n");
    let said = space.restage(&["reproduce", "-S", "x=it's"]).exits(2);
    said.says("cannot be quoted here")
        .says("other than a shell's");
}

#[test]
fn where_there_is_no_bash_the_line_to_write_is_said() {
    let space = Space::new("  s: {cmd: 'echo x > s.txt', outs: [s.txt]}\n");
    fs::create_dir(space.path("bin")).unwrap();
    let cat = ["/bin/cat", "/usr/bin/cat"];
    let cat = cat
        .into_iter()
        .find(|path| fs::exists(path).unwrap())
        .unwrap();
    symlink(cat, space.path("bin/cat")).unwrap();
    let run = |cmd: &str, shell: &str| {
        space.stages(&format!("  s: {{cmd: {cmd}, {shell}outs: [s.txt]}}\n"));
        let mut command = space.command(&["reproduce"]);
        command.env("PATH", space.path("bin"));
        Said::from(command.output().unwrap())
    };
    for cmd in ["echo x > s.txt", "[echo x > s.txt, 'true']"] {
        run(cmd, "").exits(1).says("write `shell: sh`");
    }
    run("echo x > s.txt", "shell: sh, ").exits(0);
}

#[test]
fn the_callers_time_zone_locale_and_libraries_change_no_result() {
    let line = "date -d @0 +%H:%M > s.txt; locale 2>/dev/null >> s.txt || true; env | grep -c \
                LD_LIBRARY_PATH >> s.txt || true";
    let space = Space::new(&format!("  s: {{cmd: '{line}', outs: [s.txt]}}\n"));
    let run = |tz: &str, locale: &str, args: &[&str]| {
        let mut command = space.command(args);
        command
            .env("TZ", tz)
            .env("LC_ALL", locale)
            .env("LANGUAGE", locale);
        Said::from(command.env("LD_LIBRARY_PATH", "/x").output().unwrap()).exits(0);
        space.read("s.txt")
    };
    let one = run("UTC0", "C", &["reproduce"]);
    let two = run("JST-9", "de_DE.UTF-8", &["reproduce", "-f"]);
    assert_eq!(one, two);
    assert!(one.starts_with("00:00\n"), "{one}");
}

#[test]
fn a_declared_time_zone_is_part_of_the_key() {
    let space =
        Space::new("  s: {cmd: 'date -d @0 +%H > s.txt', env: {TZ: JST-9}, outs: [s.txt]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "09\n");
    space.stages("  s: {cmd: 'date -d @0 +%H > s.txt', env: {TZ: JST-8}, outs: [s.txt]}\n");
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "08\n");
}

#[test]
fn passed_variables_reach_the_stage_and_rerun_nothing() {
    let space = Space::new(
        "  s: {cmd: 'echo $HF_HOME $https_proxy > s.txt', pass_env: [HF_HOME], outs: [s.txt]}\n",
    );
    let text = space.read("pipeline.yaml");
    space.write(
        "pipeline.yaml",
        &text.replace("stages:", "pass_env: [https_proxy]\nstages:"),
    );
    let run = |value: &str| {
        let mut command = space.command(&["--json", "reproduce"]);
        command.env("HF_HOME", value).env("https_proxy", "proxy");
        Said::from(command.output().unwrap()).exits(0)
    };
    assert_eq!(run("/one").with_outcome("ran"), ["s"]);
    assert_eq!(space.read("s.txt"), "/one proxy\n");
    assert_eq!(run("/two").with_outcome("ran"), [""; 0]);
}

#[test]
fn a_restage_that_a_stage_starts_uses_the_same_store() {
    let space = Space::new("  s: {cmd: 'echo $RESTAGE_STORE > s.txt', outs: [s.txt]}\n");
    space.restage(&["--store", "shared", "reproduce"]).exits(0);
    let store = space.read("s.txt");
    assert!(
        store.starts_with('/') && store.ends_with("/shared\n"),
        "{store}"
    );
}

#[test]
fn layout_that_the_shell_does_not_see_reruns_nothing() {
    let space =
        Space::new("  s:\n    cmd: echo 1 > s.txt && echo \"a  b\" >> s.txt\n    outs: [s.txt]\n");
    assert_eq!(space.ran(&[]), ["s"]);
    for cmd in [
        "|\n      echo 1 > s.txt && echo \"a  b\" >> s.txt\n\n",
        "|\n      # why\n      echo 1   > s.txt && \\\n        echo \"a  b\" >> s.txt  # that\n",
        ">\n      echo 1 > s.txt &&\n      echo \"a  b\" >> s.txt\n",
    ] {
        space.stages(&format!("  s:\n    cmd: {cmd}\n    outs: [s.txt]\n"));
        assert_eq!(space.ran(&[]), [""; 0], "{cmd}");
    }
    space.stages("  s:\n    cmd: echo 1 > s.txt && echo \"a b\" >> s.txt\n    outs: [s.txt]\n");
    assert_eq!(space.ran(&[]), ["s"], "blanks in quotes");
}

#[test]
fn parameters_of_any_size_reach_the_stage() {
    let line = "cmp \"$RESTAGE_PARAMS_FILE\" <(printf \"%s\\n\" \"${RESTAGE_PARAMS-}\") && echo both > s.txt || \
                wc -c < \"$RESTAGE_PARAMS_FILE\" > s.txt";
    let line = line.replace("${", "$${");
    for (size, said) in [
        (10, "both\n"),
        (131_000, "both\n"),
        (131_050, "131059\n"),
        (3_000_000, "3000009\n"),
    ] {
        let space = Space::new(&format!(
            "  s: {{cmd: '{line}', params: [x], outs: [s.txt]}}\n"
        ));
        let text = space.read("pipeline.yaml");
        let params = format!("{{x: {}}}", "y".repeat(size));
        space.write("pipeline.yaml", &text.replace("{a: 1, b: 2}", &params));
        assert_eq!(space.ran(&[]), ["s"]);
        assert_eq!(space.read("s.txt"), said, "{size}");
    }
}

#[test]
fn stages_that_need_no_core_run_at_once_and_others_say_why_not() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let count = cores + 2;
    let stages = |resources: &str| -> String {
        // Each waits until all are there.
        let line = format!(
            "touch $HOME/at-$RESTAGE_STAGE; for i in $(seq 400); do [ $(ls $HOME/at-* | wc -l) -ge {count} ] && break; sleep 0.05; done; ls $HOME/at-* | wc -l > $RESTAGE_STAGE.txt"
        );
        let stage = |i| format!("  s{i}: {{cmd: '{line}', outs: [s{i}.txt]{resources}}}\n");
        (0..count).map(stage).collect()
    };
    let space = Space::new(&stages(", resources: {cpu: 0}"));
    let mut command = space.command(&["reproduce", "-j", &count.to_string()]);
    command.env("HOME", space.path("."));
    let said = Said::from(command.output().unwrap()).exits(0);
    assert!(!said.err.contains("waits for a core"), "{}", said.err);
    assert_eq!(space.read("s0.txt"), format!("{count}\n"));

    space.stages(&stages("").replace("-ge", "-ge 0 -o 1 -eq"));
    let mut command = space.command(&["reproduce", "-j", &count.to_string()]);
    command.env("HOME", space.path("."));
    let said = Said::from(command.output().unwrap()).exits(0);
    assert_eq!(
        said.err.matches("waits for a core").count(),
        1,
        "{}",
        said.err
    );
}
