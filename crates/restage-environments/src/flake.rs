//! `flake.lock`: the inputs of a Nix flake, each by the hash of its content.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::error::EnvironmentError;
use crate::resolved::{Resolved, content};
use restage_core::digest::KeyPackage;

/// The versions of the format that are known.
const FORMATS: std::ops::RangeInclusive<u64> = 5..=7;

#[derive(Debug, Deserialize)]
struct Lock {
    version: u64,
    root: String,
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    #[serde(default)]
    inputs: BTreeMap<String, Value>,
    flake: Option<bool>,
    locked: Option<BTreeMap<String, Value>>,
}

/// The inputs that the text of a lock file names, and how they are given to each other.
pub fn flake_inputs(file: &str, text: &str) -> Result<(Resolved, String), EnvironmentError> {
    let malformed = |message: String| EnvironmentError::Malformed {
        file: file.to_owned(),
        message,
    };
    let lock: Lock = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    if !FORMATS.contains(&lock.version) {
        let version = lock.version;
        return Err(malformed(format!(
            "version {version} of the format is not known here"
        )));
    }
    let Some(root) = lock.nodes.get(&lock.root) else {
        return Err(malformed(format!("it does not describe `{}`", lock.root)));
    };
    let mut resolved = Resolved::default();
    for (name, node) in &lock.nodes {
        if *name == lock.root {
            continue;
        }
        let Some(locked) = &node.locked else {
            return Err(malformed(format!("it does not say what `{name}` is")));
        };
        let field = |field: &str| locked.get(field).and_then(Value::as_str);
        let Some(hash) = field("narHash") else {
            return Err(EnvironmentError::Unsupported {
                file: file.to_owned(),
                what: format!("it has no hash of `{name}`, so its content may be another tomorrow"),
                hint: "take it from a repository; a folder of the workspace can't be an input"
                    .to_owned(),
            });
        };
        let version = field("rev").or(field("lastModified")).unwrap_or(hash);
        let inputs = given(&node.inputs, node.flake);
        let folder = field("dir").unwrap_or_default();
        let package = KeyPackage {
            version: version.chars().take(12).collect(),
            content: content(
                &format!("{folder} {inputs}"),
                &BTreeSet::from([hash.to_owned()]),
            ),
        };
        resolved.add(name, package);
    }
    Ok((resolved, given(&root.inputs, root.flake)))
}

/// What is given to a flake, as text.
fn given(inputs: &BTreeMap<String, Value>, flake: Option<bool>) -> String {
    let inputs: Vec<String> = inputs
        .iter()
        .map(|(name, from)| format!("{name} = {from}"))
        .collect();
    match flake {
        Some(false) => format!("{}; not a flake", inputs.join(", ")),
        _ => inputs.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOCK: &str = r#"{
  "nodes": {
    "nixpkgs": {
      "locked": {"lastModified": 1, "narHash": "sha256-aa", "owner": "NixOS", "repo": "nixpkgs", "rev": "0123456789abcdef", "type": "github"},
      "original": {"owner": "NixOS", "ref": "nixos-24.05", "repo": "nixpkgs", "type": "github"}
    },
    "utils": {
      "inputs": {"systems": "nixpkgs"},
      "locked": {"lastModified": 2, "narHash": "sha256-bb", "type": "github"}
    },
    "root": {"inputs": {"nixpkgs": "nixpkgs", "utils": ["utils"]}}
  },
  "root": "root",
  "version": 7
}"#;

    fn of(text: &str) -> Result<(Resolved, String), EnvironmentError> {
        flake_inputs("flake.lock", text)
    }

    #[test]
    fn an_input_counts_by_its_content_and_by_what_it_is_given() {
        let one = of(LOCK).unwrap();
        assert_eq!(one.0.packages["nixpkgs"].version, "0123456789ab");
        assert_eq!(one.1, "nixpkgs = \"nixpkgs\", utils = [\"utils\"]");
        for (from, to) in [
            ("nixos-24.05", "nixos-24.11"),
            (
                "\"owner\": \"NixOS\", \"repo\"",
                "\"owner\": \"me\", \"repo\"",
            ),
        ] {
            assert_eq!(of(&LOCK.replace(from, to)).unwrap(), one, "{from}");
        }
        for (from, to) in [
            ("sha256-aa", "sha256-ab"),
            ("\"systems\": \"nixpkgs\"", "\"systems\": \"utils\""),
            (
                "\"narHash\": \"sha256-bb\"",
                "\"dir\": \"sub\", \"narHash\": \"sha256-bb\"",
            ),
            ("[\"utils\"]", "\"nixpkgs\""),
        ] {
            assert!(LOCK.contains(from));
            assert_ne!(of(&LOCK.replace(from, to)).unwrap(), one, "{from}");
        }
    }

    #[test]
    fn what_is_not_locked_is_refused() {
        let refused = |text: &str, message: &str| {
            let error = of(text).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        };
        refused(
            &LOCK.replace("\"narHash\": \"sha256-bb\", ", ""),
            "it has no hash of `utils`",
        );
        refused(
            &LOCK.replace("\"version\": 7", "\"version\": 8"),
            "version 8 of the format",
        );
        refused(
            &LOCK.replace("\"root\": \"root\"", "\"root\": \"top\""),
            "it does not describe `top`",
        );
        refused("{", "cannot understand `flake.lock`");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-z:{}\\[\\]\", 0-9]{0,60}") {
            let _ = of(&text);
        }
    }
}
