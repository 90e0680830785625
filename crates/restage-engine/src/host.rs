//! What of the caller's environment a stage of the pipeline gets.

use std::collections::BTreeMap;
use std::ffi::OsString;

use restage_pipeline::{Gpus, Stage};
use restage_worker::{Declared, HostEnv};

/// What a stage says of its environment.
pub(super) fn declared(stage: &Stage) -> Declared<'_> {
    Declared {
        env: &stage.env,
        pass_env: &stage.pass_env,
        threads: stage.resources.cpu.threads(),
        says_cards: stage.resources.gpu != Gpus::Unstated,
    }
}

/// A stage's environment, without its secrets and what restage says to a single attempt.
pub(super) fn stage_environment(host: &HostEnv, stage: &Stage) -> BTreeMap<OsString, OsString> {
    declared(stage).environment(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use restage_pipeline::{Cores, Resources};
    use std::collections::BTreeSet;
    use std::ffi::OsStr;
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
