//! The stage's parameters, checked before anything is fetched.
//! It must not do any I/O.

use contract::StageError;
use serde::Deserialize;

/// What pipeline.yaml declares for this stage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    pub(crate) seed: u64,
    pub(crate) dataset: DatasetParams,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatasetParams {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    /// Hexadecimal; `null` leaves the archive unchecked.
    pub(crate) sha256: Option<String>,
    pub(crate) label: String,
    pub(crate) synthetic: Synthetic,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Cifar10,
    Synthetic,
}

/// How many images to generate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Synthetic {
    pub(crate) train: usize,
    pub(crate) test: usize,
}

/// SHA-256 of <https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz>.
const OFFICIAL: &str = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd";

/// More would not be a data set of this kind, and would fill the memory.
const MOST_IMAGES: usize = 10_000_000;

impl Params {
    /// Checks what the types can't, and writes the digest in lower case.
    pub(crate) fn checked(mut self) -> Result<Self, StageError> {
        if let Some(digest) = &mut self.dataset.sha256 {
            digest.make_ascii_lowercase();
            if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(StageError::usage_message(format!(
                    "parameter `dataset.sha256`: `{digest}` is not 64 hexadecimal digits"
                )));
            }
        }
        let Synthetic { train, test } = self.dataset.synthetic;
        for (name, count, least) in [("train", train, 5), ("test", test, 1)] {
            if !(least..=MOST_IMAGES).contains(&count) {
                return Err(StageError::usage_message(format!(
                    "parameter `dataset.synthetic.{name}`: {count} is not from {least} to {MOST_IMAGES}"
                )));
            }
        }
        Ok(self)
    }
}

/// What tables and figures call the data: `auto` trusts only the official digest.
pub(crate) fn label(params: &DatasetParams, sha256: Option<&str>) -> String {
    match (params.label.as_str(), sha256) {
        ("auto", Some(OFFICIAL)) => "CIFAR-10".to_owned(),
        ("auto", Some(other)) => {
            let start = other.get(..12).unwrap_or(other);
            format!("CIFAR-10 layout, archive sha256 {start}")
        }
        ("auto", None) => "synthetic".to_owned(),
        (label, _) => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(sha256: &str, train: usize) -> Params {
        Params {
            seed: 1,
            dataset: DatasetParams {
                kind: Kind::Cifar10,
                url: String::new(),
                sha256: Some(sha256.to_owned()),
                label: "auto".to_owned(),
                synthetic: Synthetic { train, test: 1 },
            },
        }
    }

    #[test]
    fn only_the_official_archive_is_called_cifar_10() {
        let mut params = params(OFFICIAL, 5).dataset;
        assert_eq!(label(&params, Some(OFFICIAL)), "CIFAR-10");
        let other = "6900f60b0223aa761745ebabb29edadddbb4a16aefefa417b52715fa2b9e3878";
        assert_eq!(
            label(&params, Some(other)),
            "CIFAR-10 layout, archive sha256 6900f60b0223"
        );
        assert_eq!(label(&params, None), "synthetic");
        params.label = "CIFAR-10, JPEG q75 copy".to_owned();
        assert_eq!(label(&params, Some(other)), "CIFAR-10, JPEG q75 copy");
    }

    #[test]
    fn wrong_values_are_named() {
        let refusal = |params: Params| params.checked().unwrap_err().to_string();
        assert_eq!(
            refusal(params("abc", 5)),
            "parameter `dataset.sha256`: `abc` is not 64 hexadecimal digits"
        );
        assert_eq!(
            refusal(params(OFFICIAL, 4)),
            "parameter `dataset.synthetic.train`: 4 is not from 5 to 10000000"
        );
        let upper = params(&OFFICIAL.to_uppercase(), 5).checked().unwrap();
        assert_eq!(upper.dataset.sha256.as_deref(), Some(OFFICIAL));
    }
}
