//! What the user put into the workspace stays, or is set aside and named (docs/adr/0021).

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::space::{Said, Space};

/// One out, a file or a folder, placed in one of the two ways.
pub(crate) fn one_out(folder: bool, place: &str) -> Space {
    let cmd = match folder {
        true => "mkdir -p out; cat in.txt > out/made",
        false => "cat in.txt > out",
    };
    let space = Space::new(&format!(
        "  s: {{cmd: '{cmd}', deps: [in.txt], outs: [{{path: out, place: {place}}}]}}\n"
    ));
    space.write("in.txt", "made\n");
    space
}

/// The files that were set aside, relative to the folder of their run.
pub(crate) fn set_aside(space: &Space) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, bytes) in space.files() {
        let inside = path.strip_prefix("restage-set-aside/");
        let inside = inside.and_then(|path| path.split_once('/'));
        if let Some((_, name)) = inside {
            found.push((
                name.to_owned(),
                String::from_utf8_lossy(&bytes).into_owned(),
            ));
        }
    }
    found
}

pub(crate) fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

/// Every way to place an out, and where its file is.
pub(crate) fn ways() -> impl Iterator<Item = (Space, &'static str)> {
    let ways = [(false, "out"), (true, "out/made")];
    ways.into_iter().flat_map(|(folder, file)| {
        let places = ["copy", "link"].into_iter();
        places.map(move |place| (one_out(folder, place), file))
    })
}

/// Writes as a user does who may not write to a read-only file: by replacing it.
fn edit(space: &Space, name: &str, text: &str) {
    let _ = fs::remove_file(space.path(name));
    space.write(name, text);
}

#[test]
fn what_no_run_wrote_stops_a_run_before_it_starts() {
    for (space, file) in ways() {
        space.write(file, "mine\n");
        for args in [&["reproduce"][..], &["reproduce", "-n"]] {
            let said = space.restage(args).exits(2);
            let said = said.says("no run wrote what stands at `out`, where stage `s` writes");
            let said = said.says(&format!("`{file}`")).says("restage adopt s");
            let _ = said.says("--set-aside").says("--replace");
        }
        assert_eq!(space.read(file), "mine\n");
        assert!(!space.exists("pipeline.lock"));
    }
}

#[test]
fn it_is_moved_to_a_named_folder_where_that_is_asked_for() {
    for (space, file) in ways() {
        space.write(file, "mine\n");
        let said = space.restage(&["reproduce", "--set-aside"]).exits(0);
        let _ = said.says("restage-set-aside/").says(&format!("`{file}`"));
        assert_eq!(space.read(file), "made\n");
        assert_eq!(set_aside(&space), [pair(file, "mine\n")]);
        assert_eq!(space.ran(&[]), [""; 0], "nothing is asked again");
    }
}

#[test]
fn it_is_replaced_where_that_is_asked_for() {
    for (space, file) in ways() {
        space.write(file, "mine\n");
        let _ = space.restage(&["reproduce", "--replace"]).exits(0);
        assert_eq!(space.read(file), "made\n");
        assert_eq!(set_aside(&space), []);
    }
}

#[test]
fn what_stands_there_and_is_what_the_stage_writes_is_no_question() {
    for (space, file) in ways() {
        let _ = space.restage(&["reproduce"]).exits(0);
        // As a clone has it, with the results in git.
        fs::remove_dir_all(space.path(".restage")).expect("a store");
        edit(&space, file, "made\n");
        assert_eq!(space.ran(&[]), ["s"]);
        assert_eq!(set_aside(&space), []);
        // And an input was changed there before the first run.
        fs::remove_dir_all(space.path(".restage")).expect("a store");
        edit(&space, file, "made\n");
        space.write("in.txt", "made anew\n");
        assert_eq!(space.ran(&[]), ["s"]);
        assert_eq!(space.read(file), "made anew\n");
        // Nobody has committed it, whatever `pipeline.lock` says.
        assert_eq!(set_aside(&space), [pair(file, "made\n")]);
    }
}

