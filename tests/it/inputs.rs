//! What a stage reads: what it sees where it has a view, and that a write into an input becomes nobody's
//! wrong result, with a view and without. Files are large, because small ones are copied.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::space::{Said, Space};

/// `a` writes 3,000,000 zeros; `b` and `c` read them, `b` with this command and `c` only after `b` made a
/// file in the folder `meet`.
fn space(b: &str, meet: &Path) -> Space {
    with_isolation("auto", b, meet)
}

fn with_isolation(isolation: &str, b: &str, meet: &Path) -> Space {
    let meet = meet.display();
    let b = b.replace("$MEET", &meet.to_string());
    let space = Space::new(&format!(
        "  a: {{cmd: 'head -c 3000000 /dev/zero > big', outs: [big]}}
  b:
    cmd: '{b}'
    deps: [big]
    outs: [b.txt]
    retries: 1
  c:
    cmd: 'until test -e {meet}/wrote; do sleep 0.01; done; tr -d \"\\0\" < big | wc -c > c.txt'
    deps: [big]
    outs: [c.txt]
"
    ));
    let text = space.read("pipeline.yaml");
    let name = "name: test\n";
    space.write(
        "pipeline.yaml",
        &text.replace(name, &format!("{name}isolation: {isolation}\n")),
    );
    space
}

const WRITE: &str = "chmod u+w big; printf X | dd of=big conv=notrunc status=none";

/// Whether the bytes that `c` counted and the published file are those that `a` wrote.
fn is_right(space: &Space) {
    if space.exists("c.txt") {
        assert_eq!(space.read("c.txt").trim(), "0");
    }
    // Not there: it was written to before it was recorded, and `a` has no result either.
    let big = std::fs::read(space.path("big")).unwrap_or_default();
    assert!(big.iter().all(|byte| *byte == 0), "`big` was written to");
}

/// Fails unless `b` did no harm, or neither `b` nor `c` has a result and `b` is named.
fn sound_or_named(space: &Space, said: &Said) {
    is_right(space);
    match said.code {
        Some(0) => assert!(space.exists("b.txt") && space.exists("c.txt")),
        Some(1) => {
            assert!(
                said.err.contains("`b`") && said.err.contains("`big`"),
                "{}",
                said.err
            );
            assert!(!space.exists("b.txt"));
        }
        _ => panic!("{said:?}"),
    }
}

#[test]
fn a_stage_that_writes_into_its_input_spoils_no_result() {
    // The second hides its write: it takes the time back.
    let hidden = format!("touch -r big old; {WRITE}; touch -r old big; chmod a-w big; rm old");
    for (write, isolation) in [(WRITE, "auto"), (WRITE, "none"), (&hidden, "none")] {
        let meet = tempfile::tempdir().expect("a folder to meet in");
        let space = with_isolation(
            isolation,
            &format!("({write}) || true; touch $MEET/wrote; echo b > b.txt"),
            meet.path(),
        );
        let said = space.restage(&["reproduce", "-k", "-j2"]);
        sound_or_named(&space, &said);
        // With a better `b` all is well.
        let better = self::space("echo b > b.txt", meet.path());
        space.write("pipeline.yaml", &better.read("pipeline.yaml"));
        let _ = space.restage(&["reproduce"]).exits(0);
        is_right(&space);
        assert!(space.exists("big") && space.exists("c.txt"));
        let _ = space.restage(&["fsck"]).exits(0);
    }
}

#[test]
fn a_stage_that_writes_into_its_input_and_fails_is_a_failure_of_that_stage() {
    let meet = tempfile::tempdir().expect("a folder to meet in");
    let space = with_isolation(
        "none",
        &format!("({WRITE}) || true; touch $MEET/wrote; exit 3"),
        meet.path(),
    );
    let said = space
        .restage(&["reproduce", "-k", "-j1"])
        .exits(1)
        .says("`b`");
    sound_or_named(&space, &said);
}

#[test]
fn verify_gives_a_stage_files_of_its_own() {
    let meet = tempfile::tempdir().expect("a folder to meet in");
    std::fs::write(meet.path().join("wrote"), "").expect("a file");
    let b = format!("if test -e $MEET/bad; then ({WRITE}) || true; fi; echo b > b.txt");
    let space = space(&b, meet.path());
    let _ = space.restage(&["reproduce"]).exits(0);
    std::fs::write(meet.path().join("bad"), "").expect("a file");
    let _ = space.restage(&["verify", "b", "--times", "2"]);
    is_right(&space);
    let _ = space.restage(&["fsck"]).exits(0);
}

#[test]
fn an_object_that_is_gone_is_made_again_from_the_published_file() {
    let meet = tempfile::tempdir().expect("a folder to meet in");
    std::fs::write(meet.path().join("wrote"), "").expect("a file");
    let space = space("echo b > b.txt", meet.path());
    assert_eq!(space.ran(&["a"]), ["a"]);
    std::fs::remove_dir_all(space.path(".restage/objects")).expect("objects");
    std::fs::create_dir(space.path(".restage/objects")).expect("a folder");
    assert_eq!(space.ran(&["-j1"]), ["b", "c"]);
    is_right(&space);
}

