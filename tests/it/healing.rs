//! What the store has lost, or holds damaged, is made again in the run that finds it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::damages::{objects, overwrite};
use crate::space::Space;

/// `b` reads what `a` writes, `c` what `b` writes; `d` is beside them.
fn stages(b: &str) -> String {
    format!(
        "  a: {{cmd: 'echo right > a.txt', outs: [a.txt]}}\n  b: {{cmd: '{b} a.txt > b.txt', deps: [a.txt], outs: [b.txt]}}\n  c: {{cmd: 'cat b.txt > results/c.txt', deps: [b.txt], outs: [results/c.txt]}}\n  d: {{cmd: 'echo d > d.txt', outs: [d.txt]}}\n"
    )
}

fn ran() -> Space {
    let space = Space::new(&stages("cat"));
    assert_eq!(space.ran(&[]).len(), 4);
    space
}

/// The object with these bytes.
fn object(space: &Space, bytes: &str) -> std::path::PathBuf {
    let mut all = objects(space).into_values();
    let found = all.find(|path| fs::read(path).unwrap() == bytes.as_bytes());
    found.expect("an object")
}

#[test]
fn an_out_that_is_gone_and_whose_object_is_lost_or_damaged_is_made_again_at_once() {
    for (what, lost) in [("lost", true), ("damaged", false)] {
        let space = ran();
        // Both outs are `right`, and so one object.
        let object = object(&space, "right\n");
        match lost {
            true => fs::remove_file(object).unwrap(),
            false => overwrite(&object, b"wrong!\n"),
        }
        fs::remove_file(space.path("a.txt")).unwrap();
        fs::remove_file(space.path("d.txt")).unwrap();
        space.reproduce(&[]).exits(0);
        for (file, text) in [("a.txt", "right\n"), ("b.txt", "right\n"), ("d.txt", "d\n")] {
            assert_eq!(space.read(file), text, "{what}");
        }
        space.restage(&["fsck"]).exits(0);
    }
}

#[test]
fn an_input_that_the_store_has_lost_is_stored_again_from_the_intact_out() {
    let space = ran();
    fs::remove_file(object(&space, "right\n")).unwrap();
    space.stages(&stages("cat -u"));
    let said = space.reproduce(&["--json"]).exits(0);
    assert!(
        said.out.contains("stored again from the workspace"),
        "{said:?}"
    );
    assert!(!said.with_outcome("ran").contains(&"a".to_owned()));
    let said = space.reproduce(&["--json"]).exits(0);
    assert_eq!(said.with_outcome("fresh").len(), 4);
    space.restage(&["fsck"]).exits(0);
}

#[test]
fn an_input_that_is_nowhere_intact_is_made_again_by_its_stage_in_the_same_run() {
    // The out in place is edited without a trace in its times, or is gone.
    for gone in [false, true] {
        let space = ran();
        fs::remove_file(object(&space, "right\n")).unwrap();
        match gone {
            true => fs::remove_file(space.path("a.txt")).unwrap(),
            false => space.write("a.txt", "wrong\n"),
        }
        space.stages(&stages("cat -u"));
        let said = space.reproduce(&["--json"]).exits(0);
        assert!(
            said.with_outcome("ran").contains(&"a".to_owned()),
            "{said:?}"
        );
        for file in ["a.txt", "b.txt", "results/c.txt"] {
            assert_eq!(space.read(file), "right\n", "{file}");
        }
        space.reproduce(&[]).exits(0);
        space.restage(&["fsck"]).exits(0);
    }
}

#[test]
fn a_damaged_input_whose_out_looks_intact_is_found_when_it_is_given_to_a_stage() {
    let space = ran();
    let object = object(&space, "right\n");
    overwrite(&object, b"wrong\n");
    // Its times are as they were; its change time is not, which a copy of an unknown one shows.
    fs::remove_file(space.path(".restage/stat-cache")).unwrap();
    space.stages(&stages("cat -u"));
    space.reproduce(&[]).exits(0);
    assert_eq!(space.read("b.txt"), "right\n");
    assert_eq!(space.read("a.txt"), "right\n");
    space.restage(&["fsck"]).exits(0);
}

#[test]
fn a_record_with_other_outs_than_are_declared_is_a_miss() {
    let space = ran();
    let record = |stage: &str| {
        let records = crate::damages::records(&space).into_values();
        let of = |path: &std::path::PathBuf| {
            let text = fs::read_to_string(path).unwrap();
            text.contains(&format!("\"stage\":\"default/{stage}\""))
        };
        records.into_iter().find(of).expect("a record")
    };
    let path = record("d");
    let text = fs::read_to_string(&path).unwrap();
    let (json, _) = text.split_once('\n').unwrap();
    // The same in the key, as it stands in the record.
    let forged = json.replace("\"d.txt\"", "\"pipeline.yaml\"");
    assert_ne!(forged, json);
    let digest = blake3::hash(forged.as_bytes()).to_hex();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    fs::write(&path, format!("{forged}\n{digest}\n")).unwrap();
    let pipeline = space.read("pipeline.yaml");
    fs::remove_file(space.path("d.txt")).unwrap();
    let said = space.reproduce(&["--json"]).exits(0);
    assert_eq!(said.with_outcome("ran"), ["d"]);
    assert_eq!(space.read("pipeline.yaml"), pipeline);
    assert_eq!(space.read("d.txt"), "d\n");
}

#[test]
fn a_private_out_stays_private_when_it_is_restored() {
    for place in ["copy", "link"] {
        let space = Space::new(&format!(
            "  a: {{cmd: 'echo secret > key.pem; chmod 600 key.pem', outs: [{{path: key.pem, place: {place}}}]}}\n"
        ));
        space.reproduce(&[]).exits(0);
        let private = || {
            let found = fs::metadata(space.path("key.pem")).unwrap();
            found.permissions().mode() & 0o077 == 0
        };
        assert!(private(), "{place}");
        fs::remove_file(space.path("key.pem")).unwrap();
        space.reproduce(&[]).exits(0);
        assert!(private(), "{place}, restored");
        for object in objects(&space).values() {
            assert_eq!(
                fs::metadata(object).unwrap().permissions().mode() & 0o077,
                0
            );
        }
    }
}

#[test]
fn an_out_that_cannot_be_put_back_costs_its_stage_and_its_readers_only() {
    let space = Space::new(
        "  a: {cmd: 'echo a > in/a.txt', outs: [in/a.txt]}\n  b: {cmd: 'cat in/a.txt > b.txt', deps: [in/a.txt], outs: [b.txt]}\n  c: {cmd: 'echo c > c.txt', outs: [c.txt]}\n",
    );
    assert_eq!(space.ran(&[]).len(), 3);
    fs::remove_file(space.path("c.txt")).unwrap();
    fs::remove_dir_all(space.path("in")).unwrap();
    // Nobody can make a file there.
    std::os::unix::fs::symlink("/proc", space.path("in")).unwrap();
    let said = space.reproduce(&["-k"]);
    if !rustix::process::geteuid().is_root() {
        // Nor may an ordinary user write there, which is seen before anything runs.
        let _ = said.exits(2).says("can't be written to");
        return;
    }
    let said = said.exits(4);
    assert!(said.out.contains("could not be restored"), "{said:?}");
    assert_eq!(space.read("c.txt"), "c\n");
    fs::remove_file(space.path("in")).unwrap();
    space.reproduce(&[]).exits(0);
    assert_eq!(space.read("in/a.txt"), "a\n");
}
