//! A stage's commands as one: DVC runs each in a separate shell, in the stage's folder, and stops
//! at the first that fails.

use super::paths;
use restage_pipeline::shell::{self, Place};

/// Longer commands get one line each.
const ONE_LINE: usize = 66;

/// The parts of a command.
pub(super) struct Parts<'a> {
    /// Where it runs, from the pipeline's folder; `""` is that folder.
    pub(super) folder: &'a str,
    /// Whether no declared path creates the folder.
    pub(super) make_folder: bool,
    /// Params files that are written for it, from the pipeline's folder.
    pub(super) params_files: &'a [String],
    /// Assignments for all commands.
    pub(super) variables: &'a [String],
    pub(super) commands: Vec<String>,
    /// An out that only shows that it ran.
    pub(super) stamp: Option<&'a str>,
}

pub(super) fn join(parts: &Parts<'_>) -> String {
    let here = |path: &str| word(&paths::from_folder(path, parts.folder));
    let mut before = Vec::new();
    if !parts.variables.is_empty() {
        before.push(format!("export {}", parts.variables.join(" ")));
    }
    if !parts.folder.is_empty() {
        let folder = word(parts.folder);
        if parts.make_folder {
            before.push(format!("mkdir -p {folder}"));
        }
        before.push(format!("cd {folder}"));
    }
    for file in parts.params_files {
        let path = paths::from_folder(file, parts.folder);
        if let Some((folder, _)) = path.rsplit_once('/') {
            before.push(format!("mkdir -p {}", word(folder)));
        }
        before.push(format!("cat \"$RESTAGE_PARAMS_FILE\" > {}", word(&path)));
    }
    let mut after: Vec<String> = Vec::new();
    if !parts.params_files.is_empty() {
        let files: Vec<String> = parts.params_files.iter().map(|file| here(file)).collect();
        after.push(format!("rm {}", files.join(" ")));
    }
    after.extend(parts.stamp.map(|stamp| format!("touch {}", here(stamp))));
    let alone = before.is_empty() && after.is_empty() && parts.commands.len() == 1;
    let middle = parts.commands.iter().map(|command| match alone {
        true => command.clone(),
        false => apart(command),
    });
    let all: Vec<String> = before.into_iter().chain(middle).chain(after).collect();
    let line = all.join(" && ");
    match line.chars().count() <= ONE_LINE && !line.contains('\n') {
        true => line,
        false => all.join(" &&\n"),
    }
}

/// A path as one word; the values of references are quoted when they are filled in.
fn word(path: &str) -> String {
    if path.contains("${") {
        return format!("\"{path}\"");
    }
    shell::quote(path, Place::Bare).unwrap_or_else(|| path.to_owned())
}

/// A command that can stand between others: in a subshell if that makes a difference.
fn apart(command: &str) -> String {
    const CHANGES_THE_SHELL: [&str; 9] = [
        "cd", "pushd", "export", "set", "exit", "exec", "source", ".", "ulimit",
    ];
    let changes = command
        .split_whitespace()
        .any(|part| CHANGES_THE_SHELL.contains(&part));
    let assigns = command.split_whitespace().all(|part| part.contains('='));
    let rest = command
        .replace("&&", "")
        .replace(">&", "")
        .replace("&>", "");
    let joins = rest.contains([';', '&', '\n', '#']) || rest.contains("||");
    // Without a line break, a comment would hide what follows.
    if command.contains(['#', '\n']) || command.ends_with('\\') {
        format!("(\n{command}\n)")
    } else if changes || assigns || joins {
        format!("( {command} )")
    } else {
        command.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(folder: &str, files: &[&str], commands: &[&str]) -> String {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        join(&Parts {
            folder,
            make_folder: false,
            params_files: &files,
            variables: &[],
            commands: commands.iter().map(|c| (*c).to_owned()).collect(),
            stamp: None,
        })
    }

    #[test]
    fn one_command_stays_as_it_is() {
        assert_eq!(joined("", &[], &["a; b # c"]), "a; b # c");
    }

    #[test]
    fn commands_stop_at_the_first_that_fails_and_keep_to_themselves() {
        assert_eq!(joined("", &[], &["a", "b | c && d"]), "a && b | c && d");
        assert_eq!(joined("", &[], &["a || b", "c"]), "( a || b ) && c");
        assert_eq!(joined("", &[], &["cd x && a", "b"]), "( cd x && a ) && b");
        assert_eq!(joined("", &[], &["a # b", "c"]), "(\na # b\n) &&\nc");
        assert_eq!(joined("", &[], &["a 2>&1", "c"]), "a 2>&1 && c");
    }

    #[test]
    fn a_params_file_is_made_where_the_script_looks_for_it() {
        assert_eq!(
            joined("src", &["src/params.yaml"], &["python a.py"]),
            "cd src &&\ncat \"$RESTAGE_PARAMS_FILE\" > params.yaml &&\npython a.py &&\nrm params.yaml"
        );
    }
}
