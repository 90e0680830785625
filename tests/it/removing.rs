//! What a stage or a user made hard to remove costs a warning at most, and never another run.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::space::{Said, Space};

#[test]
fn folders_that_a_stage_shut_cost_no_result() {
    let space = Space::new(
        "  a: {cmd: 'mkdir -m 0 tmp; echo 1 > o; chmod a-w . $(ls -d .restage .restage/* 2>/dev/null)', outs: [o]}
  b: {cmd: 'mkdir -m 0 tmp; exit 7', outs: [ob]}
  z: {cmd: 'echo 1 > z', outs: [z]}
",
    );
    space.restage(&["reproduce", "a"]).exits(0).says("1 ran");
    space
        .restage(&["reproduce", "b"])
        .exits(1)
        .says("exited with 7");
    space.restage(&["reproduce", "z"]).exits(0);
    space.restage(&["gc"]).exits(0);
    assert!(!space.exists(".restage/work/a-1"));
}

#[test]
fn folders_nested_deeper_than_a_path_can_be_cost_no_result() {
    let long = "n".repeat(200);
    let nest = format!("for i in $(seq 25); do mkdir {long}; cd {long}; done");
    let space = Space::new(&format!("  a: {{cmd: 'echo 1 > o; {nest}', outs: [o]}}\n"));
    let said = space.restage(&["reproduce"]).exits(0).says("1 ran");
    let _ = said.says(&format!("does not declare, which are not kept: {long}/.."));
    assert!(!space.exists(".restage/work/a-1"));
    let said = space.restage(&["gc"]).exits(0);
    assert!(said.out.starts_with("nothing to remove"), "{}", said.out);
}

#[test]
fn an_out_that_was_made_read_only_is_replaced() {
    let space =
        Space::new("  a: {cmd: 'mkdir -p d/s; cp in.txt d/s/f', deps: [in.txt], outs: [d]}\n");
    space.write("in.txt", "1");
    space.restage(&["reproduce"]).exits(0);
    for folder in ["d/s", "d"] {
        let shut = std::fs::Permissions::from_mode(0o555);
        std::fs::set_permissions(space.path(folder), shut).expect("our own folder");
    }
    space.write("in.txt", "2");
    space.restage(&["reproduce"]).exits(0);
    assert_eq!(space.read("d/s/f"), "2");
}

#[test]
fn an_out_in_a_folder_that_was_made_read_only_is_refused_before_anything_runs() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let space = Space::new("  a: {cmd: 'echo > deep/in/o', outs: [deep/in/o]}\n");
    std::fs::create_dir(space.path("deep")).expect("a folder");
    let shut = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions(space.path("deep"), shut).expect("our own folder");
    let said = space.restage(&["reproduce"]).exits(2);
    let _ = said.says("writes `deep/in/o`, and the folder `deep` can't be written to");
}

/// Runs a script as root in a mount namespace of its own, in the space's folder; `None` where nothing
/// can be mounted.
fn mounted(space: &Space, script: &str) -> Option<Said> {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script]);
    command
        .current_dir(space.root())
        .env("RESTAGE", env!("CARGO_BIN_EXE_restage"));
    let said = command.output().ok().map(Said::from)?;
    if !said.out.contains("mounted") {
        eprintln!("skipped: nothing can be mounted here: {}", said.err);
        return None;
    }
    Some(said)
}

#[test]
fn a_full_disk_can_be_freed() {
    let space = Space::new("  a: {cmd: 'head -c 500000 /dev/urandom > big', outs: [big]}\n");
    let script = "mkdir disk; mount -t tmpfs -o size=8m none disk; cp pipeline.yaml disk; cd disk; echo mounted
        for i in 1 2 3 4; do $RESTAGE reproduce --force; done
        dd if=/dev/zero of=fill bs=4k 2> /dev/null || true; $RESTAGE gc --keep-runs 1";
    if let Some(said) = mounted(&space, script) {
        let said = said.exits(0);
        assert!(said.out.contains("freed"), "{}", said.out);
    }
}

#[test]
fn what_cannot_be_removed_costs_a_warning_and_no_run() {
    let space = Space::new("  z: {cmd: 'echo 1 > z', outs: [z]}\n");
    space.restage(&["reproduce"]).exits(0);
    space.write(".restage/tmp/.x.restage-1-2/in/file", "");
    let at = ".restage/tmp/.x.restage-1-2/in";
    let script = format!(
        "mount --bind . {at}; echo mounted; rm z
        $RESTAGE reproduce; $RESTAGE gc; umount {at}; $RESTAGE gc"
    );
    let Some(said) = mounted(&space, &script) else {
        return;
    };
    let said = said.exits(0).says("1 restored");
    assert_eq!(
        said.err.matches("unmount it first; it stays there").count(),
        2,
        "{}",
        said.err
    );
    assert!(space.exists("z") && !space.exists(".restage/tmp/.x.restage-1-2"));
}
