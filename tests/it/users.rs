//! What holds for whoever runs the tests holds for an ordinary user too, with a view and without: where
//! this is root, some tests run once more as somebody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::space::{RESTAGE, WITHOUT_VIEW};

/// Tests of what depends on who may read and write what.
const MODULES: [&str; 10] = [
    "inputs::",
    "links::",
    "patterns::",
    "parts::",
    "healing::",
    "keeping::",
    "removing::",
    "finding::",
    "meaning::",
    "data::",
];

#[test]
fn what_stages_read_and_write_is_the_same_for_an_ordinary_user_with_a_view_and_without() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root, so all tests are an ordinary user's");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let open = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("our own file");
    };
    open(dir.path());
    // Where they were built, others may not look.
    let copy = |name: &str, from: &std::path::Path| {
        let to = dir.path().join(name);
        fs::copy(from, &to).expect("a copy");
        open(&to);
        to
    };
    let tests = copy("tests", &std::env::current_exe().expect("our own path"));
    let restage = copy("restage", env!("CARGO_BIN_EXE_restage").as_ref());
    let start = |without_view: bool| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(&tests).args(MODULES).current_dir(dir.path());
        command.env("TMPDIR", dir.path()).env(RESTAGE, &restage);
        if without_view {
            // Those of inputs say themselves when there is a view.
            command.args(["--skip", "inputs::"]).env(WITHOUT_VIEW, "1");
        }
        let started = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        started.map(|child| (without_view, child))
    };
    let started: Result<Vec<_>, _> = [false, true].into_iter().map(start).collect();
    let started = match started {
        Ok(started) => started,
        Err(error) => {
            println!("skipped: no setpriv: {error}");
            return;
        }
    };
    for (without_view, child) in started {
        let output = child.wait_with_output().expect("it was started");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "without a view: {without_view}\n{said}"
        );
    }
}
