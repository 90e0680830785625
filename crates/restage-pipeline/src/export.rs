//! `export:`, what other tools are shown of the results.
//! It knows neither what those tools read nor what is in the tables.

use super::diagnostic::Diagnostic;
use super::fields::{About, Field, Kind, Mapping, expected, expected_of};
use super::node::{Entry, Node, Value, printable};
use super::pipeline::{Agent, Export, RoCrate, StepTables};
use super::template::Templates;
use restage_core::glob::Glob;

pub(crate) static EXPORT: Mapping<fn(&mut Reader<'_>, &mut Export, &Node)> = Mapping {
    about: About::new(
        "Export",
        "Exports",
        "an export",
        "What `restage export` shows other tools of the results.",
    ),
    fields: &[
        (
            Field::optional(
                "tensorboard",
                Kind::List(&Kind::Map(&STEP_TABLES)),
                "none",
                "Tables with a row for each step of a training run, for `restage export \
                 tensorboard`.",
            ),
            Some(|reader, export, node| reader.tensorboard(export, node)),
        ),
        (
            Field::optional(
                "ro_crate",
                Kind::Map(&RO_CRATE),
                "none",
                "What an RO-Crate says beyond what was recorded, for `restage export ro-crate`.",
            )
            .words(&["rocrate", "crate", "ro_crates"]),
            Some(|reader, export, node| reader.ro_crate(export, node)),
        ),
    ],
};

static STEP_TABLES: Mapping<fn(&mut Reader<'_>, &mut StepTables, &Node)> = Mapping {
    about: About {
        instead: &[
            (
                &["run", "runs", "name"],
                "a run is named by the folder of its table, from the first `*` on",
            ),
            (
                &["tag", "tags", "columns", "scalars", "y"],
                "every column of numbers becomes a scalar of its name",
            ),
        ],
        ..About::new(
            "StepTables",
            "An item of `tensorboard`",
            "a tensorboard",
            "Tables of which each is a run: its columns of numbers become scalars.",
        )
    },
    fields: &[
        (
            Field::required(
                "tables",
                Kind::Filled,
                "write `tables: \"results/*/history.csv\"`",
                "A path or pattern. A run is named by its table's folder, from the first `*` on; \
                 tables of one folder are one run.",
            )
            .words(&["table", "file", "files", "path", "paths", "glob", "csv"]),
            Some(|reader, tables, node| reader.tables(tables, node)),
        ),
        (
            Field::required(
                "step",
                Kind::Filled,
                "write `step: epoch`",
                "The column that numbers the steps: whole numbers that grow.",
            )
            .words(&["steps", "epoch", "x", "index", "global_step"]),
            Some(|reader, tables, node| {
                let step = reader.text(node, "step", STEP_TABLES_OWNER);
                tables.step = step.unwrap_or_default();
            }),
        ),
    ],
};

static RO_CRATE: Mapping<fn(&mut Reader<'_>, &mut RoCrate, &Node)> = Mapping {
    about: About {
        instead: &[(
            &["name", "title"],
            "the crate bears the pipeline's own `name`",
        )],
        ..About::new(
            "RoCrate",
            "About the RO-Crate",
            "an ro_crate",
            "What people know about the experiment.",
        )
    },
    fields: &[
        (
            Field::optional("description", Kind::Text, "none", "What the experiment is.")
                .words(&["desc", "about", "abstract", "says"]),
            Some(|reader, about, node| {
                about.description = reader.text(node, "description", "`ro_crate`");
            }),
        ),
        (
            Field::optional(
                "license",
                Kind::Text,
                "none",
                "The license of everything in the crate: an SPDX identifier, an address, or words.",
            )
            .words(&["licence", "licenses", "spdx"]),
            Some(|reader, about, node| {
                about.license = reader.text(node, "license", "`ro_crate`");
            }),
        ),
        (
            Field::optional("agent", Kind::Map(&AGENT), "none", "Who ran it.")
                .example(
                    "agent: {name: Ada Lovelace, id: \"https://orcid.org/0000-0002-1825-0097\"}",
                )
                .words(&["author", "authors", "creator", "person", "organization"]),
            Some(|reader, about, node| about.agent = reader.agent(node)),
        ),
        (
            Field::optional(
                "also",
                Kind::List(&Kind::Text),
                "none",
                "Paths and patterns of files that belong to it though no stage writes them.",
            )
            .words(&["files", "include", "add", "extra"]),
            Some(|reader, about, node| reader.also(about, node)),
        ),
    ],
};

