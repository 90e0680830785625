//! Links in what stages read and write.

use std::fs;
use std::os::unix::fs::symlink;

use crate::space::Space;

const READER: &str = "  s: {cmd: 'cat data/* > s.txt', deps: [data], outs: [s.txt]}\n  t: {cmd: cp s.txt t.txt, deps: [s.txt], outs: [t.txt]}\n";

#[test]
fn an_edit_behind_a_link_out_of_a_folder_is_noticed() {
    let space = Space::new(READER);
    let disk = tempfile::tempdir().unwrap();
    let far = disk.path().join("far.csv");
    std::fs::write(&far, "1\n").unwrap();
    space.write("elsewhere/near.csv", "a\n");
    space.write("data/own.csv", "o\n");
    symlink(&far, space.path("data/far.csv")).unwrap();
    symlink("../elsewhere/near.csv", space.path("data/near.csv")).unwrap();
    assert_eq!(space.ran(&[]), ["s", "t"]);
    assert_eq!(space.read("s.txt"), "1\na\no\n");
    assert_eq!(space.ran(&[]), [""; 0]);
    std::fs::write(&far, "2\n").unwrap();
    assert_eq!(space.ran(&[]), ["s", "t"]);
    space.write("elsewhere/near.csv", "b\n");
    assert_eq!(space.ran(&[]), ["s", "t"]);
    assert_eq!(space.read("s.txt"), "2\nb\no\n");
}

