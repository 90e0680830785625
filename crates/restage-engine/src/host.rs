//! The caller's environment, and what of it a stage gets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::OnceLock;

use super::cards::{Card, cards};
use restage_core::digest::distinct_text;
use restage_pipeline::{Gpus, Stage};

/// Variables that every stage gets of the caller without declaring them: where programs and homes
/// are. None of them enters a key, so none may change a result (docs/adr/0023). In an image they mean
/// nothing.
pub(super) const OF_THIS_MACHINE: [&str; 9] = [
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
    pub(super) fn all(&self) -> &BTreeMap<OsString, OsString> {
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

    /// Graphics cards that stages may use.
    pub fn cards(&self) -> &[Card] {
        let visible = || self.text("CUDA_VISIBLE_DEVICES");
        self.cards
            .get_or_init(|| cards(visible().as_deref(), Path::new("/")))
    }
}

/// A stage's environment, without its secrets and what restage says to a single attempt.
pub(super) fn stage_environment(host: &HostEnv, stage: &Stage) -> BTreeMap<OsString, OsString> {
    let mut env = BTreeMap::new();
    for (name, value) in PINNED {
        env.insert(name.into(), value.into());
    }
    let is_locale = |name: &String| name == "LANG" || name.starts_with("LC_");
    if stage.env.keys().any(is_locale) {
        // It would override them.
        env.remove(OsStr::new("LC_ALL"));
    }
    let threads = stage.resources.cpu.threads().to_string();
    for name in THREADS {
        env.insert(name.into(), (&threads).into());
    }
    let cards: &[&str] = match stage.resources.gpu {
        Gpus::Unstated => &CARDS,
        _ => &[],
    };
    let passed = OF_THIS_MACHINE
        .iter()
        .chain([&VECTOR_WIDTH])
        .chain(cards)
        .copied();
    for name in passed.chain(stage.pass_env.iter().map(String::as_str)) {
        if let Some(value) = host.get(name) {
            env.insert(name.into(), value.to_owned());
        }
    }
    for (name, value) in &stage.env {
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

#[cfg(test)]
mod tests {
    use super::*;
    use restage_pipeline::{Cores, Resources};
    use std::collections::BTreeSet;
    use std::os::unix::ffi::OsStrExt;

    fn host(pairs: &[(&str, &str)]) -> HostEnv {
        HostEnv::new(
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    fn of(host: &HostEnv, stage: &Stage, name: &str) -> Option<String> {
        let env = stage_environment(host, stage);
        let value = env.get(OsStr::new(name));
        value.map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn values_that_are_not_utf8_are_other_texts() {
        let text = |bytes: &[u8]| {
            let value = OsStr::from_bytes(bytes).to_owned();
            HostEnv::new([("X".into(), value)]).text("X")
        };
        assert_eq!(text("café".as_bytes()).as_deref(), Some("café"));
        let texts = [
            text(b"caf\xe9"),
            text(b"caf\xe8"),
            text("caf\u{fffd}".as_bytes()),
        ];
        assert_eq!(BTreeSet::from(texts).len(), 3);
    }

    #[test]
    fn what_can_change_a_result_does_not_come_from_the_caller() {
        let caller = host(&[
            ("TZ", "JST-9"),
            ("LC_ALL", "de_DE.UTF-8"),
            ("LC_NUMERIC", "de_DE.UTF-8"),
            ("LANGUAGE", "de"),
            ("PYTHONHASHSEED", "7"),
            ("PYTHONPATH", "/lib"),
            ("LD_LIBRARY_PATH", "/lib"),
            ("OMP_NUM_THREADS", "64"),
        ]);
        let (theirs, none) = (Stage::default(), host(&[]));
        assert_eq!(
            stage_environment(&caller, &theirs),
            stage_environment(&none, &theirs)
        );
        assert_eq!(of(&caller, &theirs, "TZ").as_deref(), Some("UTC"));
        assert_eq!(
            of(&caller, &theirs, "OMP_NUM_THREADS").as_deref(),
            Some("1")
        );
    }

    #[test]
    fn a_stage_overrides_what_is_the_same_everywhere() {
        let mut stage = Stage::default();
        stage.env.insert("TZ".into(), None);
        stage.env.insert("OMP_NUM_THREADS".into(), Some("3".into()));
        stage
            .env
            .insert("LC_NUMERIC".into(), Some("de_DE.UTF-8".into()));
        let caller = host(&[("TZ", "JST-9"), ("LC_ALL", "de_DE.UTF-8")]);
        assert_eq!(of(&caller, &stage, "TZ").as_deref(), Some("JST-9"));
        assert_eq!(of(&host(&[]), &stage, "TZ"), None, "as its key says");
        assert_eq!(of(&caller, &stage, "OMP_NUM_THREADS").as_deref(), Some("3"));
        assert_eq!(of(&caller, &stage, "LC_ALL"), None);
        assert_eq!(of(&caller, &stage, "LANG").as_deref(), Some("C.UTF-8"));
    }

    #[test]
    fn threads_are_as_many_as_the_stage_asks_for() {
        for (cpu, threads) in [(0, "1"), (1, "1"), (6, "6")] {
            let stage = Stage {
                resources: Resources {
                    cpu: Cores::whole(cpu),
                    ..Resources::default()
                },
                ..Stage::default()
            };
            let found = of(&host(&[]), &stage, "MKL_NUM_THREADS");
            assert_eq!(found.as_deref(), Some(threads), "{cpu}");
        }
    }

    #[test]
    fn the_callers_cards_reach_a_stage_that_says_nothing_of_them() {
        let caller = host(&[
            ("CUDA_VISIBLE_DEVICES", "3"),
            ("CUDA_DEVICE_ORDER", "FASTEST_FIRST"),
        ]);
        let mut stage = Stage::default();
        assert_eq!(
            of(&caller, &stage, "CUDA_VISIBLE_DEVICES").as_deref(),
            Some("3")
        );
        stage.resources.gpu = Gpus::Count(0);
        assert_eq!(of(&caller, &stage, "CUDA_VISIBLE_DEVICES"), None);
        assert_eq!(of(&caller, &stage, "CUDA_DEVICE_ORDER"), None);
    }

    #[test]
    fn passed_variables_reach_the_stage_and_declared_ones_win() {
        let mut stage = Stage::default();
        stage.pass_env.extend(["HF_HOME".into(), "ABSENT".into()]);
        let caller = host(&[("HF_HOME", "/cache"), ("TORCH_HOME", "/torch")]);
        assert_eq!(of(&caller, &stage, "HF_HOME").as_deref(), Some("/cache"));
        assert_eq!(of(&caller, &stage, "TORCH_HOME"), None);
        assert_eq!(of(&caller, &stage, "ABSENT"), None);
    }
}
