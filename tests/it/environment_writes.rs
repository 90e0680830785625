//! Environments that somebody writes to.

use std::fs;

use crate::environments::{STAGES, environments, find, pipeline, venv};

#[test]
fn who_writes_to_an_environment_has_no_result_and_the_next_run_makes_it_anew() {
    let Some(space) = venv("alpha==1.0") else {
        return;
    };
    // As root in a container without namespaces, or with any writable file.
    let pack = |end: &str| {
        let stages = format!(
            "
  pack:
    cmd: chmod -R u+w $VIRTUAL_ENV; echo 'VERSION = 9' > $VIRTUAL_ENV/lib/python3*/site-packages/alpha.py; echo 1 > p; {end}
    outs: [p]
    isolation: none
  use: {{cmd: \"python -c 'import alpha; print(alpha.VERSION)' > out.txt\", outs: [out.txt], deps: [p]}}
  other: {{cmd: \"python -c 'import alpha; print(alpha.VERSION)' > o.txt\", outs: [o.txt]}}
"
        );
        pipeline(&space, "{venv: requirements.txt}", &stages);
    };
    pack("true");
    let said = space.restage(&["reproduce", "-j1", "-k", "pack"]).exits(1);
    let _ = said.says("environment that was written to meanwhile");
    assert!(!space.exists("p"));
    // A failure of its own does not hide it from those that follow.
    pack("false");
    let _ = space.restage(&["reproduce", "-j1", "-k"]).exits(1);
    let is_sound = |name: &str| !space.exists(name) || space.read(name) == "1.0\n";
    assert!(is_sound("o.txt"));
    // What a user installed by hand counts no more.
    pipeline(&space, "{venv: requirements.txt}", STAGES);
    assert_eq!(space.ran(&["use"]), ["use"]);
    assert_eq!(space.read("out.txt"), "1.0\n");
    let module = find(&environments(&space)[0], "alpha.py");
    fs::write(&module, "VERSION = 'mine'\n").expect("a file to edit");
    let said = space.restage(&["reproduce", "-f", "use"]).exits(0);
    let _ = said.says("alpha.py` is not as it was installed: it is made anew");
    assert_eq!(space.read("out.txt"), "1.0\n");
}
