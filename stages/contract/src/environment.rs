//! The `RESTAGE_*` variables, read once and checked.
//! It must not know what the parameters mean; that is each stage's own type.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::StageError;

/// What the runner told the stage.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) name: String,
    pub(crate) params: String,
    pub(crate) threads: NonZeroUsize,
    pub(crate) scratch: PathBuf,
    pub(crate) events: Option<PathBuf>,
    pub(crate) isa: Option<String>,
    pub(crate) gpus: Option<String>,
}

const ISAS: [&str; 3] = ["avx512", "avx2", "plain"];

impl Environment {
    /// Reads the variables through `lookup`, so that tests need not set real ones.
    pub(crate) fn read(
        name: &str,
        lookup: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, StageError> {
        // A variable set to nothing counts as unset, as users of shells expect.
        let raw = |variable: &str| lookup(variable).filter(|value| !value.is_empty());
        let text = |variable: &str| match raw(variable).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(StageError::usage_message(format!(
                "`{variable}` is not valid UTF-8"
            ))),
        };

        let params = text("RESTAGE_PARAMS")?.ok_or_else(|| {
            StageError::usage_message("`RESTAGE_PARAMS` is not set").with_hint(
                "run the stage through `restage reproduce`, or set it to a JSON object of its parameters",
            )
        })?;
        let scratch = raw("RESTAGE_SCRATCH").map(PathBuf::from).ok_or_else(|| {
            StageError::usage_message("`RESTAGE_SCRATCH` is not set").with_hint(
                "run the stage through `restage reproduce`, or set it to a folder for checkpoints",
            )
        })?;
        let threads = match text("RESTAGE_THREADS")? {
            Some(value) => value.parse().map_err(|_| {
                StageError::usage_message(format!(
                    "`RESTAGE_THREADS` is `{value}`, expected a number from 1 up"
                ))
            })?,
            None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        let isa = text("RESTAGE_ISA")?;
        if let Some(isa) = &isa
            && !ISAS.contains(&isa.as_str())
        {
            return Err(StageError::usage_message(format!(
                "`RESTAGE_ISA` is `{isa}`, expected `avx512`, `avx2` or `plain`"
            )));
        }
        Ok(Self {
            name: text("RESTAGE_STAGE")?.unwrap_or_else(|| name.to_owned()),
            params,
            threads,
            scratch,
            events: raw("RESTAGE_EVENTS").map(PathBuf::from),
            isa,
            // Set to nothing, it says that there are none.
            gpus: lookup("CUDA_VISIBLE_DEVICES").map(|value| value.to_string_lossy().into_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, StageError> {
        Environment::read("train", |wanted| {
            variables
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn every_variable_is_read() {
        let environment = read(&[
            ("RESTAGE_PARAMS", "{}"),
            ("RESTAGE_SCRATCH", "/scratch"),
            ("RESTAGE_STAGE", "train@resnet18"),
            ("RESTAGE_THREADS", "3"),
            ("RESTAGE_EVENTS", "/events"),
            ("RESTAGE_ISA", "plain"),
            ("CUDA_VISIBLE_DEVICES", ""),
        ])
        .unwrap();
        assert_eq!(environment.name, "train@resnet18");
        assert_eq!(environment.threads.get(), 3);
        assert_eq!(environment.scratch, PathBuf::from("/scratch"));
        assert_eq!(environment.events, Some(PathBuf::from("/events")));
        assert_eq!(environment.isa.as_deref(), Some("plain"));
        assert_eq!(environment.gpus.as_deref(), Some(""));
    }

    #[test]
    fn what_is_optional_has_a_default() {
        let environment = read(&[("RESTAGE_PARAMS", "{}"), ("RESTAGE_SCRATCH", "/scratch")]);
        let environment = environment.unwrap();
        assert_eq!(environment.name, "train");
        assert_eq!(environment.events, None);
        assert_eq!(environment.isa, None);
        assert_eq!(environment.gpus, None);
    }

    #[test]
    fn wrong_variables_are_named_and_exit_with_2() {
        let base = [("RESTAGE_PARAMS", "{}"), ("RESTAGE_SCRATCH", "/scratch")];
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[], "`RESTAGE_PARAMS` is not set"),
            (&[base[0]], "`RESTAGE_SCRATCH` is not set"),
            (
                &[base[0], base[1], ("RESTAGE_THREADS", "0")],
                "`RESTAGE_THREADS` is `0`, expected a number from 1 up",
            ),
            (
                &[base[0], base[1], ("RESTAGE_THREADS", "many")],
                "`RESTAGE_THREADS` is `many`, expected a number from 1 up",
            ),
            (
                &[base[0], base[1], ("RESTAGE_ISA", "neon")],
                "`RESTAGE_ISA` is `neon`, expected `avx512`, `avx2` or `plain`",
            ),
        ];
        for (variables, expected) in cases {
            let error = read(variables).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.exit_code(), 2);
        }
    }
}
