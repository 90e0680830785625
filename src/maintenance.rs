//! What `gc` and `fsck` share: exclusive use of a store, and the pipeline under each profile.

use std::path::{Path, PathBuf};

use crate::args::PipelineArgs;
use crate::error::CliError;
use crate::session::Loaded;
use crate::settings::Settings;
use restage_core::fs;
use restage_engine::Workspace;
use restage_store::{Member, Presence, Store};

/// A workspace, and its store, which nobody else has open.
pub(crate) struct Maintenance {
    /// The pipeline's folder.
    pub(crate) root: PathBuf,
    /// Its store.
    pub(crate) store: Store,
}

impl Maintenance {
    /// Opens the store of the pipeline file's folder; `None` if nothing has run there yet.
    pub(crate) fn open(settings: &Settings, path: &Path) -> Result<Option<Self>, CliError> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let own = path.with_file_name(".restage");
        let store = settings.store.as_ref().unwrap_or(&own);
        if !fs::exists(store)? {
            if fs::exists(path)? {
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
        let root = fs::canonicalize(folder)?;
        let store = Store::open_alone(&settings.location(&root)?)?;
        Ok(Some(Self { root, store }))
    }

    /// Another workspace that shares the store, if it can be seen from here. It must not be changed.
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
                file: Some(file.to_owned()),
            };
            Loaded::open(settings, &args).ok()
        };
        match under(None) {
            None => vec![None],
            Some(first) => {
                let names = first.pipeline().profiles.iter().cloned();
                names.map(|name| under(Some(name))).collect()
            }
        }
    }

    /// The workspace under one profile.
    pub(crate) fn workspace(&self, settings: &Settings, loaded: &Loaded) -> Workspace {
        Workspace::over(
            self.store.clone(),
            &self.root,
            loaded.profile(),
            &loaded.graph,
            settings.env.clone(),
        )
        .of_file(loaded.base_name())
    }
}
