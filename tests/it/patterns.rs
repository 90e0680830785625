//! What patterns match, and what folders and patterns pass over.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use crate::space::Space;

const READER: &str =
    "  s: {cmd: 'cat data/* > s.txt; ls -A data >> s.txt', deps: ['data/*.csv'], outs: [s.txt]}\n";

#[test]
fn a_pattern_that_matches_nothing_is_an_error_unless_it_is_optional() {
    let space = Space::new(READER);
    space.write("data/a.csv", "1\n");
    space.stages(&READER.replace("*.csv", "*.cvs"));
    for command in ["reproduce", "status"] {
        let said = space.restage(&[command]).exits(2);
        let said = said.says("stage `s` reads `data/*.cvs`, a pattern that matches nothing");
        said.says("fix the pattern, or write `{path: \"data/*.cvs\", optional: true}`");
    }
    let optional = "['data/*.csv', {path: 'data/*.cvs', optional: true}]";
    space.stages(&READER.replace("['data/*.csv']", optional));
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "1\na.csv\n");
    space.write("data/b.cvs", "2\n");
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "1\n2\na.csv\nb.cvs\n");
}

#[test]
fn the_outs_of_other_stages_are_matches_too() {
    let space = Space::new(
        "  w: {cmd: 'echo 1 > r/w.csv', outs: [r/w.csv]}\n  s: {cmd: 'cat r/*.csv > s.txt', deps: ['r/*.csv'], outs: [s.txt]}\n",
    );
    assert_eq!(space.ran(&[]), ["w", "s"]);
}

#[test]
fn a_match_with_an_odd_name_is_refused_by_name() {
    for odd in [&b"b\nc.csv"[..], b"caf\xe9.csv"] {
        let space = Space::new(READER);
        space.write("data/a.csv", "1\n");
        std::fs::write(space.path("data").join(OsStr::from_bytes(odd)), "2\n").unwrap();
        let said = space.restage(&["reproduce"]).exits(2);
        said.says("`data/*.csv` matches it, but its name is not UTF-8 or has a control character");
    }
}

#[test]
fn a_pattern_follows_linked_files_and_folders() {
    let space = Space::new(
        &READER
            .replace("data/*.csv", "data/**/*.csv")
            .replace("cat data/*", "cat data/*/*"),
    );
    space.write("far/a.csv", "1\n");
    std::fs::create_dir(space.path("data")).unwrap();
    symlink("../far", space.path("data/far")).unwrap();
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "1\nfar\n");
    space.write("far/b.csv", "2\n");
    assert_eq!(space.ran(&[]), ["s"]);
    symlink("gone", space.path("far/c.csv")).unwrap();
    let said = space.restage(&["reproduce"]).exits(2);
    said.says("/data/far/c.csv`: it leads to `gone`, where nothing is");
}

const FOLDER: &str = "  s: {cmd: 'find src | sort > s.txt', deps: [src], outs: [s.txt]}\n";

#[test]
fn junk_makes_nothing_stale_and_is_not_placed() {
    let space = Space::new(FOLDER);
    space.write("src/m.py", "1\n");
    space.write("src/__pycache__/m.pyc", "0");
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "src\nsrc/m.py\n");
    for junk in [
        "src/.DS_Store",
        "src/.m.py.swp",
        "src/old/__pycache__/x.pyc",
        "src/.git/HEAD",
    ] {
        space.write(junk, "junk");
    }
    symlink("somebody@host:1", space.path("src/.#m.py")).unwrap();
    assert_eq!(space.ran(&[]), [""; 0]);
    std::fs::remove_dir_all(space.path("src/__pycache__")).unwrap();
    assert_eq!(space.ran(&[]), [""; 0]);
    space.write("src/old/n.py", "2\n");
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn an_edited_ignore_file_counts_at_once() {
    let space = Space::new(FOLDER);
    space.write("src/m.py", "1\n");
    space.write("src/notes.log", "1\n");
    assert_eq!(space.ran(&[]), ["s"]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(space.ran(&[]), [""; 0], "by the snapshot of the run before");
    space.write(".restageignore", "*.log\n");
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "src\nsrc/m.py\n");
    space.write("src/notes.log", "2\n");
    assert_eq!(space.ran(&[]), [""; 0]);
    space.write(".restageignore", "*.log\n!notes.log\n");
    assert_eq!(space.ran(&[]), ["s"]);
    space.write(".restageignore", "[z-a]\n");
    let said = space.restage(&["reproduce"]).exits(2);
    said.says("line 1 of `.restageignore` is not a rule");
}

#[test]
fn what_is_named_itself_is_read_whatever_the_rules_say() {
    let space = Space::new("  s: {cmd: 'cat a.log > s.txt', deps: [a.log], outs: [s.txt]}\n");
    space.write(".restageignore", "*.log\n");
    space.write("a.log", "1\n");
    assert_eq!(space.ran(&[]), ["s"]);
    space.write("a.log", "2\n");
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn junk_that_a_stage_writes_is_kept_and_junk_that_comes_later_is_no_edit() {
    let space = Space::new(
        "  w: {cmd: 'mkdir -p w/__pycache__; echo 1 > w/__pycache__/m.pyc; echo 1 > w/m.py', outs: [w]}\n  r: {cmd: 'cat w/__pycache__/m.pyc > r.txt', deps: [w], outs: [r.txt]}\n",
    );
    assert_eq!(space.ran(&[]), ["w", "r"]);
    assert_eq!(space.read("r.txt"), "1\n");
    space.write("w/.DS_Store", "junk");
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(said.with_outcome("fresh"), ["w", "r"]);
    assert!(space.exists("w/.DS_Store"));
    std::fs::remove_file(space.path("w/__pycache__/m.pyc")).unwrap();
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(said.with_outcome("restored"), ["w"]);
    assert_eq!(space.read("w/__pycache__/m.pyc"), "1\n");
}
