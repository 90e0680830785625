//! Which fields a map may have, and what people from other tools call them.
//! It must not know what the fields' values mean.

use super::diagnostic::Diagnostic;
use super::node::{Node, Value};
use super::suggest;

/// The fields of one kind of map. A test holds them against the JSON Schema.
pub(crate) struct Fields {
    /// "a stage", as in "not a stage field".
    pub(crate) of: &'static str,
    pub(crate) known: &'static [&'static str],
    pub(crate) foreign: &'static [(&'static [&'static str], Advice)],
}

pub(crate) enum Advice {
    /// Our word for the same.
    Use(&'static str),
    /// We have no such thing; what to do instead.
    Instead(&'static str),
}

use Advice::{Instead, Use};

pub(crate) const FILE: Fields = Fields {
    of: "a top-level",
    known: &[
        "schema",
        "name",
        "params",
        "profiles",
        "default_profile",
        "stages",
        "compare",
        "claims",
        "export",
        "report",
    ],
    foreign: &[
        (&["version", "schema_version"], Use("schema")),
        (&["title", "experiment", "project"], Use("name")),
        (
            &["vars", "variables", "parameters", "config"],
            Use("params"),
        ),
        (&["profile", "environments", "configs"], Use("profiles")),
        (
            &["jobs", "tasks", "steps", "rules", "targets", "stage"],
            Use("stages"),
        ),
        (&["comparison", "comparisons", "tables"], Use("compare")),
        (&["claim", "assertions", "checks"], Use("claims")),
        (&["exports", "tensorboard"], Use("export")),
        (&["reports", "page", "html"], Use("report")),
        (
            &["metrics", "plots", "artifacts"],
            Instead(
                "list such files under their stage's `outs`; `compare` says how CSV files must match",
            ),
        ),
    ],
};

pub(crate) const STAGE: Fields = Fields {
    of: "a stage",
    known: &[
        "desc",
        "foreach",
        "matrix",
        "seeds",
        "program",
        "args",
        "cmd",
        "deps",
        "params",
        "outs",
        "env",
        "secret",
        "tools",
        "resources",
        "timeout",
        "retries",
    ],
    foreign: &[
        (
            &[
                "depends_on",
                "dependson",
                "depends",
                "dependencies",
                "dependency",
                "inputs",
                "input",
                "needs",
                "requires",
                "dep",
                "sources",
            ],
            Use("deps"),
        ),
        (
            &["outputs", "output", "out", "produces", "targets", "results"],
            Use("outs"),
        ),
        (
            &[
                "command", "commands", "run", "shell", "script", "exec", "sh",
            ],
            Use("cmd"),
        ),
        (
            &["parameters", "param", "hyperparameters", "config"],
            Use("params"),
        ),
        (&["environment", "envs", "environ", "variables"], Use("env")),
        (&["secrets", "secret_env", "env_secret"], Use("secret")),
        (
            &["tool", "versions", "tool_versions", "version_commands"],
            Use("tools"),
        ),
        (&["description", "doc", "comment", "title"], Use("desc")),
        (&["for_each", "for", "each"], Use("foreach")),
        (&["strategy", "product"], Use("matrix")),
        (
            &["seed", "n_seeds", "repeat", "repeats", "repetitions"],
            Use("seeds"),
        ),
        (&["arguments", "argv", "arg"], Use("args")),
        (
            &["crate", "package", "bin", "binary", "executable"],
            Use("program"),
        ),
        (&["retry", "attempts", "max_retries"], Use("retries")),
        (
            &["time", "time_limit", "walltime", "deadline"],
            Use("timeout"),
        ),
        (&["limits", "requirements"], Use("resources")),
        (
            &[
                "cpu", "cpus", "gpu", "gpus", "mem", "memory", "threads", "cores",
            ],
            Instead("it goes under `resources`, as in `resources: {cpu: 2, gpu: 0, mem: 2GiB}`"),
        ),
        (
            &[
                "wdir",
                "cwd",
                "workdir",
                "working_dir",
                "working_directory",
                "dir",
            ],
            Instead(
                "a stage starts in a work folder that holds its deps at their paths; write `cd folder && ..` in `cmd`",
            ),
        ),
        (
            &["frozen", "disabled", "skip", "when", "if"],
            Instead(
                "name the stages to run on the command line instead: `restage reproduce STAGE`",
            ),
        ),
        (
            &["always_changed", "always", "cache", "force"],
            Instead(
                "a stage runs when something that it declares changes; `restage reproduce -f STAGE` forces it once",
            ),
        ),
        (
            &["metrics", "plots", "artifacts"],
            Instead("list the files under `outs`; `compare` says how CSV files must match"),
        ),
        (
            &["do"],
            Instead("the fields of a `foreach` stage stand beside `foreach`, not under `do`"),
        ),
    ],
};

pub(crate) const OUT: Fields = Fields {
    of: "an output",
    known: &["path", "volatile"],
    foreign: &[
        (&["file", "name", "out"], Use("path")),
        (
            &["cache", "persist", "remote", "push", "desc"],
            Instead("an output has a `path` and can be `volatile`, nothing else"),
        ),
    ],
};

pub(crate) const RESOURCES: Fields = Fields {
    of: "a resource",
    known: &["cpu", "gpu", "mem"],
    foreign: &[
        (&["cpus", "cores", "threads", "ncpus"], Use("cpu")),
        (&["gpus", "cuda"], Use("gpu")),
        (&["memory", "ram", "mem_mb"], Use("mem")),
        (
            &["time", "timeout", "walltime"],
            Instead("`timeout` stands beside `resources`"),
        ),
    ],
};

pub(crate) const COMPARE: Fields = Fields {
    of: "a compare",
    known: &["files", "key", "columns"],
    foreign: &[
        (&["file", "path", "paths", "glob", "pattern"], Use("files")),
        (&["keys", "index", "id"], Use("key")),
        (&["column", "cols", "fields", "rules"], Use("columns")),
        (
            &["tolerance", "abs", "rel"],
            Instead("tolerances are by column: `columns: {accuracy: {abs: 0.01}}`"),
        ),
    ],
};

pub(crate) const CLAIM: Fields = Fields {
    of: "a claim",
    known: &[
        "says",
        "where",
        "foreach",
        "paper",
        "unit",
        "ours",
        "holds",
        "tolerance",
        "direction",
        "needs",
        "otherwise",
        "volatile",
    ],
    foreign: &[
        (&["desc", "text", "claim", "statement"], Use("says")),
        (&["section", "source", "table", "figure"], Use("where")),
        (&["expected", "theirs", "reported", "value"], Use("paper")),
        (&["measured", "expression", "expr", "actual"], Use("ours")),
        (&["assert", "check", "condition"], Use("holds")),
        (&["if", "when", "requires"], Use("needs")),
        (&["reason", "else"], Use("otherwise")),
        (
            &["abs", "rel", "absolute", "relative"],
            Instead("it goes under `tolerance`, as in `tolerance: {abs: 0.01}`"),
        ),
        (
            &["above", "below", "higher", "lower"],
            Instead("it goes under `direction`, as in `direction: {above: 0}`"),
        ),
        (
            &["id", "name"],
            Instead("a claim's name stands before it, as a stage's does"),
        ),
    ],
};

impl Fields {
    /// Reports the fields that are not known and returns how many; `None` if this is no map
    /// at all (reported too). Where a field is unknown, one that is missing is no news.
    pub(crate) fn check(
        &self,
        node: &Node,
        owner: &str,
        report: &mut Vec<Diagnostic>,
    ) -> Option<usize> {
        let Value::Map(entries) = &node.value else {
            let hint = match node.scalar_text() {
                Some(text) if self.known.contains(&"cmd") && node.value != Value::Null => {
                    format!("write `cmd: {text}` below it, and `outs:` with what that writes")
                }
                _ => self.all(),
            };
            let error = Diagnostic::new(
                node.location,
                format!("{owner} must be a map of fields"),
                found(node),
            );
            report.push(error.hint(hint));
            return None;
        };
        let mut unknown = 0;
        for entry in entries
            .iter()
            .filter(|entry| !self.known.contains(&entry.key.as_str()))
        {
            let message = format!("unknown field `{}` in {owner}", entry.key);
            let label = format!("not {} field", self.of);
            let hint = self.advice(&entry.key);
            report.push(Diagnostic::new(entry.key_location, message, label).hint(hint));
            unknown += 1;
        }
        Some(unknown)
    }

    fn advice(&self, word: &str) -> String {
        let plain = word.to_lowercase().replace(['-', ' '], "_");
        let foreign = self
            .foreign
            .iter()
            .find(|(words, _)| words.contains(&plain.as_str()));
        match foreign {
            Some((_, Use(known))) => format!("did you mean `{known}`?"),
            Some((_, Instead(advice))) => (*advice).to_owned(),
            None => match suggest::closest(word, self.known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => self.all(),
            },
        }
    }

    fn all(&self) -> String {
        let quoted: Vec<String> = self
            .known
            .iter()
            .map(|known| format!("`{known}`"))
            .collect();
        format!("its fields are {}", quoted.join(", "))
    }
}

/// A field that holds something else than it should.
pub fn expected(node: &Node, field: &str, owner: &str, what: &str) -> Diagnostic {
    expected_of(node, &format!("`{field}`"), owner, what)
}

/// The same for what is no field itself: "an item of `deps`".
pub fn expected_of(node: &Node, subject: &str, owner: &str, what: &str) -> Diagnostic {
    Diagnostic::new(
        node.location,
        format!("{subject} of {owner} must be {what}"),
        found(node),
    )
}

/// "this is a list".
fn found(node: &Node) -> String {
    match node.value {
        Value::Null => "nothing is written here".to_owned(),
        _ => format!("this is {}", node.kind()),
    }
}
