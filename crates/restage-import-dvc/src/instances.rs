//! The instances of a stage, as DVC would look at them to tell whether they are up to date.

use super::lock::{Given, Instance};
use super::params::{DEFAULT_FILE, entry, find_glob, map};
use super::paths;
use super::shape::{described, items};
use super::stage::Reader;
use super::template::{Context, normalised};
use super::variants::Variants;
use restage_core::span::Location;
use restage_pipeline::node::{Node, Value};

impl Reader<'_, '_> {
    /// The stage's instances as DVC has them. `values`: what references can name.
    pub(super) fn instances(&self, values: &Node, over: Option<&Variants>) -> Vec<Instance> {
        let (ours, theirs) = (self.name, &self.stage.entry.key);
        let Some(over) = over else {
            return vec![Instance {
                dvc_file: self.file_name.to_owned(),
                stage: ours.to_owned(),
                in_lock: theirs.clone(),
                now: self.now(values),
            }];
        };
        let all = over.all.iter().zip(&over.names);
        let all = all.map(|(variant, name)| {
            let key = Node::new(Value::Text(name.clone()), Location::default());
            // Before parameters of these names.
            let mut all = vec![entry("item", variant.item.clone()), entry("key", key)];
            all.extend(values.entries().iter().cloned());
            let values = map(all);
            Instance {
                dvc_file: self.file_name.to_owned(),
                stage: format!("{ours}@{}", variant.key),
                in_lock: format!("{theirs}@{name}"),
                now: self.now(&values),
            }
        });
        all.collect()
    }

    fn now(&self, values: &Node) -> Result<Given, String> {
        let body = self.stage.body;
        let context = Context {
            values,
            ours: values,
            unread: "",
            variants: None,
        };
        let filled = |text: &str| {
            let text = Node::new(Value::Text(text.to_owned()), Location::default());
            let text = context.resolve(&text)?.scalar_text();
            text.ok_or_else(|| "a template in it stands for no text".to_owned())
        };
        if body
            .get("always_changed")
            .is_some_and(|node| node.value == Value::Bool(true))
        {
            return Err("it is `always_changed` in dvc.yaml".to_owned());
        }
        let folder = body.get("wdir").and_then(Node::scalar_text);
        let folder = filled(&folder.unwrap_or_default())?;
        let folder = paths::join(self.base, &folder)?;
        let mut given = Given {
            cmd: context.resolve(body.get("cmd").unwrap_or(body))?.to_json(),
            ..Given::default()
        };
        for item in items(body, "deps") {
            let path = filled(&item.scalar_text().unwrap_or_default())?;
            given.deps.insert(paths::join(&folder, &path)?);
        }
        for field in ["outs", "metrics", "plots"] {
            for (path, _) in items(body, field).iter().flat_map(described) {
                given.outs.insert(paths::join(&folder, &filled(&path)?)?);
            }
        }
        for item in items(body, "params") {
            let one;
            let files = match item.scalar_text() {
                Some(_) => {
                    let keys = Value::List(vec![item.clone()]);
                    let keys = Node::new(keys, item.location);
                    one = [entry(DEFAULT_FILE, keys)];
                    &one[..]
                }
                None => item.entries(),
            };
            for file in files {
                let name = paths::join(&folder, &filled(&file.key)?)?;
                self.params_now(name, &file.value, &filled, &mut given)?;
            }
        }
        given.folder = folder;
        Ok(given)
    }

    /// The values that a stage is given from a params file: of its keys, or all.
    fn params_now(
        &self,
        file: String,
        keys: &Node,
        filled: &dyn Fn(&str) -> Result<String, String>,
        given: &mut Given,
    ) -> Result<(), String> {
        let Some(root) = self.params.known(&file) else {
            return Err(format!("`{file}` can't be compared with dvc.lock"));
        };
        let values = given.params.entry(file).or_default();
        match &keys.value {
            Value::List(keys) if !keys.is_empty() => {
                for key in keys {
                    let key = filled(&key.scalar_text().unwrap_or_default())?;
                    let value = find_glob(root, &normalised(&key));
                    values.extend(value.map(|(value, _)| (key, value.to_json())));
                }
            }
            _ => {
                let all = root.entries().iter();
                values.extend(all.map(|entry| (entry.key.clone(), entry.value.to_json())));
            }
        }
        Ok(())
    }
}
