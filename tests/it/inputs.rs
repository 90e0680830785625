//! Outs of other stages that a stage writes to, though they are read-only: nobody gets a wrong result,
//! and the stage is named. Files are large, because small ones are copied.

use std::path::Path;

use crate::space::{Said, Space};

/// `a` writes 3,000,000 zeros; `b` and `c` read them, `b` with this command and `c` only after `b` made a
/// file in the folder `meet`.
fn space(b: &str, meet: &Path) -> Space {
    let meet = meet.display();
    let b = b.replace("$MEET", &meet.to_string());
    Space::new(&format!(
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
    ))
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
    for write in [WRITE, &hidden] {
        let meet = tempfile::tempdir().expect("a folder to meet in");
        let space = space(
            &format!("({write}); touch $MEET/wrote; echo b > b.txt"),
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
    let space = space(
        &format!("({WRITE}); touch $MEET/wrote; exit 3"),
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
    let b = format!("if test -e $MEET/bad; then {WRITE}; fi; echo b > b.txt");
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
