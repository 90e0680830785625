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

const SHOWN: &str = r#"
  part:
    foreach: ITEMS
    cmd: mkdir -p res/${key}; printf 'epoch,x\n1,${item}\n' > res/${key}/m.csv
    outs: ['res/${key}/m.csv']
claims:
  mean: {says: m, paper: 2, ours: 'samples("res/*/m.csv", 1, "x")', tolerance: {abs: 0.1}}
report: {title: T, sections: [{title: S, show: [{table: 'res/*/m.csv'}]}]}
export:
  tensorboard: [{tables: 'res/*/m.csv', step: epoch}]
  ro_crate: {also: ['res/*/m.csv']}
compare: [{files: 'res/*/m.csv'}]
"#;

/// What claims, the page, both exports and `compare` make of `res/*/m.csv`: the mean, and whether they
/// have the table of `c`.
fn shown(space: &Space) -> (String, [bool; 4]) {
    let exports = [&["export", "tensorboard"][..], &["export", "ro-crate"]];
    for args in [&["report"][..], exports[0], exports[1]] {
        space.restage(args).exits(0);
    }
    let claims = space
        .restage(&["--json", "claims"])
        .exits(0)
        .events("claim");
    let compared = space.restage(&["--json", "compare", "--against", "old"]);
    let has_c = [
        space.read("report.html").contains("res/c/m.csv"),
        space.exists("tensorboard/default/c"),
        space.exists("ro-crate/default/res/c/m.csv"),
        compared.out.contains("res/c/m.csv"),
    ];
    (claims[0]["ours"].to_string(), has_c)
}

#[test]
fn a_table_of_an_item_that_is_gone_counts_for_no_claim_page_export_or_comparison() {
    let space = Space::new(&SHOWN.replace("ITEMS", "{a: 1, b: 3, c: 5}"));
    space.restage(&["reproduce"]).exits(0);
    for name in ["a", "b"] {
        let table = space.read(&format!("res/{name}/m.csv"));
        space.write(&format!("old/res/{name}/m.csv"), &table);
    }
    assert_eq!(shown(&space), ("3.0".to_owned(), [true; 4]));
    space.stages(&SHOWN.replace("ITEMS", "{a: 1, b: 3}"));
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(shown(&space), ("2.0".to_owned(), [false; 4]));
    let named = "passed over `res/c/m.csv` of default/part@c: no stage declares what a run wrote there any more";
    for args in [
        &["claims"][..],
        &["report"],
        &["export", "tensorboard"],
        &["export", "ro-crate"],
        &["compare", "--against", "old"],
    ] {
        space.restage(args).exits(0).says(named);
    }
    // Named, it is meant.
    let named = ["compare", "res/c/m.csv", "--against", "old"];
    let said = space.restage(&named).exits(3);
    assert!(said.out.contains("res/c/m.csv"), "{}", said.out);
    // Edited, it is the user's.
    space.write("res/c/m.csv", "epoch,x\n1,8\n");
    assert_eq!(shown(&space), ("4.0".to_owned(), [true; 4]));
    space.restage(&["claims"]).exits(0);
}

#[test]
fn what_was_passed_over_is_named_also_where_nothing_is_left() {
    let space = Space::new(&SHOWN.replace("ITEMS", "{a: 1, b: 3}"));
    space.restage(&["reproduce"]).exits(0);
    space.stages(
        &SHOWN
            .replace("ITEMS", "{d: 2}")
            .replace("outs: ['res/", "outs: ['other/"),
    );
    for args in [
        &["claims"][..],
        &["report"],
        &["export", "tensorboard"],
        &["compare", "--against", "res"],
    ] {
        let said = space.restage(args).exits(2);
        said.says("passed over `res/a/m.csv` of default/part@a and 1 other file");
    }
}

#[test]
fn a_table_of_git_or_of_the_store_matches_no_pattern_of_a_claim() {
    let space = Space::new(&SHOWN.replace("ITEMS", "{a: 1}").replace("res/*/", "**/"));
    space.restage(&["reproduce"]).exits(0);
    for folder in [".git", ".restage", "restage-set-aside", "target"] {
        space.write(&format!("{folder}/x/m.csv"), "epoch,x\n1,9\n");
    }
    let said = space.restage(&["--json", "claims"]).exits(0);
    assert_eq!(said.events("claim")[0]["ours"], 1.0);
    // A stage's own is meant.
    let own = SHOWN.replace("ITEMS", "{a: 1}").replace("res/", "target/");
    space.stages(&own.replace("target/*/m.csv", "target/*/*.csv"));
    space.restage(&["reproduce"]).exits(0);
    let said = space.restage(&["--json", "claims"]).exits(0);
    assert_eq!(said.events("claim")[0]["ours"], 5.0);
}
