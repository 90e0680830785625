//! What `gc` and `fsck` share: a store for themselves alone, and the pipeline under each profile.

use std::path::{Path, PathBuf};

use super::args::PipelineArgs;
use super::error::{CliError, from_store};
use super::exit::Exit;
use super::settings::{Loaded, Settings, load};
use restage_core::fs;
use restage_engine::Workspace;
use restage_store::{Member, Presence, Store};

/// A workspace, and its store that nobody else has open.
pub(crate) struct Upkeep {
    /// The pipeline's folder.
    pub(crate) root: PathBuf,
    /// Its store.
    pub(crate) store: Store,
}

impl Upkeep {
    /// Opens the store beside the pipeline file; `None` if nothing has run there yet.
    pub(crate) fn open(settings: &Settings, file: &Path) -> Result<Option<Self>, CliError> {
        let machine = |error| CliError::new(error, Exit::Machine);
        let path = settings.directory.join(file);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let own = folder.join(".restage");
        let store = settings.store.as_ref().unwrap_or(&own);
        if !fs::exists(store).map_err(machine)? {
            if fs::exists(&path).map_err(machine)? {
                return Ok(None);
            }
            let message = format!(
                "there is neither `{}` nor `{}`",
                path.display(),
                store.display()
            );
            return Err(CliError::usage(message)
                .with_hint("change to the experiment's folder, or name it with `-C DIR`"));
        }
        let root = fs::canonicalize(folder).map_err(machine)?;
        let store = Store::open_alone(&settings.location(&root)?).map_err(from_store)?;
        Ok(Some(Self { root, store }))
    }

    /// Another workspace that shares the store, as far as it is there: not to be changed.
    pub(crate) fn of(&self, member: &Member) -> Option<Self> {
        (member.presence == Presence::Here).then(|| Self {
            root: member.root.clone(),
            store: self.store.seen_by(member),
        })
    }

    /// The pipeline under each profile; `None` for one that can't be read.
    pub(crate) fn profiles(&self, settings: &Settings, file: &Path) -> Vec<Option<Loaded>> {
        let under = |profile: Option<String>| {
            let args = PipelineArgs {
                profile,
                overrides: Vec::new(),
                file: file.to_owned(),
            };
            load(settings, &args).ok()
        };
        match under(None) {
            None => vec![None],
            Some(first) => {
                let names = first.profiles.iter().cloned();
                names.map(|name| under(Some(name))).collect()
            }
        }
    }

    /// The folder under one profile.
    pub(crate) fn workspace(&self, settings: &Settings, loaded: &Loaded) -> Workspace {
        Workspace::over(
            self.store.clone(),
            &self.root,
            &loaded.profile,
            &loaded.graph,
            settings.env.clone(),
        )
    }
}
