//! What a stage that failed lacked of its surroundings: its shell, a reader of its pipe, a variable.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::attempt::Attempt;
use super::said::{self, Said, under};
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_exec::Outcome;
use restage_pipeline::{Action, Script, Shell, Stage, shell};
use restage_worker::HostEnv;
use restage_worker::params_text;

/// What a shell says by its status if it did not find a program.
const NOT_FOUND: i32 = 127;
/// What a shell says by its status if it found a program and could not run it.
const NOT_RUN: i32 = 126;
/// What a shell says by its status if a program was ended by SIGPIPE.
pub const BROKEN_PIPE: i32 = 128 + 13;
/// A longer file is no script.
const LONGEST_SCRIPT: u64 = 1 << 20;
/// What to do about it.
pub const HAD_MORE_TO_SAY: &str = "a program in a pipe had more to say than its reader, such as `head`, wanted, \
     which `pipefail` counts as a failure: if that is right, write `(PROGRAM || [ $? = 141 ]) | head`";

/// What to write about it.
pub(super) fn hint(
    host: &HostEnv,
    stage: &Stage,
    attempt: &Attempt,
    outcome: &Outcome,
    said: &Said,
) -> Option<String> {
    match outcome {
        Outcome::NotStarted(why) if why.contains("Argument list too long") => Some(
            "a command and its variables can have 128 KiB each: put long texts into a file among `deps`, \
             or into `params`, which `RESTAGE_PARAMS_FILE` has at any length"
                .to_owned(),
        ),
        Outcome::Exited(NOT_FOUND) if stage.notebook.is_some() => Some(
            "papermill runs notebooks: `pip install papermill ipykernel` where its environment is, and call restage \
             from there"
                .to_owned(),
        ),
        Outcome::NotStarted(_) => no_bash(stage, attempt),
        Outcome::Exited(NOT_FOUND | NOT_RUN) => {
            no_bash(stage, attempt).or_else(|| script(stage, &attempt.dir, said))
        }
        Outcome::Exited(BROKEN_PIPE) => broken_pipe(stage),
        _ => None,
    }
    .or_else(|| variable(host, stage, &attempt.job.env, said))
    .or_else(|| silent(stage, outcome, said))
}

/// A line of several failed, and nothing was printed: people who are used to a shell that goes on
/// would look for long.
fn silent(stage: &Stage, outcome: &Outcome, said: &Said) -> Option<String> {
    let Action::Command(script) = &stage.action else {
        return None;
    };
    let stops = matches!(script.shell, Shell::Bash | Shell::Sh);
    let several = script.texts.iter().any(|text| text.contains(['\n', ';']));
    let failed = matches!(outcome, Outcome::Exited(_));
    (stops && several && failed && said.is_empty()).then(|| {
        "the first line that fails ends a command: where a failure is no mistake, write `LINE || true`"
            .to_owned()
    })
}

fn no_bash(stage: &Stage, attempt: &Attempt) -> Option<String> {
    let Action::Command(Script {
        shell: Shell::Bash, ..
    }) = &stage.action
    else {
        return None;
    };
    let path = attempt.job.env.get(OsStr::new("PATH"));
    let path = path.map(OsString::as_os_str).unwrap_or_default();
    let has_bash = |folder: &[u8]| {
        let folder = attempt.dir.join(OsStr::from_bytes(folder));
        fs::exists(&folder.join("bash")).unwrap_or(true)
    };
    let found = path.as_bytes().split(|byte| *byte == b':').any(has_bash);
    (!found).then(|| {
        "there is no `bash` in PATH: install it, or write `shell: sh` at the top of pipeline.yaml or in the \
         stage; `sh` does not notice a program that fails inside a pipe"
            .to_owned()
    })
}

/// A script that can't be run as a program: by its mode, or by its first line.
fn script(stage: &Stage, dir: &Path, said: &Said) -> Option<String> {
    let texts = match &stage.action {
        Action::Command(script) => script.texts.as_slice(),
        Action::Program { .. } | Action::Fetch(_) => &[],
    };
    let windows = |name: &str| {
        let (_, reader) = called(dir, name)?;
        let name = shell::quote(name, shell::Place::Bare)?;
        reader.ends_with('\r').then(|| {
            format!(
                "the first line of `{name}` has a Windows line end, which counts as part of the program's \
                 name: `sed -i 's/\\r$//' {name}`"
            )
        })
    };
    let blamed = |line: &str| {
        let refused = line.to_lowercase().contains("permission denied");
        said::names_in(line).find_map(|name| {
            let (there, reader) = called(dir, name)?;
            let name = shell::quote(name, shell::Place::Bare)?;
            let reader = reader.split_whitespace().next().unwrap_or_default();
            let is_there = reader.is_empty() || fs::exists(Path::new(reader)).unwrap_or(true);
            match (refused, is_there) {
                (true, _) => (there.permissions().mode() & 0o111 == 0).then(|| {
                    format!(
                        "`{name}` is not executable: write `sh {name}`, or run `chmod +x {name}`"
                    )
                }),
                (false, false) => Some(format!(
                    "the first line of `{name}` names `{reader}`, which is not there"
                )),
                (false, true) => None,
            }
        })
    };
    // `env` blames the program that it looks for, and not the script.
    let mut written = texts.iter().flat_map(|text| said::names_in(text));
    written
        .find_map(windows)
        .or_else(|| said.lines().find_map(blamed))
}

