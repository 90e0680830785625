//! The pipeline file: its steps, what they run, and who runs them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Document, StageRun, Step, Tool, entity};

impl Document<'_> {
    /// The pipeline's entity, its language, its steps and their tools, restage.
    pub(super) fn workflow(&self) -> Vec<Value> {
        let pipeline = &self.of.pipeline;
        let steps = self
            .of
            .steps
            .iter()
            .map(|step| entity::part(pipeline, "step", &step.name));
        let tools = self.tools();
        let mut workflow = json!({
            "@id": entity::file(pipeline),
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": self.of.name,
            "programmingLanguage": entity::reference(entity::LANGUAGE),
            "encodingFormat": "application/yaml",
            "license": self.license(),
            "hasPart": entity::references(tools.keys()),
            "step": entity::references(steps),
            "input": entity::references(self.parameter_names()),
        });
        self.describe(pipeline, &mut workflow);
        // The file's only version is its bytes.
        workflow["version"] = workflow["identifier"].clone();
        if let Some(agent) = &self.of.about.agent {
            workflow["creator"] = entity::reference(&agent.reference());
        }
        let mut found = vec![workflow];
        found.push(json!({
            "@id": entity::LANGUAGE,
            "@type": "ComputerLanguage",
            "name": "restage pipeline",
            "alternateName": "restage",
            "description": "YAML, as `restage schema` describes it",
            "version": self.of.version,
        }));
        found.push(json!({
            "@id": entity::ENGINE,
            "@type": "SoftwareApplication",
            "name": "restage",
            "description": "A declarative runner for reproducible experiments",
            "softwareVersion": self.of.version,
        }));
        found.extend(
            self.of
                .steps
                .iter()
                .enumerate()
                .map(|(at, step)| self.step(at, step)),
        );
        found.extend(tools.into_values());
        found
    }

    fn step(&self, at: usize, step: &Step) -> Value {
        let tools = self.runs_of(step).map(StageRun::tool_name);
        let mut found = json!({
            "@id": entity::part(&self.of.pipeline, "step", &step.name),
            "@type": "HowToStep",
            "name": step.name,
            "position": at + 1,
            "workExample": entity::references(tools),
        });
        if let Some(desc) = &step.desc {
            found["description"] = json!(desc);
        }
        found
    }

    /// The instances of a step.
    pub(super) fn runs_of<'a>(&'a self, step: &'a Step) -> impl Iterator<Item = &'a StageRun> {
        self.of.runs.iter().filter(|run| run.step == step.name)
    }

    /// Each tool once, by id.
    fn tools(&self) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        let mut inputs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for step in &self.of.steps {
            for run in self.runs_of(step) {
                let id = run.tool_name();
                let parameters = self.values_of(run).map(|(parameter, _)| parameter);
                inputs.entry(id.clone()).or_default().extend(parameters);
                found
                    .entry(id.clone())
                    .or_insert_with(|| run.tool(&id, step));
            }
        }
        for (id, parameters) in inputs {
            if let Some(tool) = found.get_mut(&id) {
                tool["input"] = entity::references(parameters);
            }
        }
        found
    }
}

impl StageRun {
    /// The id of what it ran: the same package built from other sources is another tool.
    pub(super) fn tool_name(&self) -> String {
        match &self.tool {
            Tool::Program { package, code } => {
                entity::program(&format!("{package}/{}", code.get(..12).unwrap_or(code)))
            }
            Tool::Command => entity::command(&self.step),
        }
    }

    fn tool(&self, id: &str, step: &Step) -> Value {
        let desc = step.desc.clone();
        match &self.tool {
            Tool::Program { package, code } => json!({
                "@id": id,
                "@type": "SoftwareApplication",
                "name": package,
                "description": desc.unwrap_or_else(|| format!("the program of stage `{}`", step.name)),
                "softwareVersion": format!("sources blake3:{code}"),
            }),
            Tool::Command => json!({
                "@id": id,
                "@type": "SoftwareApplication",
                "name": step.name,
                "description": desc.unwrap_or_else(|| format!("the command of stage `{}`", step.name)),
            }),
        }
    }
}
