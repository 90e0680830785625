//! Stages that start an interpreter whose packages are in no key: they are warned of, once a run.

use super::event::{Event, Observer};
use super::plan::Plan;
use restage_pipeline::graph::Graph;
use restage_pipeline::{Action, DepPattern, Stage};

/// Interpreters, and a tool that lists the packages of each.
const INTERPRETERS: [(&str, &str); 6] = [
    ("python", "python -m pip freeze"),
    ("ipython", "python -m pip freeze"),
    ("jupyter", "python -m pip freeze"),
    ("papermill", "python -m pip freeze"),
    ("Rscript", "Rscript -e 'installed.packages()[,c(1,3)]'"),
    ("julia", "julia --project -e 'import Pkg; Pkg.status()'"),
];
/// Files that name packages: a stage that has one among its deps runs again when it changes.
const LOCK_FILES: [&str; 11] = [
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "Pipfile.lock",
    "pixi.lock",
    "conda-lock.yml",
    "environment.yml",
    "renv.lock",
    "Manifest.toml",
    "flake.lock",
];
/// What may stand before a command.
const BEFORE: [&str; 11] = [
    "exec", "time", "nice", "nohup", "command", "env", "then", "do", "else", "!", "{",
];

/// Warns of the first stage that runs with packages that are in no key.
pub(super) fn warn(graph: &Graph, plan: &Plan, observer: &mut dyn Observer) {
    let pending = plan.pending().map(|id| graph.stage(id));
    let found: Vec<(&Stage, &str, &str)> = pending
        .filter_map(|stage| unkeyed(stage).map(|(program, tool)| (stage, program, tool)))
        .collect();
    let Some((stage, program, tool)) = found.first() else {
        return;
    };
    let more = match found.len() - 1 {
        0 => String::new(),
        1 => ", nor are those of another stage".to_owned(),
        more => format!(", nor are those of {more} other stages"),
    };
    let made = match program {
        r if r.starts_with("Rscript") => "`environments: {r: {renv: renv.lock}}` and `in: r`, or ",
        julia if julia.starts_with("julia") => "",
        _ => "`environments: {py: {uv: pyproject.toml}}` and `in: py`, or ",
    };
    let text = format!(
        "packages of `{program}` are in no key{more}: another version of one reruns nothing\n  write {made}\
         `tools: [\"{tool}\"]`; `tools: [{program} --version]` is enough where it needs none"
    );
    observer.event(&Event::Warning {
        stage: &stage.name,
        text: &text,
    });
}

/// The interpreter that a stage starts, and the tool that would list its packages, if nothing in its key
/// says which these are.
fn unkeyed(stage: &Stage) -> Option<(&str, &'static str)> {
    let Action::Command(script) = &stage.action else {
        return None;
    };
    let named = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        LOCK_FILES.contains(&name) || (name.starts_with("requirements") && name.ends_with(".txt"))
    };
    let locked = stage.deps.iter().any(|dep| match &dep.pattern {
        DepPattern::Path(path) => named(path.as_str()),
        DepPattern::Glob(pattern) => named(pattern),
    });
    if stage.environment.is_some() || locked || !stage.tools.is_empty() {
        return None;
    }
    script
        .texts
        .iter()
        .find_map(|text| commands(text).find_map(interpreter))
}

fn interpreter(command: &str) -> Option<(&str, &'static str)> {
    let name = command.rsplit('/').next().unwrap_or(command);
    let version = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '.');
    let known = INTERPRETERS
        .iter()
        .find(|(known, _)| name.strip_prefix(known).is_some_and(version));
    known.map(|(_, tool)| (name, *tool))
}

/// The first words of the simple commands of a text, as far as that is seen without a shell.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', ';', '|', '&', '(', '`'])
        .filter_map(|part| {
            let is_before = |word: &&str| {
                let assigns = word.split('=').next().is_some_and(|name| {
                    name.len() < word.len()
                        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                });
                assigns || BEFORE.contains(word)
            };
            let mut words = part.split_whitespace().skip_while(is_before);
            words.next().map(|word| word.trim_matches(['"', '\'']))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use restage_core::rel_path::RelPath;
    use restage_core::span::Location;
    use restage_pipeline::{Dep, Tool};

    fn of(cmd: &str) -> Option<String> {
        let stage = Stage {
            action: Action::command(cmd),
            ..Stage::default()
        };
        unkeyed(&stage).map(|(program, _)| program.to_owned())
    }

    #[test]
    fn an_interpreter_is_seen_wherever_a_command_may_stand() {
        for cmd in [
            "python train.py",
            "cd src && python train.py",
            "LR=1 exec python train.py",
            "for i in 1 2; do\n  python train.py $i\ndone",
            "cat data | \"python\" -",
            "x=$(python -c 'print(1)')",
        ] {
            assert_eq!(of(cmd).as_deref(), Some("python"), "{cmd}");
        }
        assert_eq!(
            of("papermill --no-progress-bar ./a.ipynb o.ipynb").as_deref(),
            Some("papermill")
        );
        assert_eq!(
            of("/usr/bin/python3.11 a.py").as_deref(),
            Some("python3.11")
        );
        assert_eq!(of("Rscript a.R").as_deref(), Some("Rscript"));
        for cmd in [
            "echo python",
            "make python",
            "pythonic",
            "./python.sh",
            "uv run python a.py",
        ] {
            assert_eq!(of(cmd), None, "{cmd}");
        }
    }

    #[test]
    fn what_says_which_packages_there_are_silences_it() {
        let mut stage = Stage {
            action: Action::command("python a.py"),
            ..Stage::default()
        };
        assert!(unkeyed(&stage).is_some());
        stage.tools.push(Tool {
            line: "python --version".into(),
            location: Location::default(),
        });
        assert_eq!(unkeyed(&stage), None);
        stage.tools.clear();
        for path in ["uv.lock", "env/requirements-dev.txt"] {
            let pattern = DepPattern::Path(RelPath::new(path).unwrap());
            stage.deps = vec![Dep {
                pattern,
                optional: false,
                location: Location::default(),
            }];
            assert_eq!(unkeyed(&stage), None, "{path}");
        }
    }
}
