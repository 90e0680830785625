//! What happened: runs of stages, of steps, of the pipeline, and restage's own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Adopted, Document, StageRun, entity};

const COMPLETED: &str = "http://schema.org/CompletedActionStatus";

impl Document<'_> {
    /// Every action, with the machines, variables and measurements that belong to actions.
    pub(super) fn actions(&self) -> Vec<Value> {
        let mut found = vec![self.engine_run(), self.workflow_run()];
        for step in &self.of.steps {
            let runs = self.runs_of(step).map(|run| entity::run(&run.name));
            found.push(json!({
                "@id": entity::control(&step.name),
                "@type": "ControlAction",
                "name": format!("Stage {}", step.name),
                "instrument": entity::reference(&entity::part(&self.of.pipeline, "step", &step.name)),
                "object": entity::references(runs),
            }));
        }
        for run in &self.of.runs {
            self.stage_run(run, &mut found);
        }
        let ran = self.of.runs.iter().filter(|run| run.adopted.is_none());
        let hosts: BTreeSet<&str> = ran.map(|run| run.host.as_str()).collect();
        found.extend(hosts.into_iter().map(|host| {
            json!({
                "@id": entity::host(host),
                "@type": "Place",
                "name": host,
                "description": "The machine that stages ran on",
            })
        }));
        let adopted = self.of.runs.iter().filter_map(|run| run.adopted.as_ref());
        let adopters: BTreeSet<&str> = adopted.map(|adopted| adopted.by.as_str()).collect();
        found.extend(
            adopters
                .into_iter()
                .map(|by| json!({"@id": entity::adopter(by), "@type": "Person", "name": by})),
        );
        found
    }

    fn engine_run(&self) -> Value {
        let controls = self.of.steps.iter().map(|step| entity::control(&step.name));
        let mut found = json!({
            "@id": entity::ENGINE_RUN,
            "@type": "OrganizeAction",
            "name": format!("restage {}", self.of.version),
            "instrument": entity::reference(entity::ENGINE),
            "object": entity::references(controls),
            "result": entity::reference(entity::WORKFLOW_RUN),
        });
        self.when_and_who(&mut found);
        found
    }

    fn workflow_run(&self) -> Value {
        let written: BTreeSet<&str> = self.of.runs.iter().flat_map(StageRun::written).collect();
        let read = self.of.runs.iter().flat_map(|run| &run.reads);
        let inputs = read
            .filter(|path| !self.is_within(path, &written))
            .map(|path| self.name_of(path));
        let values = self.of.runs.iter().flat_map(|run| self.values_of(run));
        let mut found = json!({
            "@id": entity::WORKFLOW_RUN,
            "@type": "CreateAction",
            "name": format!("{} under profile {}", self.of.name, self.of.profile),
            "description": format!("restage reproduce --profile {}", self.of.profile),
            "actionStatus": COMPLETED,
            "instrument": entity::reference(&entity::file(&self.of.pipeline)),
            "object": entity::references(inputs.chain(values.map(|(_, value)| value))),
            "result": entity::references(written.iter().map(|path| self.name_of(path))),
        });
        self.when_and_who(&mut found);
        found
    }

    /// Whether a path is one of `written` or lies in one.
    fn is_within(&self, path: &str, written: &BTreeSet<&str>) -> bool {
        let mut path = path;
        loop {
            if written.contains(path) {
                return true;
            }
            match path.rsplit_once('/') {
                Some((folder, _)) => path = folder,
                None => return false,
            }
        }
    }

    /// From the first start to the last end.
    fn when_and_who(&self, action: &mut Value) {
        if let Some(started) = self.of.runs.iter().map(|run| run.started).min() {
            action["startTime"] = entity::time(started);
        }
        if let Some(ended) = self.of.runs.iter().map(|run| run.ended).max() {
            action["endTime"] = entity::time(ended);
        }
        self.who(action);
    }

    fn who(&self, action: &mut Value) {
        if let Some(agent) = &self.of.about.agent {
            action["agent"] = entity::reference(&agent.reference());
        }
    }

    fn stage_run(&self, run: &StageRun, found: &mut Vec<Value>) {
        let id = entity::run(&run.name);
        let reads = run.reads.iter().map(|path| self.name_of(path));
        let values = self.values_of(run).map(|(_, value)| value);
        let mut action = json!({
            "@id": id,
            "@type": "CreateAction",
            "name": format!("Stage {}", run.name),
            "description": run.command,
            "identifier": format!("restage:key:{}", run.key),
            "actionStatus": COMPLETED,
            "instrument": entity::reference(&run.tool_name()),
            "startTime": entity::time(run.started),
            "endTime": entity::time(run.ended),
            "object": entity::references(reads.chain(values)),
            "result": entity::references(run.writes.iter().map(|path| self.name_of(path))),
        });
        match &run.adopted {
            None => {
                action["location"] = entity::reference(&entity::host(&run.host));
                self.who(&mut action);
            }
            Some(Adopted { by, how }) => {
                action["name"] = json!(format!("Stage {}, adopted", run.name));
                action["description"] = json!(format!(
                    "Not run: files that were there were {how}. The stage's command is: {}",
                    run.command
                ));
                action["agent"] = entity::reference(&entity::adopter(by));
            }
        }
        if run.nondeterministic {
            action["disambiguatingDescription"] =
                json!("another run with the same inputs wrote other bytes");
        }
        let mut more = Vec::new();
        let mut add = |field: &str, ids: Vec<(String, Value)>| {
            if !ids.is_empty() {
                action[field] = entity::references(ids.iter().map(|(id, _)| id));
                more.extend(ids.into_iter().map(|(_, entity)| entity));
            }
        };
        add("environment", properties(&id, "environment", &run.env));
        add("softwareRequirements", tool_versions(&id, &run.tools));
        let memory = run.peak_memory.map(|bytes| {
            let name = format!("{id}/memory");
            let entity = json!({
                "@id": name,
                "@type": "PropertyValue",
                "name": "peak memory",
                "description": "Most memory that the stage's processes had at once",
                "propertyID": "urn:restage:peak-memory",
                "unitCode": "https://qudt.org/vocab/unit/BYTE",
                "value": bytes.to_string(),
            });
            (name, entity)
        });
        add("resourceUsage", memory.into_iter().collect());
        found.push(action);
        found.append(&mut more);
    }
}

impl StageRun {
    pub(super) fn written(&self) -> impl Iterator<Item = &str> {
        self.writes.iter().map(String::as_str)
    }
}

fn properties(
    run: &str,
    kind: &str,
    values: &std::collections::BTreeMap<String, String>,
) -> Vec<(String, Value)> {
    let values = values.iter();
    values
        .map(|(name, value)| {
            let id = format!("{run}/{kind}/{}", entity::file(name));
            let entity = json!({"@id": id, "@type": "PropertyValue", "name": name, "value": value});
            (id, entity)
        })
        .collect()
}

/// The versions that tools print.
fn tool_versions(
    run: &str,
    tools: &std::collections::BTreeMap<String, String>,
) -> Vec<(String, Value)> {
    let tools = tools.iter().enumerate();
    tools
        .map(|(n, (line, version))| {
            let id = format!("{run}/tool/{}", n + 1);
            let entity = json!({
                "@id": id,
                "@type": "SoftwareApplication",
                "name": line,
                "softwareVersion": version,
            });
            (id, entity)
        })
        .collect()
}