/// A file of the work folder, and what its first line says after `#!`.
fn called(dir: &Path, name: &str) -> Option<(Metadata, String)> {
    let path = RelPath::new(name).ok()?.under(dir);
    let there = fs::metadata_if_exists(&path).ok().flatten()?;
    if !there.is_file() || there.len() > LONGEST_SCRIPT {
        return None;
    }
    let text = fs::read(&path).ok()?;
    let first = text.split(|byte| *byte == b'\n').next()?;
    let reader = first.strip_prefix(b"#!").unwrap_or_default();
    Some((there, String::from_utf8_lossy(reader).into_owned()))
}

/// A program wrote more than its reader wanted.
fn broken_pipe(stage: &Stage) -> Option<String> {
    let in_pipe = match &stage.action {
        Action::Command(script) => script.texts.iter().any(|text| text.contains('|')),
        Action::Program { .. } | Action::Fetch(_) => false,
    };
    in_pipe.then(|| HAD_MORE_TO_SAY.to_owned())
}

/// A variable that the caller has and the stage was not given.
fn variable(
    host: &HostEnv,
    stage: &Stage,
    given: &BTreeMap<OsString, OsString>,
    said: &Said,
) -> Option<String> {
    let lacks = |name: &str| host.get(name).is_some() && !given.contains_key(OsStr::new(name));
    said.lines().find_map(|line| {
        if line.contains("cannot open shared object file") && lacks("LD_LIBRARY_PATH") {
            let line = under(stage, "write `pass_env: [LD_LIBRARY_PATH]`, or `env: [..]` if results depend on it");
            return Some(format!(
                "stages are not given the caller's `LD_LIBRARY_PATH` unasked, since it decides which code runs\n  {line}"
            ));
        }
        let missing = ["KeyError", "unbound variable", "parameter not set", "is not set"];
        if !missing.iter().any(|words| line.contains(words)) {
            return None;
        }
        let too_long = || !params_text::fits_variable(&params_text::text(&stage.params));
        said::names_in(line).find_map(|name| match name {
            "RESTAGE_PARAMS" if too_long() => Some(
                "its parameters are longer than a variable can be: read them from the file that \
                 `RESTAGE_PARAMS_FILE` names"
                    .to_owned(),
            ),
            name if lacks(name) => Some(format!(
                "the variable `{name}` is set where restage was called, but not for this stage\n  {}",
                under(stage, &format!(
                    "write `env: [{name}]`; `pass_env` if no result depends on it, `secret` if nobody may see it"
                ))
            )),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::stage_environment;

    fn told(said: &str, stage: &Stage) -> Option<String> {
        let pairs = [
            ("LD_LIBRARY_PATH", "/lib"),
            ("WANDB_MODE", "offline"),
            ("HOME", "/home"),
        ];
        let host = HostEnv::new(pairs.map(|(name, value)| (name.into(), value.into())));
        variable(
            &host,
            stage,
            &stage_environment(&host, stage),
            &Said::of(said),
        )
    }

    #[test]
    fn a_variable_that_only_the_caller_has_is_named_with_the_line_to_write() {
        let mut stage = Stage::default();
        for said in [
            "KeyError: 'WANDB_MODE'",
            "bash: line 1: WANDB_MODE: unbound variable",
            "sh: 1: WANDB_MODE: parameter not set",
        ] {
            let hint = told(said, &stage).expect(said);
            assert!(hint.contains("write `env: [WANDB_MODE]`"), "{hint}");
        }
        let said = "python3: error while loading shared libraries: libx.so: cannot open shared object \
                    file: No such file or directory";
        let hint = told(said, &stage).expect(said);
        assert!(hint.contains("`pass_env: [LD_LIBRARY_PATH]`"), "{hint}");
        assert_eq!(told("KeyError: 'OTHER'", &stage), None);
        assert_eq!(told("KeyError: 'HOME'", &stage), None, "it has it");
        assert_eq!(told("WANDB_MODE is offline", &stage), None);
        stage.pass_env.insert("WANDB_MODE".to_owned());
        assert_eq!(told("KeyError: 'WANDB_MODE'", &stage), None);
    }

    #[test]
    fn parameters_that_are_too_long_for_their_variable_are_said_to_be_in_a_file() {
        let mut stage = Stage::default();
        let said = "KeyError: 'RESTAGE_PARAMS'";
        assert_eq!(told(said, &stage), None);
        stage
            .params
            .insert("x".to_owned(), "y".repeat(200_000).into());
        let hint = told(said, &stage).expect(said);
        assert!(hint.contains("`RESTAGE_PARAMS_FILE`"), "{hint}");
    }
}
