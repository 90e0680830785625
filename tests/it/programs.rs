//! `program:` stages: built from the workspace beside the pipeline, run again when their code changes.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::space::{Said, Space};

/// A space with a package that writes `word` to `out.txt`, and nothing to download.
fn space(word: &str) -> Space {
    let space = Space::new("  s: {program: tool, outs: [out.txt]}\n");
    let manifest = "[workspace]\nmembers = [\"tool\"]\nresolver = \"3\"\n";
    space.write("Cargo.toml", manifest);
    let lock = "version = 4\n\n[[package]]\nname = \"tool\"\nversion = \"0.1.0\"\n";
    space.write("Cargo.lock", lock);
    let package = "[package]\nname = \"tool\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    space.write("tool/Cargo.toml", package);
    code(&space, word);
    space
}

/// Makes the package write this word.
fn code(space: &Space, word: &str) {
    let main = format!("fn main() {{ std::fs::write(\"out.txt\", \"{word}\").unwrap(); }}\n");
    space.write("tool/src/main.rs", &main);
}

/// A call that finds the very cargo and rustc that these tests were built with: in a home of its
/// own, rustup's stand-ins for them know no toolchain.
fn command(space: &Space, args: &[&str]) -> Command {
    let toolchain = Path::new(env!("CARGO")).parent().expect("a folder");
    let mut path = OsString::from(toolchain);
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = space.command(args);
    command.env("PATH", path).env("CARGO_NET_OFFLINE", "true");
    command
}

fn call(space: &Space) -> Said {
    let output = command(space, &["reproduce"]).output();
    output.expect("restage starts").into()
}

/// Replaces a text in every record, in a folder that stays as it was.
fn edit_records(space: &Space, from: &str, to: &str) {
    for entry in fs::read_dir(space.path(".restage/records")).expect("records") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a record");
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replace(from, to)).expect("a record to write");
    }
}

#[test]
fn a_program_runs_again_when_its_code_changes_and_only_then() {
    let space = space("one");
    call(&space).exits(0).says("1 ran");
    assert_eq!(space.read("out.txt"), "one");

    // Files that were touched a moment ago could change unseen: nothing is kept of them.
    std::thread::sleep(Duration::from_millis(60));
    call(&space).exits(0).says("1 fresh");
    // What only a plan reads: this call answers from memory.
    edit_records(&space, "out.txt", "tuo.txt");
    call(&space).exits(0).says("1 fresh");
    edit_records(&space, "tuo.txt", "out.txt");

    space.write("tool/tests/it.rs", "#[test] fn holds() {}");
    space.write("tool/README.md", "A tool.");
    call(&space).exits(0).says("1 fresh");

    code(&space, "two");
    call(&space).exits(0).says("1 ran");
    assert_eq!(space.read("out.txt"), "two");
    code(&space, "one");
    call(&space).exits(0).says("1 restored");
    assert_eq!(space.read("out.txt"), "one");
}

#[test]
fn code_that_does_not_compile_runs_nothing_and_loses_nothing() {
    let space = space("one");
    call(&space).exits(0).says("1 ran");
    space.write("tool/src/main.rs", "fn main() { nonsense }");
    let said = call(&space);
    assert_ne!(said.code, Some(0));
    said.says("nonsense").says("tool");
    assert_eq!(space.read("out.txt"), "one");
    code(&space, "one");
    call(&space).exits(0).says("1 fresh");
}

#[test]
fn the_workspace_may_be_a_folder_of_its_own_and_to_make_it_one_runs_nothing() {
    let space = space("one");
    fs::create_dir(space.path("code")).expect("a folder");
    fs::rename(space.path("tool"), space.path("code/tool")).expect("a move");
    let manifest = space.read("Cargo.toml");
    space.write("Cargo.toml", &manifest.replace("tool", "code/tool"));
    call(&space).exits(0).says("1 ran");

    fs::remove_file(space.path("Cargo.toml")).expect("no manifest");
    space.write("code/Cargo.toml", &manifest);
    fs::rename(space.path("Cargo.lock"), space.path("code/Cargo.lock")).expect("a move");
    let pipeline = space.read("pipeline.yaml");
    let programs = "programs: {workspace: code}\nstages:";
    space.write("pipeline.yaml", &pipeline.replacen("stages:", programs, 1));
    call(&space).exits(0).says("1 fresh");

    let main = "fn main() { std::fs::write(\"out.txt\", \"two\").unwrap(); }\n";
    space.write("code/tool/src/main.rs", main);
    call(&space).exits(0).says("1 ran");
    assert_eq!(space.read("out.txt"), "two");
}

#[test]
fn a_worker_starts_the_very_program_that_was_built_where_it_was_handed_over() {
    let space = space("one");
    let handed = command(&space, &["hand-over"]).output();
    let handed = Said::from(handed.expect("restage starts")).exits(0);
    let batch = handed.out.trim();
    // No task reads the sources, and the program is kept for it.
    fs::remove_dir_all(space.path("tool/src")).expect("sources to lose");
    let elsewhere = Space::empty();
    elsewhere.restage(&["worker", batch, "0"]).exits(0);
    code(&space, "one");
    call(&space).exits(0).says("1 restored");
    assert_eq!(space.read("out.txt"), "one");
}