#[test]
fn the_same_files_without_links_have_the_same_key() {
    let space = Space::new(READER);
    space.write("elsewhere/x", "1\n");
    std::fs::create_dir(space.path("data")).unwrap();
    symlink("../elsewhere/x", space.path("data/x")).unwrap();
    assert_eq!(space.ran(&[]), ["s", "t"]);
    std::fs::remove_file(space.path("data/x")).unwrap();
    space.write("data/x", "1\n");
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn a_link_that_leads_nowhere_is_named_before_anything_runs() {
    let space = Space::new(READER);
    space.write("data/x", "1\n");
    symlink("gone", space.path("data/link")).unwrap();
    let said = space.restage(&["reproduce"]).exits(2);
    let said = said.says("/data/link`: it leads to `gone`, where nothing is");
    said.says("hint: make it lead to a file or folder that is there, or remove it; a line in");
    std::fs::remove_dir_all(space.path("data")).unwrap();
    symlink("gone", space.path("data")).unwrap();
    let said = space.restage(&["reproduce"]).exits(2);
    said.says("/data`: it leads to `gone`, where nothing is");
    assert!(!space.exists("s.txt"));
}

#[test]
fn a_source_that_leads_to_what_a_stage_writes_is_refused() {
    let stages = "  w: {cmd: 'echo 1 > w.txt', outs: [w.txt]}\n";
    for (dep, at) in [
        ("data", "data/w"),
        ("data/w", "data/w"),
        ("data/*", "data/w"),
    ] {
        let space = Space::new(&format!(
            "{stages}  r: {{cmd: cat data/w > r.txt, deps: ['{dep}'], outs: [r.txt]}}\n"
        ));
        std::fs::create_dir(space.path("data")).unwrap();
        assert_eq!(space.ran(&["w"]), ["w"]);
        symlink("../w.txt", space.path(at)).unwrap();
        let said = space.restage(&["reproduce"]).exits(2);
        said.says("leads to `w.txt`, which a stage writes");
    }
}

/// A model hub's cache: snapshots are links to blobs.
const HUB: &str = r"
  fetch:
    cmd: |
      mkdir -p hub/blobs hub/snapshots/r/sub
      echo ${a} > hub/blobs/1
      ln -s ../../blobs/1 hub/snapshots/r/model.bin
      ln -s ../../../blobs/1 hub/snapshots/r/sub/same.bin
    outs: [hub]
  all: {cmd: cat hub/snapshots/r/model.bin > all.txt, deps: [hub], outs: [all.txt]}
  part: {cmd: cat hub/snapshots/r/sub/same.bin > part.txt, deps: [hub/snapshots], outs: [part.txt]}
  file: {cmd: cat hub/snapshots/r/model.bin > file.txt, deps: [hub/snapshots/r/model.bin], outs: [file.txt]}
";

#[test]
fn a_hub_of_links_to_blobs_works_as_an_out_and_as_a_dep() {
    let space = Space::new(HUB);
    assert_eq!(space.ran(&["-j1"]), ["fetch", "all", "part", "file"]);
    assert_eq!(
        std::fs::read_link(space.path("hub/snapshots/r/model.bin")).unwrap(),
        std::path::Path::new("../../blobs/1")
    );
    for name in ["all.txt", "part.txt", "file.txt"] {
        assert_eq!(space.read(name), "1\n", "{name}");
    }
    assert_eq!(space.ran(&[]), [""; 0]);
    space.stages(
        "  s: {cmd: cat hub/snapshots/r/*.bin > s.txt, deps: [hub/snapshots], outs: [s.txt]}\n",
    );
    assert_eq!(space.ran(&[]), ["s"]);
    assert_eq!(space.read("s.txt"), "1\n");
    std::fs::remove_file(space.path("hub/blobs/1")).unwrap();
    space.write("hub/blobs/1", "2\n");
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn an_absolute_link_in_an_out_works_wherever_the_out_is_put() {
    let space = Space::new(
        r#"
  w:
    cmd: |
      mkdir w; echo 1 > w/v1; echo 2 > beside
      ln -s "$PWD/w/v1" w/latest
      ln -s "$PWD/beside" w/beside
      ln -s ../beside w/again
    outs: [w]
  r: {cmd: cat w/latest w/beside w/again > r.txt, deps: [w], outs: [r.txt]}
"#,
    );
    assert_eq!(space.ran(&[]), ["w", "r"]);
    assert_eq!(space.read("r.txt"), "1\n2\n2\n");
    assert_eq!(
        std::fs::read_link(space.path("w/latest")).unwrap(),
        std::path::Path::new("v1")
    );
    assert_eq!(space.read("w/beside"), "2\n");
    std::fs::remove_dir_all(space.path("w")).unwrap();
    assert_eq!(space.ran(&["-f", "r"]), ["r"]);
    assert_eq!(space.read("w/latest"), "1\n");
}

#[test]
fn an_out_with_a_link_that_leads_nowhere_is_the_stages_failure() {
    for (command, why) in [
        (
            "mkdir w; ln -s gone w/link",
            "it leads to `gone`, where nothing is",
        ),
        ("ln -s gone w", "it leads to `gone`, where nothing is"),
        (
            "mkdir w; ln -s .. w/up",
            "it leads to `..`, a folder that it lies in",
        ),
        (
            "mkdir w; ln -s a w/b; ln -s b w/a",
            "and from there back to itself",
        ),
    ] {
        let space = Space::new(&format!("  w: {{cmd: '{command}', outs: [w]}}\n"));
        let said = space.restage(&["reproduce"]).exits(1).says(why);
        said.says("stage `w` could not be recorded: cannot follow the link");
        assert!(!space.exists("w"), "{command}");
    }
}

#[test]
fn what_an_out_takes_from_elsewhere_is_copied_and_stays_as_it_was() {
    use std::os::unix::fs::MetadataExt;
    let disk = tempfile::tempdir().unwrap();
    std::fs::create_dir(disk.path().join("d")).unwrap();
    let far = disk.path().join("d/far");
    std::fs::write(&far, "1\n").unwrap();
    let before = std::fs::metadata(&far).unwrap();
    let place = disk.path().join("d").display().to_string();
    let space = Space::new(&format!(
        "  a: {{cmd: 'mkdir a; ln -s {place} a/d; ln -s {place}/far a/f', outs: [a]}}\n  b: {{cmd: 'ln -s {place} b', outs: [b]}}\n"
    ));
    assert_eq!(space.ran(&["-j1"]), ["a", "b"]);
    for name in ["a/d/far", "a/f", "b/far"] {
        assert_eq!(space.read(name), "1\n", "{name}");
    }
    let after = std::fs::metadata(&far).unwrap();
    assert_eq!(
        (after.mode(), after.nlink()),
        (before.mode(), before.nlink())
    );
}

#[test]
fn outs_that_a_link_makes_one_place_are_refused_before_anything_runs() {
    let stages = |one: &str, other: &str| {
        format!(
            "  a: {{cmd: 'mkdir -p real/in; echo a > {one}', outs: [{one}]}}\n  \
               b: {{cmd: 'mkdir -p way/in; echo b > {other}', outs: [{other}]}}\n"
        )
    };
    for (one, other) in [("real/o", "way/o"), ("real/in/o", "way/in/o")] {
        let space = Space::new(&stages(one, other));
        fs::create_dir(space.path("real")).unwrap();
        symlink("real", space.path("way")).unwrap();
        let said = space.restage(&["reproduce"]).exits(2);
        let text =
            format!("stage `a` writes `{one}` and stage `b` writes `{other}`, which are one place");
        let said = said.says(&text);
        assert_eq!(said.with_outcome("ran"), [""; 0]);
        assert!(!space.exists("real/o"));
        // Apart again, each has its own.
        fs::remove_file(space.path("way")).unwrap();
        assert_eq!(space.ran(&["-j1"]), ["a", "b"]);
        assert_eq!(space.read(one), "a\n");
        assert_eq!(space.read(other), "b\n");
    }
    // One in the other.
    let space = Space::new(
        "  a: {cmd: 'mkdir real; echo a > real/x', outs: [real]}\n  \
           b: {cmd: 'mkdir way; echo b > way/y', outs: [way/y]}\n",
    );
    fs::create_dir(space.path("real")).unwrap();
    symlink("real", space.path("way")).unwrap();
    let said = space.restage(&["reproduce"]).exits(2);
    let _ = said.says("which are one place");
    // Two folders on another disk are two places.
    let elsewhere = tempfile::tempdir().unwrap();
    let space = Space::new(&stages("real/o", "way/o"));
    for name in ["real", "way"] {
        fs::create_dir(elsewhere.path().join(name)).unwrap();
        symlink(elsewhere.path().join(name), space.path(name)).unwrap();
    }
    assert_eq!(space.ran(&["-j1"]), ["a", "b"]);
    assert_eq!(space.read("way/o"), "b\n");
}

#[test]
fn a_stage_has_no_result_if_what_links_in_its_data_lead_to_was_written_to_meanwhile() {
    let both = [
        ("auto", 1),
        ("auto", 1 << 20),
        ("none", 1),
        ("none", 1 << 20),
    ];
    for (isolation, lines) in both {
        let disk = tempfile::tempdir().unwrap();
        let (far, set) = (disk.path().join("far"), disk.path().join("set"));
        fs::create_dir(&set).unwrap();
        fs::write(&far, "1\n".repeat(lines)).unwrap();
        symlink("../far", set.join("link")).unwrap();
        let space = Space::new("");
        let pipeline = |cmd: &str| {
            let (head, set) = ("schema: 1\nname: x\n", set.display());
            let text = format!(
                "{head}data: {{set: {{path: \"{set}\", place: in/set}}}}\nstages:\n  s:\n    cmd: {cmd}\n    \
                 deps: [in/set]\n    outs: [o]\n    isolation: {isolation}\n"
            );
            space.write("pipeline.yaml", &text);
        };
        // The edit is undone before the stage ends.
        let far = far.display();
        let edit = format!("cp {far} {far}.kept; echo 2 >> {far}");
        pipeline(&format!(
            "{edit}; tail -n1 in/set/link > o; cp {far}.kept {far}"
        ));
        let said = space.restage(&["reproduce"]).exits(1);
        let _ = said.says("nothing was recorded");
        assert!(!space.exists("o"), "{isolation}, {lines} lines");
        pipeline("tail -n1 in/set/link > o");
        assert_eq!(space.ran(&[]), ["s"], "{isolation}, {lines} lines");
        assert_eq!(space.read("o"), "1\n");
    }
}
