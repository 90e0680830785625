//! `export:`, what other tools are shown of the results.
//! It must not know what those tools read, nor what is in the tables.

mod fields;

use super::diagnostic::Diagnostic;
use super::fields::{Fields, expected, expected_of};
use super::node::{Entry, Node, Value, printable};
use super::pipeline::{Agent, Export, RoCrate, StepTables};
use super::template::Templates;
use restage_core::glob::Glob;

pub(crate) use fields::{AGENT, EXPORT, RO_CRATE, STEP_TABLES};

/// Reads the section; the owner in `templates` is "`export`".
pub(crate) fn read(
    entry: &Entry,
    templates: &Templates<'_>,
    report: &mut Vec<Diagnostic>,
) -> Export {
    let mut reader = Reader { templates, report };
    let node = &entry.value;
    if EXPORT.check(node, "`export`", reader.report).is_none() {
        return Export::default();
    }
    Export {
        tensorboard: reader.tensorboard(node),
        ro_crate: node
            .get("ro_crate")
            .and_then(|node| reader.ro_crate(node))
            .unwrap_or_default(),
    }
}

struct Reader<'a> {
    templates: &'a Templates<'a>,
    report: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn tensorboard(&mut self, node: &Node) -> Vec<StepTables> {
        let sample = "write `- {tables: \"results/*/history.csv\", step: epoch}`";
        let items = self.list(node, "tensorboard", "`export`", sample);
        let items = items.iter();
        items.filter_map(|item| self.tables(item)).collect()
    }

    fn tables(&mut self, item: &Node) -> Option<StepTables> {
        const OWNER: &str = "an item of `tensorboard`";
        self.needs(
            item,
            &STEP_TABLES,
            OWNER,
            &[("tables", "\"results/*/history.csv\""), ("step", "epoch")],
        )?;
        let tables = self.text(item, "tables", OWNER);
        let step = self.text(item, "step", OWNER);
        let location = item.get("tables")?.location;
        let subject = "`tables`";
        Some(StepTables {
            tables: self.pattern(tables?, item.get("tables")?, subject, OWNER)?,
            step: step?,
            location,
        })
    }

    fn ro_crate(&mut self, node: &Node) -> Option<RoCrate> {
        const OWNER: &str = "`ro_crate`";
        RO_CRATE.check(node, OWNER, self.report)?;
        let mut also = Vec::new();
        let sample = "write `also: [\"results/report.html\"]`";
        for item in self.list(node, "also", OWNER, sample) {
            let subject = "an item of `also`";
            let text = match item.value {
                Value::Text(_) => self.templates.text(item, self.report),
                _ => {
                    let error = expected_of(item, subject, OWNER, "text: a path or a pattern");
                    self.report.push(error);
                    None
                }
            };
            also.extend(text.and_then(|text| self.pattern(text, item, subject, OWNER)));
        }
        Some(RoCrate {
            description: self.text(node, "description", OWNER),
            license: self.text(node, "license", OWNER),
            agent: node.get("agent").and_then(|node| self.agent(node)),
            also,
        })
    }

    fn agent(&mut self, node: &Node) -> Option<Agent> {
        const OWNER: &str = "`agent`";
        self.needs(node, &AGENT, OWNER, &[("name", "Ada Lovelace")])?;
        let id = self.text(node, "id", OWNER);
        if let (Some(id), Some(node)) = (&id, node.get("id"))
            && !id.starts_with("https://")
            && !id.starts_with("http://")
        {
            let error = expected(node, "id", OWNER, "an address");
            self.report
                .push(error.hint("write `id: https://orcid.org/..`, or leave it out"));
        }
        Some(Agent {
            name: self.text(node, "name", OWNER)?,
            id,
        })
    }

    /// Checks fields, and that those are there without which nothing can be said.
    fn needs(
        &mut self,
        node: &Node,
        fields: &Fields,
        owner: &str,
        needed: &[(&str, &str)],
    ) -> Option<()> {
        let unknown = fields.check(node, owner, self.report)?;
        for (field, sample) in needed {
            if node.get(field).is_none() && unknown == 0 {
                let message = format!("{owner} has no `{field}`");
                let error = Diagnostic::new(node.location, message, format!("expected `{field}`"));
                self.report
                    .push(error.hint(format!("write `{field}: {sample}`")));
            }
        }
        Some(())
    }

    fn list<'n>(&mut self, node: &'n Node, field: &str, owner: &str, sample: &str) -> &'n [Node] {
        match node.get(field).map(|node| (node, &node.value)) {
            None => &[],
            Some((_, Value::List(items))) => items,
            Some((node, _)) => {
                let error = expected(node, field, owner, "a list");
                self.report.push(error.hint(sample));
                &[]
            }
        }
    }

    fn text(&mut self, node: &Node, field: &str, owner: &str) -> Option<String> {
        let node = node.get(field)?;
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
                    "{subject} of {owner} is no pattern below the pipeline's folder: `{shown}`"
                );
                let error = Diagnostic::new(node.location, message, error.to_string());
                self.report.push(error);
                None
            }
        }
    }
}
