//! Which software stages run in: each environment's part of a key, from its lock file and its
//! interpreter, found once a call (docs/adr/0027). Nothing is made here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::environment_kinds::{Asking, Named, Site, kind};
use restage_core::digest::{Digest, KeyEnvironment};
use restage_environments::EnvironmentError;
use restage_pipeline::{Environment, Made};
use restage_store::{Store, StoreError};

/// Why it is not known what a stage would run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// The environment's name.
    pub environment: String,
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

type Answer = Result<Arc<Named>, Unnamed>;

/// The environments that were named so far.
#[derive(Debug, Default)]
pub(super) struct Environments {
    named: RefCell<BTreeMap<String, Answer>>,
    /// Interpreters that were found and are not noted yet, by what was asked for.
    new: RefCell<BTreeMap<Digest, String>>,
}

impl Environments {
    pub(super) fn named(&self, site: &Site<'_>, environment: &Environment) -> Answer {
        if let Some(known) = self.named.borrow().get(&environment.name) {
            return known.clone();
        }
        let answer = self
            .name(site, environment)
            .map(Arc::new)
            .map_err(|error| Unnamed {
                environment: environment.name.clone(),
                hint: error.hint(),
                error: error.to_string(),
            });
        let mut named = self.named.borrow_mut();
        named.insert(environment.name.clone(), answer.clone());
        answer
    }

    /// Notes the interpreters that were found, so that the next call finds the same.
    pub(super) fn note_found(&self, store: &Store) -> Result<(), StoreError> {
        for (request, text) in std::mem::take(&mut *self.new.borrow_mut()) {
            store.environments().note_found(&request, &text)?;
        }
        Ok(())
    }

    fn name(&self, site: &Site<'_>, environment: &Environment) -> Result<Named, EnvironmentError> {
        let new = &self.new;
        match (&environment.made, kind(&environment.made)) {
            (_, Some(kind)) => kind.name(&Asking { site, new }),
            (Made::Image(image), _) => Ok(of_image(&image.name)),
            (made, _) => unreachable!("stages have its tools instead: {made:?}"),
        }
    }
}

fn of_image(image: &str) -> Named {
    let digest = image.split_once('@').map_or(image, |(_, digest)| digest);
    let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let key = KeyEnvironment {
        kind: "image".to_owned(),
        facts: BTreeMap::from([
            ("image".to_owned(), digest.to_owned()),
            ("platform".to_owned(), platform),
        ]),
        packages: BTreeMap::new(),
    };
    Named {
        digest: key.digest(),
        key,
        files: BTreeSet::new(),
        absent: BTreeSet::new(),
        folders: BTreeSet::new(),
        source: None,
    }
}
