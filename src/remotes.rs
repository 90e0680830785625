//! A remote as commands use it: named in restage.toml, asked with the caller's credentials, trusted as that file says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::CliError;
use crate::settings::Settings;
use restage_core::digest::Digest;
use restage_core::suggest::list;
use restage_engine::Elsewhere;
use restage_remote::{
    Found, Patience, PublicKey, Pull, Pulled, Remote, RemoteConfig, RemoteError, Remotes, Signer,
    Surroundings, Trusted, Wanted, open,
};
use restage_store::{Record, Store};

/// Where a person's private key is, below the folder for settings.
const KEY_FILE: &str = "restage/signing-key";

/// A private key for jobs that have no home.
const KEY_VARIABLE: &str = "RESTAGE_SIGNING_KEY";

/// The remote of this name, or the only one, in the folder of a pipeline.
pub(crate) fn remote(
    settings: &Settings,
    root: &Path,
    name: Option<&str>,
) -> Result<(Remote, RemoteConfig), CliError> {
    let remotes = Remotes::read(root)?;
    let (name, config) = remotes.choose(name)?;
    let around = Surroundings {
        variable: &|name| settings.env.text(name),
        patience: Patience::DEFAULT,
    };
    Ok((open(name, config, &around)?, config.clone()))
}

/// The caller's name, for the key.
fn user(settings: &Settings) -> String {
    let names = ["USER", "LOGNAME"].into_iter();
    let mut names = names.filter_map(|name| settings.env.text(name));
    names.next().unwrap_or_default()
}