#[test]
fn an_edited_out_is_set_aside_and_restored_in_the_same_run() {
    for (space, file) in ways() {
        let _ = space.restage(&["reproduce"]).exits(0);
        edit(&space, file, "edited\n");
        let said = space.restage(&["reproduce"]).exits(0);
        let _ = said.says("restage-set-aside/").says(&format!("`{file}`"));
        assert_eq!(space.read(file), "made\n");
        assert_eq!(set_aside(&space), [pair(file, "edited\n")]);
    }
}

#[test]
fn what_git_has_is_no_loss() {
    for (space, file) in ways() {
        let _ = space.restage(&["reproduce"]).exits(0);
        // A clone in which the results that were committed are others than what its lock names:
        // measured times, for which the lock has no digest.
        edit(&space, file, "measured elsewhere\n");
        space.write(".gitignore", ".restage\n");
        for args in [
            &["init", "-q"][..],
            &["add", "."],
            &["commit", "-qm", "results"],
        ] {
            space.git(args).exits(0);
        }
        fs::remove_dir_all(space.path(".restage")).expect("a store");
        let said = space.restage(&["reproduce"]).exits(0);
        assert!(!said.err.contains("restage-set-aside"), "{}", said.err);
        assert_eq!(
            (space.read(file), set_aside(&space)),
            ("made\n".to_owned(), vec![])
        );
        // What was edited since is in git as it was, not as it is.
        edit(&space, file, "edited\n");
        let said = space.restage(&["reproduce"]).exits(0);
        let _ = said.says("what neither the store nor git has was moved to `restage-set-aside/");
        assert_eq!(set_aside(&space), [pair(file, "edited\n")]);
    }
}

#[test]
fn an_edited_out_is_set_aside_when_its_stage_runs_again() {
    for (space, file) in ways() {
        let _ = space.restage(&["reproduce"]).exits(0);
        edit(&space, file, "edited\n");
        space.write("in.txt", "other\n");
        assert_eq!(space.ran(&[]), ["s"]);
        assert_eq!(space.read(file), "other\n");
        assert_eq!(set_aside(&space), [pair(file, "edited\n")]);
        // An older result is in the store, so nothing is kept of it.
        edit(&space, file, "made\n");
        let _ = space.restage(&["reproduce"]).exits(0);
        assert_eq!(space.read(file), "other\n");
        assert_eq!(set_aside(&space).len(), 1);
    }
}

#[test]
fn files_that_were_added_to_a_published_folder_are_set_aside_and_the_others_are_not() {
    let space = one_out(true, "copy");
    let _ = space.restage(&["reproduce"]).exits(0);
    space.write("out/notes/one.txt", "one\n");
    space.write("out/two", "two\n");
    symlink("/nowhere", space.path("out/link")).expect("a link");
    let said = space.restage(&["reproduce"]).exits(0);
    let _ = said.says("`out/notes/one.txt`").says("`out/two`");
    assert_eq!(
        fs::read_dir(space.path("out")).expect("a folder").count(),
        1
    );
    let folder = fs::read_dir(space.path("restage-set-aside")).expect("a folder");
    let folders: Vec<PathBuf> = folder
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let link = folders.iter().map(|folder| folder.join("out/link"));
    let mut links = link.filter(|link| fs::symlink_metadata(link).is_ok());
    let link = links.next().expect("the link");
    assert_eq!(fs::read_link(&link).expect("a link"), Path::new("/nowhere"));
    fs::remove_file(link).expect("a link");
    let all = [pair("out/notes/one.txt", "one\n"), pair("out/two", "two\n")];
    assert_eq!(set_aside(&space), all);
    // No pattern reads what was set aside, and git does not see it.
    assert_eq!(space.read("restage-set-aside/.gitignore"), "*\n");
}

