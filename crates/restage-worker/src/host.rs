//! The variables of whoever starts a stage, and what of them it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::OnceLock;

use super::cards::{Card, cards};
use restage_core::digest::distinct_text;

/// Variables that every stage gets of the caller without declaring them: where programs and homes
/// are. None of them enters a key, so none may change a result (docs/adr/0023). In an image they mean
/// nothing.
pub const OF_THIS_MACHINE: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Passed on as well: it forces a vector width for measurements and never changes a bit. Declared
/// under `env:` it would enter the keys of the stages that read it.
const VECTOR_WIDTH: &str = "RESTAGE_ISA";

/// Variables that are the same for every stage on every machine. Another value here takes a new
/// [`restage_core::digest::StageKey::VERSION`].
const PINNED: [(&str, &str); 5] = [
    ("TZ", "UTC"),
    ("LANG", "C.UTF-8"),
    ("LC_ALL", "C.UTF-8"),
    ("PYTHONHASHSEED", "0"),
    // 1980-01-01, the first day that a zip file can hold.
    ("SOURCE_DATE_EPOCH", "315532800"),
];

/// By which libraries are told how many threads to start. Their sums may depend on it, so it is
/// what the stage asks for, not what this machine has.
const THREADS: [&str; 8] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// By which the caller chooses among graphics cards.
const CARDS: [&str; 2] = ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"];

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

    /// Every variable.
    pub fn all(&self) -> &BTreeMap<OsString, OsString> {
        &self.variables
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name));
        value.map(OsString::as_os_str)
    }

    /// A variable's value as text, another for each value ([`distinct_text`]).
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)
            .map(|value| distinct_text(value.as_encoded_bytes()))
    }

    /// The same without these variables.
    #[must_use]
    pub fn without<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Self {
        let mut variables = self.variables.clone();
        for name in names {
            variables.remove(OsStr::new(name));
        }
        Self::new(variables)
    }

    /// Graphics cards that stages may use.
    pub fn cards(&self) -> &[Card] {
        let visible = || self.text("CUDA_VISIBLE_DEVICES");
        self.cards
            .get_or_init(|| cards(visible().as_deref(), Path::new("/")))
    }
}

/// What a stage says of its environment.
#[derive(Debug, Clone, Copy)]
pub struct Declared<'a> {
    /// A value sets a variable, `None` passes the caller's on.
    pub env: &'a BTreeMap<String, Option<String>>,
    /// Variables that it is given and no result depends on.
    pub pass_env: &'a BTreeSet<String>,
    /// How many threads libraries are told to start.
    pub threads: u32,
    /// Whether it says anything of graphics cards.
    pub says_cards: bool,
}

impl Declared<'_> {
    /// The environment, without secrets and what restage says to a single attempt.
    pub fn environment(&self, host: &HostEnv) -> BTreeMap<OsString, OsString> {
        let mut env = BTreeMap::new();
        for (name, value) in PINNED {
            env.insert(name.into(), value.into());
        }
        let is_locale = |name: &String| name == "LANG" || name.starts_with("LC_");
        if self.env.keys().any(is_locale) {
            // It would override them.
            env.remove(OsStr::new("LC_ALL"));
        }
        let threads = self.threads.to_string();
        for name in THREADS {
            env.insert(name.into(), (&threads).into());
        }
        let cards: &[&str] = match self.says_cards {
            false => &CARDS,
            true => &[],
        };
        let passed = OF_THIS_MACHINE
            .iter()
            .chain([&VECTOR_WIDTH])
            .chain(cards)
            .copied();
        for name in passed.chain(self.pass_env.iter().map(String::as_str)) {
            if let Some(value) = host.get(name) {
                env.insert(name.into(), value.to_owned());
            }
        }
        for (name, value) in self.env {
            let value = match value {
                Some(value) => Some(value.into()),
                None => host.get(name).map(OsStr::to_owned),
            };
            match value {
                Some(value) => env.insert(name.into(), value),
                // The key says that it is not set.
                None => env.remove(OsStr::new(name)),
            };
        }
        env
    }
}