/// Where the caller's private key is.
pub(crate) fn key_path(settings: &Settings) -> Option<PathBuf> {
    let folder = |name| {
        let path = settings.env.get(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let home = || Some(folder("HOME")?.join(".config"));
    Some(folder("XDG_CONFIG_HOME").or_else(home)?.join(KEY_FILE))
}

/// The caller's private key, if there is one.
pub(crate) fn own_key(settings: &Settings) -> Result<Option<Signer>, CliError> {
    let user = user(settings);
    if let Some(text) = settings
        .env
        .text(KEY_VARIABLE)
        .filter(|text| !text.is_empty())
    {
        let key = Signer::parse(&text, &user).ok_or_else(|| {
            CliError::usage(format!("{KEY_VARIABLE} is not a signing key of restage")).with_hint(
                "give it what `restage remote key` put into ~/.config/restage/signing-key",
            )
        })?;
        return Ok(Some(key));
    }
    match key_path(settings) {
        Some(path) => Ok(Signer::read(&path, &user)?),
        None => Ok(None),
    }
}

/// Makes a key for the caller, and says where.
pub(crate) fn make_key(settings: &Settings) -> Result<(Signer, PathBuf), CliError> {
    let path = key_path(settings).ok_or_else(|| {
        CliError::usage("a key has no place: neither HOME nor XDG_CONFIG_HOME is set")
    })?;
    Ok((Signer::make(&path, &user(settings))?, path))
}

/// Whose results are used: those whom restage.toml trusts, else the caller.
pub(crate) fn trusted(settings: &Settings, config: &RemoteConfig) -> Result<Trusted, CliError> {
    let Some(listed) = &config.trusted else {
        let own = own_key(settings)?;
        return Ok(Trusted::new(own.map(|key| key.public().clone())));
    };
    let keys: Result<Vec<PublicKey>, _> =
        listed.iter().map(|text| PublicKey::parse(text)).collect();
    Ok(Trusted::new(keys?))
}

/// A remote as the engine asks it. What fails is said once, and counts as not there.
#[derive(Debug)]
pub(crate) struct FromRemote {
    pub(crate) remote: Remote,
    store: Store,
    trusted: Trusted,
    told: Mutex<Told>,
}

/// What there is to say.
#[derive(Debug, Default)]
struct Told {
    warnings: Vec<String>,
    /// How many results nobody signed who is trusted, and who did.
    unsigned: usize,
    strangers: BTreeSet<String>,
    /// How much came.
    pulled: Amount,
    /// The first failure of the remote as a whole, until it was said.
    failed: Option<RemoteError>,
    /// There was one: it is not asked any more.
    is_given_up: bool,
}

/// How much came from a remote.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) results: usize,
    pub(crate) objects: usize,
    pub(crate) bytes: u64,
}

impl FromRemote {
    pub(crate) fn new(remote: Remote, store: &Store, trusted: Trusted) -> Self {
        Self {
            remote,
            store: store.clone(),
            trusted,
            told: Mutex::default(),
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pull(&self) -> Pull<'_> {
        Pull {
            remote: &self.remote,
            store: &self.store,
            trusted: &self.trusted,
        }
    }

    /// How much came so far.
    pub(crate) fn amount(&self) -> Amount {
        self.told().pulled
    }

    /// Why the remote as a whole failed, if it did.
    pub(crate) fn take_failure(&self) -> Option<RemoteError> {
        self.told().failed.take()
    }

    /// What a remote has of keys.
    pub(crate) fn find(&self, keys: &[Digest]) -> Vec<Found> {
        if self.told().is_given_up {
            return Vec::new();
        }
        match self.pull().find(keys) {
            Ok(found) => found,
            Err(error) => {
                self.failed(error);
                Vec::new()
            }
        }
    }

    fn failed(&self, error: RemoteError) {
        let mut told = self.told();
        if !told.is_given_up {
            told.is_given_up = true;
            told.failed = Some(error);
        }
    }

    fn came(&self, pulled: Pulled) -> BTreeSet<Digest> {
        {
            let mut told = self.told();
            told.pulled.results += pulled.keys.len();
            told.pulled.objects += pulled.objects;
            told.pulled.bytes += pulled.bytes;
            for (stage, error) in &pulled.failed {
                told.warnings
                    .push(format!("has not all of {stage}: {error}"));
            }
        }
        if let Some(error) = pulled.ended {
            self.failed(error);
        }
        pulled.keys
    }

    /// Says what was found that can't be used.
    fn note_unusable(&self, found: &[Found]) {
        let mut told = self.told();
        for one in found {
            match &one.what {
                Wanted::Refused(why) => told.warnings.push(why.clone()),
                Wanted::Strangers(signers) => {
                    told.unsigned += 1;
                    told.strangers.extend(signers.iter().cloned());
                }
                Wanted::Record(_) | Wanted::NotThere => {}
            }
        }
    }
}

impl Elsewhere for FromRemote {
    fn name(&self) -> &str {
        self.remote.name()
    }

    fn records(&self, keys: &[Digest]) -> Vec<Arc<Record>> {
        let found = self.find(keys);
        self.note_unusable(&found);
        let records = found.into_iter().filter_map(|found| match found.what {
            Wanted::Record(record) => Some(record),
            _ => None,
        });
        records.collect()
    }

    fn manifest(&self, folder: &Digest) -> bool {
        match self.pull().bring_manifest(folder) {
            Ok(()) => true,
            Err(error) if error.is_remote() => {
                self.failed(error);
                false
            }
            Err(error) => {
                self.told().warnings.push(error.to_string());
                false
            }
        }
    }

    fn bring(&self, records: &[Arc<Record>]) -> BTreeSet<Digest> {
        if self.told().is_given_up {
            return BTreeSet::new();
        }
        self.came(self.pull().bring(records))
    }

    fn take_warnings(&self) -> Vec<String> {
        let mut told = self.told();
        let mut warnings = std::mem::take(&mut told.warnings);
        let strangers = std::mem::take(&mut told.strangers);
        let signers = list(strangers.iter().map(String::as_str));
        let results = match std::mem::take(&mut told.unsigned) {
            0 => None,
            1 => Some("a result".to_owned()),
            many => Some(format!("{many} results")),
        };
        warnings.extend(results.map(|results| {
            format!(
                "has {results} that nobody signed whom restage.toml trusts (signed by {signers}): not used"
            )
        }));
        if let Some(error) = told.failed.take() {
            let hint = error.hint().map(|hint| format!(" ({hint})"));
            warnings.push(format!(
                "is not used any more: {error}{}",
                hint.unwrap_or_default()
            ));
        }
        warnings
    }
}
