//! The software that a stage runs in, as its key has it (docs/adr/0027): which packages, whose
//! interpreter; never where they lie.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hash::Digest;

/// Everything that makes one software environment differ from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEnvironment {
    /// By what it is made: `uv`, `venv`, `image`.
    pub kind: String,
    /// What is neither a package nor a path, by name: the interpreter with its ABI, an image's digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// What is installed on this platform, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packages: BTreeMap<String, KeyPackage>,
}

/// A package, as a lock file names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPackage {
    /// Its version, or the commit that it is built from.
    pub version: String,
    /// Of what the lock file says of its bytes.
    pub content: Digest,
}