static AGENT: Mapping<fn(&mut Reader<'_>, &mut Agent, &Node)> = Mapping {
    about: About::new(
        "Agent",
        "An agent",
        "an agent",
        "A person or an organisation.",
    ),
    fields: &[
        (
            Field::required(
                "name",
                Kind::Filled,
                "write `name: Ada Lovelace`",
                "Its name.",
            ),
            Some(|reader, agent, node| {
                agent.name = reader.text(node, "name", "`agent`").unwrap_or_default();
            }),
        ),
        (
            Field::optional(
                "id",
                Kind::Text,
                "none",
                "Its address: an ORCID for a person, a ROR (`https://ror.org/..`) for an \
                 organisation.",
            )
            .words(&["orcid", "ror", "url", "uri", "address"]),
            Some(|reader, agent, node| reader.agent_id(agent, node)),
        ),
    ],
};

const STEP_TABLES_OWNER: &str = "an item of `tensorboard`";

/// Reads the section; the owner in `templates` is "`export`".
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Export {
    let mut export = Export::default();
    EXPORT.check(&entry.value, "`export`", report);
    let mut reader = Reader { templates, report };
    for (read, entry) in EXPORT.present(&entry.value) {
        read(&mut reader, &mut export, &entry.value);
    }
    export
}

pub(crate) struct Reader<'a> {
    templates: &'a Templates<'a>,
    report: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn tensorboard(&mut self, export: &mut Export, node: &Node) {
        let sample = "write `- {tables: \"results/*/history.csv\", step: epoch}`";
        for item in self.list(node, "tensorboard", "`export`", sample) {
            STEP_TABLES.check_all(item, item.location, STEP_TABLES_OWNER, self.report);
            let mut tables = StepTables::default();
            for (read, entry) in STEP_TABLES.present(item) {
                read(self, &mut tables, &entry.value);
            }
            export.tensorboard.push(tables);
        }
    }

    fn tables(&mut self, tables: &mut StepTables, node: &Node) {
        let text = self.text(node, "tables", STEP_TABLES_OWNER);
        let pattern = text.and_then(|text| self.pattern(text, node, "`tables`", STEP_TABLES_OWNER));
        tables.tables = pattern.unwrap_or_default();
        tables.location = node.location;
    }

    fn ro_crate(&mut self, export: &mut Export, node: &Node) {
        RO_CRATE.check(node, "`ro_crate`", self.report);
        for (read, entry) in RO_CRATE.present(node) {
            read(self, &mut export.ro_crate, &entry.value);
        }
    }

    fn also(&mut self, about: &mut RoCrate, node: &Node) {
        const OWNER: &str = "`ro_crate`";
        let subject = "an item of `also`";
        for item in self.list(
            node,
            "also",
            OWNER,
            "write `also: [\"results/report.html\"]`",
        ) {
            let text = match item.value {
                Value::Text(_) => self.templates.text(item, self.report),
                _ => {
                    let error = expected_of(item, subject, OWNER, "text: a path or a pattern");
                    self.report.push(error);
                    None
                }
            };
            let pattern = text.and_then(|text| self.pattern(text, item, subject, OWNER));
            about.also.extend(pattern);
        }
    }

    fn agent(&mut self, node: &Node) -> Option<Agent> {
        AGENT.check_all(node, node.location, "`agent`", self.report)?;
        let mut agent = Agent::default();
        for (read, entry) in AGENT.present(node) {
            read(self, &mut agent, &entry.value);
        }
        Some(agent)
    }

    fn agent_id(&mut self, agent: &mut Agent, node: &Node) {
        agent.id = self.text(node, "id", "`agent`");
        if let Some(id) = &agent.id
            && !id.starts_with("https://")
            && !id.starts_with("http://")
        {
            let error = expected(node, "id", "`agent`", "an address");
            self.report
                .push(error.hint("write `id: https://orcid.org/..`, or leave it out"));
        }
    }

    fn list<'n>(&mut self, node: &'n Node, field: &str, owner: &str, sample: &str) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        let error = expected(node, field, owner, "a list");
        self.report.push(error.hint(sample));
        &[]
    }

    fn text(&mut self, node: &Node, field: &str, owner: &str) -> Option<String> {
        if let Value::Text(_) = node.value {
            let text = self.templates.text(node, self.report)?;
            if !text.trim().is_empty() {
                return Some(text);
            }
        }
        self.report.push(expected(node, field, owner, "text"));
        None
    }

    fn pattern(&mut self, text: String, node: &Node, subject: &str, owner: &str) -> Option<String> {
        match Glob::new(&text) {
            Ok(glob) => Some(glob.as_str().to_owned()),
            Err(error) => {
                let shown = printable(&text);
                let message = format!(
                    "{subject} of {owner} is not a pattern below the pipeline's folder: `{shown}`"
                );
                let error = Diagnostic::new(node.location, message, error.to_string());
                self.report.push(error);
                None
            }
        }
    }
}