#[test]
fn a_folder_that_a_link_leads_to_is_filled_with_copies_of_its_own() {
    for place in ["copy", "link"] {
        let space = one_out(true, place);
        let disk = tempfile::tempdir().expect("a folder");
        symlink(disk.path(), space.path("out")).expect("a link");
        assert_eq!(space.ran(&[]), ["s"]);
        let is_link = |space: &Space| {
            let found = fs::symlink_metadata(space.path("out"));
            found.expect("something").is_symlink()
        };
        assert!(is_link(&space));
        let found = fs::metadata(disk.path().join("made")).expect("the file");
        assert_eq!(
            (found.nlink(), found.permissions().mode() & 0o200),
            (1, 0o200)
        );
        assert_eq!(space.ran(&[]), [""; 0]);
        fs::write(disk.path().join("mine"), "mine\n").expect("a file");
        space.write("in.txt", "other\n");
        assert_eq!(space.ran(&[]), ["s"]);
        assert!(is_link(&space));
        assert_eq!(space.read("out/made"), "other\n");
        assert!(!space.exists("out/mine"));
        assert_eq!(set_aside(&space), [pair("out/mine", "mine\n")]);
    }
}

#[test]
fn what_a_link_that_the_stage_made_leads_to_stays_as_it_is() {
    for cmd in [
        "ln -s DISK out",
        "mkdir out; ln -s DISK/made out/made",
        "ln -s DISK/made out",
    ] {
        let disk = tempfile::tempdir().expect("a folder");
        let file = disk.path().join("made");
        fs::write(&file, "mine\n").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
        let cmd = cmd.replace("DISK", &disk.path().display().to_string());
        let space = Space::new(&format!(
            "  s: {{cmd: '{cmd}', outs: [{{path: out, place: link}}]}}\n"
        ));
        let _ = space.restage(&["reproduce"]);
        let found = fs::metadata(&file).expect("the file");
        assert_eq!((found.nlink(), found.mode() & 0o777), (1, 0o640), "{cmd}");
    }
}

#[test]
fn a_folder_that_cannot_be_filled_is_refused_before_the_stage_runs() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let space = one_out(true, "copy");
    let disk = tempfile::tempdir().expect("a folder");
    fs::set_permissions(disk.path(), fs::Permissions::from_mode(0o555)).expect("a mode");
    symlink(disk.path(), space.path("out")).expect("a link");
    let said = space.restage(&["reproduce"]).exits(2);
    let _ = said.says("writes `out`, and the folder `out` can't be written to");
}

/// Runs a script as root in a mount namespace of its own; `None` where that is not possible.
fn mounted(space: &Space, script: &str) -> Option<Said> {
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-ec", script])
        .current_dir(space.root());
    command.env("RESTAGE", env!("CARGO_BIN_EXE_restage"));
    let ended = command.output().ok().map(Said::from)?;
    if ended.code != Some(0) && !ended.out.contains("mounted") {
        eprintln!("skipped: nothing can be mounted here: {}", ended.err);
        return None;
    }
    Some(ended.exits(0))
}

#[test]
fn a_mount_point_is_filled() {
    let space = one_out(true, "link");
    fs::create_dir(space.path("out")).expect("a folder");
    let script = "mount -t tmpfs none out; echo mounted; $RESTAGE reproduce; cat out/made
        echo other > in.txt; $RESTAGE reproduce; cat out/made; umount out";
    if let Some(said) = mounted(&space, script) {
        assert!(said.out.ends_with("made\nother\n"), "{}", said.out);
    }
}

#[test]
fn a_mounted_file_is_refused_before_anything_runs_and_a_mounted_folder_above_it_is_not() {
    let space = Space::new(
        "  s: {cmd: 'touch $BEGUN; echo made > out/t.csv', outs: [out/t.csv], pass_env: [BEGUN]}\n",
    );
    space.write("out/t.csv", "");
    space.write("elsewhere/t.csv", "somebody's\n");
    let begun = tempfile::tempdir().expect("a folder");
    let script = format!(
        "export BEGUN={}; mount --bind elsewhere/t.csv out/t.csv; echo mounted
        for way in --set-aside --replace ''; do
            code=0; $RESTAGE reproduce $way || code=$?; echo $code; done
        umount out/t.csv; test ! -e $BEGUN; cat elsewhere/t.csv
        mount --bind elsewhere out; $RESTAGE reproduce --replace; cat elsewhere/t.csv
        umount out; mount --bind elsewhere/t.csv out/t.csv; code=0; $RESTAGE reproduce; echo $code",
        begun.path().join("begun").display()
    );
    if let Some(said) = mounted(&space, &script) {
        let said = said
            .says("error: stage `s` writes `out/t.csv`, which can't be replaced: something is mounted at `out/t.csv`")
            .says("hint: nothing ran; mount the folder that holds it instead");
        // What stands there and is the result is left alone.
        let expected = "mounted\n2\n2\n2\nsomebody's\nmade\n0\n";
        assert_eq!(said.out, expected, "{}", said.err);
    }
}

