//! Which environments a workspace has, and which of them were made.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::environment_kinds::{Named, Site};
use super::environments::Unnamed;
use super::workspace::Workspace;
use restage_core::digest::Digest;
use restage_pipeline::{Environment, Stage};
use restage_store::StoreError;

impl Workspace {
    /// What an environment is, by its lock file and interpreter.
    pub(super) fn environment(&self, environment: &Environment) -> Result<Arc<Named>, Unnamed> {
        let site = Site {
            root: &self.root,
            store: &self.store,
            env: &self.env,
        };
        self.environments.named(&site, environment)
    }
}

/// What is known of an environment, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentState {
    /// Its name.
    pub name: String,
    /// The file that says what is installed, and its digest.
    pub lock: Option<(String, Digest)>,
    /// The digest of what is installed.
    pub digest: Digest,
    /// Whether it was made; `None` if it is not restage that makes it.
    pub built: Option<bool>,
}

/// The environments of these stages, in the order of their names; those that can't be named are
/// left out, since their stages say so.
pub fn environments<'a>(
    ws: &Workspace,
    stages: impl Iterator<Item = &'a Stage>,
) -> Result<Vec<EnvironmentState>, StoreError> {
    let named: BTreeMap<&str, &Environment> = stages
        .filter_map(|stage| stage.environment.as_deref())
        .map(|environment| (environment.name.as_str(), environment))
        .collect();
    let mut states = Vec::new();
    for (name, environment) in named {
        let Ok(named) = ws.environment(environment) else {
            continue;
        };
        let place = named.place(&ws.store)?;
        let lock = named.source.as_ref().map(|source| &source.lock);
        states.push(EnvironmentState {
            name: name.to_owned(),
            lock: lock.map(|(path, digest)| (path.to_string(), *digest)),
            digest: named.digest,
            built: place.map(|place| place.is_ready()).transpose()?,
        });
    }
    Ok(states)
}