/// Whether stages get a view here: root in a container may not.
fn has_view() -> bool {
    let space = Space::new("  a: {cmd: pwd > p.txt, outs: [p.txt]}\n");
    assert_eq!(space.ran(&[]), ["a"]);
    let root = space.root().canonicalize().expect("our folder");
    let seen = Path::new(space.read("p.txt").trim()) == root;
    if !seen {
        println!("skipped: this machine gives stages no view");
    }
    seen
}

#[test]
fn in_a_view_only_what_is_declared_is_there_and_inputs_are_read_only() {
    if !has_view() {
        return;
    }
    let space = Space::new(
        "  a: {cmd: 'head -c 3000000 /dev/zero > big; mkdir d; echo x > d/x', outs: [big, d]}
  b:
    cmd:
      - ls > seen.txt
      - stat -c %i huge code.py > inodes.txt
      - 'for f in big d/x huge; do if echo Z >> $f; then exit 3; fi; done'
      - 'if rm -f big || mv d e || touch d/new; then exit 4; fi'
      - cat $PWD/code.py > b.txt
      - echo kept > $RESTAGE_SCRATCH/x
    deps: [big, d, huge, code.py, .python-version]
    outs: [seen.txt, inodes.txt, b.txt]
",
    );
    space.write("undeclared", "");
    space.write("code.py", "code\n");
    space.write(".python-version", "3\n");
    space.write("huge", &"x".repeat(2 << 20));
    assert_eq!(space.ran(&[]), ["a", "b"]);
    assert_eq!(space.read("seen.txt"), "big\ncode.py\nd\nhuge\nseen.txt\n");
    let inode = |name: &str| {
        use std::os::unix::fs::MetadataExt;
        let found = std::fs::metadata(space.path(name)).expect("a source");
        found.ino().to_string()
    };
    let inodes = space.read("inodes.txt");
    let inodes: Vec<&str> = inodes.lines().collect();
    assert_eq!(inodes[0], inode("huge"), "large sources are not copied");
    assert_ne!(inodes[1], inode("code.py"), "small ones are");
    assert_eq!(space.ran(&[]), [""; 0]);
    let _ = space.restage(&["fsck"]).exits(0);
}

