//! Whose it is that stands in the way: the user's, a run's, or somebody's whom a link leads to
//! (docs/adr/0021).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::space::{Space, wait_until};
use crate::staying::{one_out, pair, set_aside, ways};

#[test]
fn what_an_old_run_wrote_elsewhere_is_the_users_where_no_run_wrote() {
    for choice in ["--set-aside", "--replace"] {
        let space = Space::new("  a: {cmd: cat in.txt > a, deps: [in.txt], outs: [a]}\n");
        space.write("in.txt", "1\n");
        let _ = space.restage(&["reproduce"]).exits(0);
        // The store has these bytes, but for how long?
        space.write("best", "1\n");
        space.stages(
            "  a: {cmd: cat in.txt > a, deps: [in.txt], outs: [a]}\n  b: {cmd: echo 2 > best, outs: [best]}\n",
        );
        let said = space.restage(&["reproduce"]).exits(2);
        let _ = said.says("no run wrote what stands at `best`");
        let _ = space.restage(&["reproduce", choice]).exits(0);
        let moved = [pair("best", "1\n")];
        let expected = if choice == "--set-aside" {
            &moved[..]
        } else {
            &[]
        };
        assert_eq!(set_aside(&space), expected);
    }
}

#[test]
fn a_file_where_a_folder_for_an_out_has_to_be_is_refused_before_anything_runs() {
    let space = Space::new("  s: {cmd: 'mkdir -p r/s; echo 1 > r/s/x', outs: [r/s/x]}\n");
    space.write("r", "mine\n");
    for way in [&["reproduce"][..], &["reproduce", "--replace"]] {
        let said = space.restage(way).exits(2);
        let said = said.says("stage `s` writes `r/s/x`, but `r` is not a folder");
        let _ = said.says("hint: nothing ran and nothing was changed");
    }
    assert_eq!(space.read("r"), "mine\n");
    fs::remove_file(space.path("r")).expect("a file");
    symlink("/nowhere", space.path("r")).expect("a link");
    let _ = space.restage(&["reproduce"]).exits(2);
    fs::remove_file(space.path("r")).expect("a link");
    // A link to a folder is one.
    let disk = tempfile::tempdir().expect("a folder");
    symlink(disk.path(), space.path("r")).expect("a link");
    assert_eq!(space.ran(&[]), ["s"]);
}

#[test]
fn a_link_that_the_stage_made_is_not_the_users_and_another_one_is() {
    let space = Space::new("  s: {cmd: 'mkdir d; echo 1 > d/v1; ln -s v1 d/last', outs: [d]}\n");
    let _ = space.restage(&["reproduce"]).exits(0);
    fs::remove_file(space.path("d/v1")).expect("a file");
    let said = space.restage(&["reproduce"]).exits(0);
    assert!(!said.err.contains("restage-set-aside"), "{}", said.err);
    fs::remove_file(space.path("d/last")).expect("a link");
    symlink("v2", space.path("d/last")).expect("a link");
    let said = space.restage(&["reproduce"]).exits(0);
    let _ = said
        .says("was moved to `restage-set-aside/")
        .says("`d/last`");
}

#[test]
fn a_folder_that_a_link_leads_to_is_left_alone_where_no_run_filled_it() {
    let space = one_out(true, "copy");
    let _ = space.restage(&["reproduce"]).exits(0);
    fs::remove_dir_all(space.path("out")).expect("a folder");
    let disk = tempfile::tempdir().expect("a folder");
    let others = disk.path().join("others");
    fs::create_dir(&others).expect("a folder");
    fs::write(others.join("file"), "not ours\n").expect("a file");
    symlink(disk.path(), space.path("out")).expect("a link");
    let said = space.restage(&["reproduce"]).exits(2);
    let _ = said
        .says("no run wrote what stands at `out`")
        .says("`out/others/file`");
    assert!(others.join("file").exists());
    // The result was moved to where the link leads.
    fs::write(disk.path().join("made"), "made\n").expect("a file");
    let _ = space.restage(&["reproduce"]).exits(0);
    assert_eq!(set_aside(&space), [pair("out/others/file", "not ours\n")]);
}

