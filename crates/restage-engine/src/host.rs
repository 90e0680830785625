//! The caller's environment, and what of it a stage gets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::OnceLock;

use super::cards::{Card, cards};

/// Variables that every stage gets without declaring them: where programs and homes are, how text
/// and time are written. None of them enters a key, so none may change a result.
///
/// `RESTAGE_ISA` is here for that reason: it forces a vector width for measurements and never
/// changes a bit. Declared under `env:` it would enter the keys of the stages that read it.
const PASSED_ON: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_COLLATE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LD_LIBRARY_PATH",
    "RESTAGE_ISA",
];

/// The caller's environment, read once, and the graphics cards it allows, looked for once.
#[derive(Debug, Clone, Default)]
pub struct HostEnv {
    variables: BTreeMap<OsString, OsString>,
    cards: OnceLock<Vec<Card>>,
}

impl HostEnv {
    /// From names and values.
    pub fn new(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            variables: pairs.into_iter().collect(),
            cards: OnceLock::new(),
        }
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name));
        value.map(OsString::as_os_str)
    }

    /// A variable's value as text; what is not UTF-8 is replaced.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .map(|value| value.to_string_lossy().into_owned())
    }

    /// Graphics cards that stages may use.
    pub fn cards(&self) -> &[Card] {
        let visible = || self.text("CUDA_VISIBLE_DEVICES");
        self.cards
            .get_or_init(|| cards(visible().as_deref(), Path::new("/")))
    }
}

/// What a stage gets of the caller's environment, with the variables it sets or passes on by
/// `env:`.
pub(super) fn declared_environment(
    host: &HostEnv,
    declared: &BTreeMap<String, Option<String>>,
) -> BTreeMap<OsString, OsString> {
    let mut env = BTreeMap::new();
    for name in PASSED_ON {
        if let Some(value) = host.get(name) {
            env.insert(name.into(), value.to_owned());
        }
    }
    for (name, value) in declared {
        match value {
            Some(value) => env.insert(name.into(), value.into()),
            None => host
                .get(name)
                .and_then(|value| env.insert(name.into(), value.to_owned())),
        };
    }
    env
}