#[test]
fn a_folder_with_a_mount_in_it_is_refused_before_anything_runs_and_no_other_stage_minds() {
    let space = Space::new(
        "  s: {cmd: 'mkdir -p out/sub; cp in.txt out/sub/made', deps: [in.txt], outs: [out]}
  z: {cmd: echo > z, outs: [z]}\n",
    );
    space.write("in.txt", "1\n");
    space.restage(&["reproduce", "s"]).exits(0);
    space.write("in.txt", "2\n");
    let script = "mount -t tmpfs none out/sub; echo big > out/sub/big; echo mounted
        code=0; $RESTAGE reproduce --set-aside s || code=$?; echo $code; $RESTAGE reproduce z
        cat out/sub/big; umount out/sub; $RESTAGE reproduce s; cat out/sub/made";
    if let Some(said) = mounted(&space, script) {
        let said = said.says("can't be replaced: something is mounted at `out/sub`");
        assert_eq!(said.out, "mounted\n2\nbig\n2\n", "{}", said.err);
    }
}

#[test]
fn a_folder_of_an_image_is_replaced() {
    let space = one_out(true, "copy");
    let _ = space.restage(&["reproduce"]).exits(0);
    let layers = tempfile::tempdir().expect("a folder");
    let script = format!(
        "cd {}; mkdir up work on; mount -t overlay overlay -o lowerdir={},upperdir=up,workdir=work on
        echo mounted; cd on; echo other > in.txt; echo notes > out/notes; $RESTAGE reproduce
        cat out/made; cat restage-set-aside/*/out/notes; cd ..; umount on",
        layers.path().display(),
        space.root().display()
    );
    if let Some(said) = mounted(&space, &script) {
        assert!(said.out.ends_with("other\nnotes\n"), "{}", said.out);
    }
}

#[test]
fn results_that_are_there_can_be_adopted() {
    for (space, file) in ways() {
        space.write(file, "three days of training\n");
        let said = space.restage(&["adopt", "s"]).exits(0);
        assert_eq!(said.out, "s: adopted 1 out\n");
        let found = fs::metadata(space.path(file)).expect("the file");
        assert_eq!((found.nlink(), found.mode() & 0o200), (1, 0o200));
        assert_eq!(space.ran(&[]), [""; 0]);
        assert_eq!(space.read(file), "three days of training\n");
        let why = space.restage(&["why", "s"]).exits(0).out;
        assert!(why.contains("adopted by an unnamed user at"), "{why}");
        assert!(space.read("pipeline.lock").contains("\"s\":\n"));
        let said = space.restage(&["adopt", "s"]).exits(0);
        assert_eq!(said.out, "s has this result already\n");
        space.write("in.txt", "other\n");
        assert_eq!(space.ran(&[]), ["s"]);
        assert_eq!(set_aside(&space), [], "the store has what was adopted");
    }
}

#[test]
fn a_stage_cannot_adopt_what_is_not_all_there_or_has_no_key() {
    let space = Space::new(
        "  one: {cmd: 'echo a > a; echo b > b', outs: [a, b]}\n  two: {cmd: cp a c, deps: [a], outs: [c]}\n",
    );
    space.write("a", "a\n");
    space.write("c", "c\n");
    let said = space.restage(&["adopt", "one"]).exits(2);
    let _ = said.says("stage `one` can't adopt what is not there: `b`");
    let said = space.restage(&["adopt", "two"]).exits(2);
    let _ = said.says("stage `two` reads what stage `one` writes, which has no result yet");
    space.write("b", "mine\n");
    let said = space.restage(&["adopt", "two", "one"]).exits(0);
    assert_eq!(said.out, "one: adopted 2 outs\ntwo: adopted 1 out\n");
    assert_eq!(space.ran(&[]), [""; 0]);
    // A result that a run made, or somebody adopted, is not exchanged for another.
    edit(&space, "b", "other\n");
    let said = space.restage(&["adopt", "one"]).exits(2);
    let _ = said.says("has a result already, and b is not it");
}

const PARTS: &str = "
  part:
    foreach: NAMES
    cmd: mkdir -p all/${key}; echo ${key} > res/${key}.csv; echo ${key} > all/${key}/x
    outs: ['res/${key}.csv', 'all/${key}']
  sum:
    cmd: cat res/*.csv all/*/x > sum
    deps: ['res/*.csv', 'all/**']
    outs: [sum]
";

fn parts(names: &str) -> String {
    PARTS.replace("NAMES", names)
}

#[test]
fn outs_of_an_item_that_is_gone_are_no_sources_are_named_and_can_be_cleaned() {
    let space = Space::new(&parts("[a, b, c]"));
    let _ = space.restage(&["reproduce"]).exits(0);
    space.stages(&parts("[a, b]"));
    space.write("all/c/mine", "mine\n");
    assert_eq!(space.ran(&[]), ["sum"]);
    assert_eq!(space.read("sum"), "a\nb\na\nb\n");
    let said = space.restage(&["status"]).exits(0);
    let _ = said.says("no stage declares `all/c` of default/part@c and 1 other out any more");
    let before = space.files();
    let said = space.restage(&["clean", "-n"]).exits(0);
    let lines = "would remove `all/c` of default/part@c (1 file)\n\
                 would remove `res/c.csv` of default/part@c (1 file)\n";
    assert_eq!(said.out, lines);
    assert_eq!(space.files(), before);
    let said = space.restage(&["clean"]).exits(0);
    assert_eq!(said.out, lines.replace("would remove", "removed"));
    assert!(!space.exists("res/c.csv") && !space.exists("all/c/x"));
    assert_eq!(space.read("all/c/mine"), "mine\n");
    assert!(space.exists("res/a.csv") && space.exists("sum"));
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn a_file_that_the_user_wrote_where_an_out_was_is_a_source() {
    let space = Space::new(&parts("[a, c]"));
    let _ = space.restage(&["reproduce"]).exits(0);
    space.stages(&parts("[a]"));
    edit(&space, "res/c.csv", "mine\n");
    assert_eq!(space.ran(&[]), ["sum"]);
    assert_eq!(space.read("sum"), "a\nmine\na\n");
    let _ = space.restage(&["clean"]).exits(0);
    assert_eq!(space.read("res/c.csv"), "mine\n");
    // An edit alone is seen, too.
    edit(&space, "res/c.csv", "more\n");
    assert_eq!(space.ran(&[]), ["sum"]);
}

#[test]
fn cleaning_leaves_what_another_profile_declares() {
    let space = Space::empty();
    let pipeline = |profiles: &str| {
        format!(
            "schema: 1\nname: t\nprofiles: {profiles}\ndefault_profile: x\nstages:\n  \
             s: {{cmd: 'echo 1 > ${{profile}}.csv', outs: ['${{profile}}.csv']}}\n"
        )
    };
    space.write("pipeline.yaml", &pipeline("{x: {}, y: {}}"));
    for profile in ["x", "y"] {
        let _ = space.restage(&["reproduce", "-p", profile]).exits(0);
    }
    let _ = space.restage(&["clean"]).exits(0);
    assert!(space.exists("x.csv") && space.exists("y.csv"));
    space.write("pipeline.yaml", &pipeline("{x: {}}"));
    let _ = space.restage(&["clean"]).exits(0);
    assert!(space.exists("x.csv") && !space.exists("y.csv"));
}