#[test]
fn a_large_source_that_is_written_to_while_it_is_bound_makes_no_result() {
    if !has_view() {
        return;
    }
    let meet = tempfile::tempdir().expect("a folder to meet in");
    let at = meet.path().display();
    let space = Space::new(&format!(
        "  s: {{cmd: 'touch {at}/started; until test -e {at}/edited; do sleep 0.01; done; wc -c < huge > s.txt', deps: [huge], outs: [s.txt]}}\n"
    ));
    space.write("huge", &"x".repeat(2 << 20));
    let run = space
        .command(&["reproduce"])
        .stderr(std::process::Stdio::piped())
        .spawn();
    let run = run.expect("restage starts");
    crate::space::wait_until("it started", || meet.path().join("started").exists());
    let before = space.read("huge");
    space.write("huge", &"y".repeat(2 << 20));
    space.write("huge", &before);
    std::fs::write(meet.path().join("edited"), "").expect("a file");
    let said: Said = run.wait_with_output().expect("it ends").into();
    let _ = said
        .exits(1)
        .says("read `huge`, which changed while it ran");
    assert!(!space.exists("s.txt"));
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn a_write_into_an_input_is_explained() {
    if !has_view() {
        return;
    }
    let space = Space::new(
        "  a: {cmd: echo a > in.txt, outs: [in.txt]}
  b: {cmd: echo b >> in.txt; cp in.txt b.txt, deps: [in.txt], outs: [b.txt]}
",
    );
    let said = space.restage(&["reproduce"]).exits(1);
    let _ = said.says("hint: `in.txt` is an input, and inputs are read-only");
}

#[test]
fn a_file_that_chooses_a_toolchain_is_an_input_of_each_command() {
    let space = Space::new("  a: {cmd: ls -A > a.txt, outs: [a.txt]}\n");
    assert_eq!(space.ran(&[]), ["a"]);
    assert_eq!(space.ran(&[]), [""; 0]);
    space.write(".python-version", "3.12\n");
    assert_eq!(space.ran(&[]), ["a"]);
    assert!(space.read("a.txt").contains(".python-version"));
    assert_eq!(space.ran(&[]), [""; 0]);
    assert_eq!(space.ran(&[]), [""; 0]);
    std::fs::remove_file(space.path(".python-version")).expect("the file");
    assert_eq!(space.ran(&[]), [""; 0], "the first result is still there");
}

#[test]
fn an_out_with_links_to_inputs_holds_what_they_lead_to() {
    for isolation in ["auto", "none"] {
        let space = Space::new(&format!(
            r#"
  p: {{cmd: 'echo small > small.txt', outs: [small.txt]}}
  a:
    isolation: {isolation}
    cmd: |
      mkdir w; ln -s ../big w/big; ln -s "$PWD/big" w/same
      ln -s ../small.txt w/small; ln -s "$PWD/d/x" w/x; echo 1 > w/one; ln -s "$PWD/w/one" w/latest
    deps: [big, small.txt, d]
    outs: [w]
"#
        ));
        let big = "x".repeat(3 << 20);
        space.write("big", &big);
        space.write("d/x", "x\n");
        assert_eq!(space.ran(&[]), ["p", "a"]);
        assert!(
            space.read("w/big") == big && space.read("w/same") == big,
            "{isolation}"
        );
        let small = ["small", "x", "latest"].map(|name| space.read(&format!("w/{name}")));
        assert_eq!(small, ["small\n", "x\n", "1\n"], "{isolation}");
    }
}

#[test]
fn a_source_that_may_not_be_read_costs_only_its_readers() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything (users.rs runs this as somebody else)");
        return;
    }
    let space = Space::new(
        "
  one: {cmd: cp secret one, deps: [secret], outs: [one]}
  below: {cmd: cp one below, deps: [one], outs: [below]}
  many: {cmd: cat folder/* > many, deps: ['folder/*'], outs: [many]}
  other: {cmd: echo x > other, outs: [other]}
",
    );
    space.write("secret", "s");
    space.write("folder/a", "a");
    let set_mode = |name: &str, mode| {
        fs::set_permissions(space.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode("secret", 0o000);
    set_mode("folder", 0o000);
    let said = space.reproduce(&["-k"]).exits(4);
    assert_eq!(said.with_outcome("failed"), ["one", "many"]);
    assert_eq!(said.with_outcome("blocked"), ["below"]);
    assert_eq!(said.with_outcome("ran"), ["other"]);
    let secret = space.path("secret").display().to_string();
    let text = format!(
        "error: stage `one` can't read its input: cannot open `{secret}`: permission denied\n\
         hint: check who owns the path and its permissions\n"
    );
    space.restage(&["reproduce", "one"]).exits(4).says(&text);
    let said = space.restage(&["status"]).exits(0);
    assert!(said.out.contains(&secret), "{}", said.out);
    space.write("one", "mine");
    let refused = space.restage(&["adopt", "one"]).exits(2);
    let _ = refused.says("stage `one` can't read its input");
    // What would run next is unknown, so its checkpoints stay.
    let _ = space
        .restage(&["gc", "-n"])
        .exits(0)
        .says("stage `one` can't read its input");
    set_mode("secret", 0o644);
    set_mode("folder", 0o755);
    let mut ran = space.ran(&["--set-aside"]);
    ran.sort();
    assert_eq!(ran, ["below", "many", "one"]);
}

#[test]
fn a_swap_file_in_a_large_folder_costs_no_result_and_another_file_does() {
    if !has_view() {
        return;
    }
    let space = Space::empty();
    for n in 0..150 {
        space.write(&format!("src/{n}.txt"), "x\n");
    }
    let meet = tempfile::tempdir().unwrap();
    let go = meet.path().join("go").display().to_string();
    space.stages(&format!(
        "  a: {{cmd: 'touch {go}.began; until test -e {go}; do sleep 0.01; done; cat src/* > a', deps: [src], outs: [a]}}\n"
    ));
    let changes: [(&str, bool, i32); 3] = [
        (".1.txt.swp", true, 0),
        (".2.txt.swp", false, 0),
        ("more.txt", false, 1),
    ];
    for (name, goes, code) in changes {
        let run = space.command(&["reproduce", "-f"]).spawn().unwrap();
        crate::space::wait_until("it began", || Path::new(&format!("{go}.began")).exists());
        space.write(&format!("src/{name}"), "");
        if goes {
            fs::remove_file(space.path(&format!("src/{name}"))).unwrap();
        }
        fs::write(&go, "").unwrap();
        let ended = run.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(code), "{name}");
        fs::remove_file(&go).unwrap();
        fs::remove_file(format!("{go}.began")).unwrap();
        // A folder with something to pass over is not bound.
        let _ = fs::remove_file(space.path(&format!("src/{name}")));
    }
}

#[test]
fn temporary_files_and_a_shared_store_may_lie_in_the_workspace() {
    let space =
        Space::new("  a: {cmd: 'T=$(mktemp); echo 1 > $T; sort $T > a; rm $T', outs: [a]}\n");
    fs::create_dir(space.path("tmp")).unwrap();
    let mut command = space.command(&["reproduce"]);
    command.env("TMPDIR", space.path("tmp"));
    command.env("RESTAGE_STORE", space.path("store"));
    let said = Said::from(command.output().unwrap()).exits(0);
    assert!(!said.err.contains("does not declare"), "{}", said.err);
    assert_eq!(space.read("a"), "1\n");
    assert_eq!(fs::read_dir(space.path("tmp")).unwrap().count(), 0);
}