#[test]
fn a_link_to_a_folder_where_a_file_goes_is_moved_and_the_folder_is_not() {
    let space = one_out(false, "copy");
    let _ = space.restage(&["reproduce"]).exits(0);
    let disk = tempfile::tempdir().expect("a folder");
    fs::write(disk.path().join("file"), "not ours\n").expect("a file");
    fs::remove_file(space.path("out")).expect("a file");
    symlink(disk.path(), space.path("out")).expect("a link");
    let _ = space.restage(&["reproduce"]).exits(2);
    let _ = space.restage(&["reproduce", "--set-aside"]).exits(0);
    assert_eq!(space.read("out"), "made\n");
    assert!(disk.path().join("file").exists());
}

#[test]
fn an_adopted_result_that_only_the_workspace_has_is_set_aside() {
    for (space, file) in ways() {
        space.write(file, "three days\n");
        let _ = space.restage(&["adopt", "s"]).exits(0);
        fs::remove_dir_all(space.path(".restage")).expect("a store");
        let said = space.restage(&["reproduce"]).exits(0);
        let _ = said.says("what neither the store nor git has was moved");
        assert_eq!(space.read(file), "made\n");
        assert_eq!(set_aside(&space), [pair(file, "three days\n")]);
    }
}

#[test]
fn gc_keeps_what_was_adopted_until_its_stage_is_named() {
    for again in [false, true] {
        let space = one_out(false, "copy");
        space.write("out", "three days\n");
        let _ = space.restage(&["adopt", "s"]).exits(0);
        if again {
            // Now the record is of a run, and what was adopted is a variant.
            let _ = space.restage(&["reproduce", "-f"]).exits(0);
        }
        for text in ["1\n", "2\n", "3\n", "4\n"] {
            space.write("in.txt", text);
            let _ = space.restage(&["reproduce"]).exits(0);
        }
        let kept = |space: &Space| {
            let files = walk(&space.path(".restage/objects"));
            let mut texts = files.iter().map(|file| fs::read(file).expect("a file"));
            texts.any(|text| text == b"three days\n")
        };
        let said = space.restage(&["gc"]).exits(0);
        let _ = said.says("kept what `default/s` adopted, which no run can make again");
        assert!(kept(&space), "again: {again}");
        let _ = space
            .restage(&["gc", "--drop-adopted", "default/s"])
            .exits(0);
        assert!(!kept(&space), "again: {again}");
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let inside = paths.map(|path| match path.is_dir() {
        true => walk(&path),
        false => vec![path],
    });
    inside.flatten().collect()
}

#[test]
fn what_is_saved_while_an_out_is_copied_is_set_aside() {
    let space = Space::new("  s: {cmd: head -c 50000000 /dev/zero > out, outs: [out]}\n");
    let _ = space.restage(&["reproduce"]).exits(0);
    fs::remove_file(space.path("out")).expect("a file");
    space.write("out", "edited\n");
    space.write("new", "saved later\n");
    let child = space.spawn(&[]);
    // It is copied next.
    wait_until("the edit is set aside", || !set_aside(&space).is_empty());
    fs::rename(space.path("new"), space.path("out")).expect("a file");
    assert!(child.wait_with_output().expect("an end").status.success());
    let all = set_aside(&space);
    let later = pair("out", "saved later\n");
    // Where copying is too fast, it replaced the result.
    assert!(
        all.contains(&later) || space.read("out") == later.1,
        "{all:?}"
    );
}

#[test]
fn commands_say_what_becomes_of_an_edit_and_that_no_run_made_what_was_adopted() {
    let space = one_out(false, "copy");
    space.write("out", "mine\n");
    let _ = space.restage(&["adopt", "s"]).exits(0);
    let said = space.restage(&["verify", "s"]).exits(3);
    let said = said.says("differs from what was adopted");
    let said = said.says("no run made it: adopted by");
    assert!(
        !said.err.contains("nothing we track changed"),
        "{}",
        said.err
    );
    space.write("out", "edited\n");
    let said = space.restage(&["trace", "out"]);
    let _ = said.says("the edit moves to `restage-set-aside/`");
}
