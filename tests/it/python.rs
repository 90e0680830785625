//! A Python with the packages that a check needs: `RESTAGE_PYTHON`, otherwise `python3`.
//! Nothing is ever installed: without one, the test says so and is skipped.

use std::process::Command;

/// The interpreter, if it has these modules. A test that gets none must return.
pub(crate) fn python_with(modules: &str) -> Option<String> {
    let asked = std::env::var("RESTAGE_PYTHON").ok();
    let python = asked.clone().unwrap_or_else(|| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output();
    match found {
        Ok(output) if output.status.success() => return Some(python),
        found => assert!(
            asked.is_none(),
            "RESTAGE_PYTHON can't import {modules}: {found:?}"
        ),
    }
    eprintln!("skipped: {python} can't import {modules}");
    None
}

/// A script of this repository with arguments, ready to run.
pub(crate) fn script(python: &str, name: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("scripts")
            .join(name),
    );
    command
}
