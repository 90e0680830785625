//! Finds the folders `seed-<n>` of one variant's results.

use std::fs;
use std::path::{Path, PathBuf};

use contract::files::FileError;

/// The results of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedFolder {
    /// The seed, from the folder's name.
    pub seed: u64,
    /// The folder, below the variant's.
    pub path: PathBuf,
}

/// Why a variant's seeds are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedsError {
    /// A folder that cannot be listed, such as one that does not exist.
    #[error(transparent)]
    File(#[from] FileError),
    /// A variant without any seed.
    #[error("`{}` has no folder `seed-<n>`", variant.display())]
    NoSeed {
        /// The variant's folder.
        variant: PathBuf,
    },
    /// A name like a seed's folder that is not one: skipping it would lose a result in silence.
    #[error("`{}` is not a seed's folder", path.display())]
    NotSeed {
        /// The file or folder.
        path: PathBuf,
    },
}

impl SeedsError {
    /// What to do about it; `None` where the system's message says it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(_) => None,
            Self::NoSeed { .. } => Some(
                "each seed has its own folder, such as `seed-42`; run `train` and `gradients` again, which write them",
            ),
            Self::NotSeed { .. } => Some(
                "a seed's folder is named `seed-` and the seed in decimal digits, without leading zeros; rename this one or move it away",
            ),
        }
    }
}

/// The folders `seed-<n>` in a variant's folder, by ascending seed; at least one.
///
/// # Errors
/// A folder that cannot be listed or holds no seed; a name that begins with `seed-` but is not a
/// seed's folder: it would be missing from a mean.
pub fn folders(variant: &Path) -> Result<Vec<SeedFolder>, SeedsError> {
    let list = |source| FileError::new("list", variant)(source);
    let mut found = Vec::new();
    for entry in fs::read_dir(variant).map_err(list)? {
        let entry = entry.map_err(list)?;
        let (name, path) = (entry.file_name(), entry.path());
        let Some(text) = name.to_string_lossy().strip_prefix("seed-").map(parse) else {
            continue;
        };
        match text {
            Some(seed) if path.is_dir() => found.push(SeedFolder { seed, path }),
            _ => return Err(SeedsError::NotSeed { path }),
        }
    }
    if found.is_empty() {
        return Err(SeedsError::NoSeed {
            variant: variant.to_owned(),
        });
    }
    found.sort_by_key(|folder| folder.seed);
    Ok(found)
}

/// A seed as Rust writes it: two names of one seed would count it twice.
fn parse(text: &str) -> Option<u64> {
    let seed: u64 = text.parse().ok()?;
    (seed.to_string() == text).then_some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(folders: &[&str]) -> tempfile::TempDir {
        let variant = tempfile::tempdir().unwrap();
        for name in folders {
            fs::create_dir(variant.path().join(name)).unwrap();
        }
        variant
    }

    #[test]
    fn seeds_come_in_numeric_order_and_other_names_are_left_alone() {
        let variant = variant(&["seed-10", "seed-9", "seed-0", "old", "seed"]);
        fs::write(variant.path().join("summary.csv"), "").unwrap();
        let found = folders(variant.path()).unwrap();
        let seeds: Vec<u64> = found.iter().map(|folder| folder.seed).collect();
        assert_eq!(seeds, [0, 9, 10]);
        assert_eq!(found[2].path, variant.path().join("seed-10"));
    }

    #[test]
    fn what_is_called_like_a_seed_but_is_none_is_refused() {
        for name in [
            "seed-",
            "seed-042",
            "seed-+1",
            "seed--1",
            "seed-1.5",
            "seed-42.old",
            "seed-18446744073709551616",
        ] {
            let variant = variant(&["seed-42", name]);
            let error = folders(variant.path()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert!(error.hint().is_some(), "{error}");
        }
        let variant = variant(&["seed-1"]);
        fs::write(variant.path().join("seed-2"), "").unwrap();
        assert!(matches!(
            folders(variant.path()),
            Err(SeedsError::NotSeed { .. })
        ));
    }

    #[test]
    fn a_variant_without_seeds_or_without_a_folder_is_named() {
        let variant = variant(&[]);
        let error = folders(variant.path()).unwrap_err();
        let expected = format!("`{}` has no folder `seed-<n>`", variant.path().display());
        assert_eq!(error.to_string(), expected);
        let missing = variant.path().join("resnet18");
        let error = folders(&missing).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot list `{}`", missing.display())
        );
    }
}
