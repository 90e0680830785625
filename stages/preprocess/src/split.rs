//! Which images train, which validate: a seeded random choice.
//! It must not look at the images.
//!
//! One random order of all training images decides: the subset is its beginning, and the
//! validation images are the subset's beginning. So a larger subset contains a smaller
//! one of the same seed. Within each split the images keep the archive's order.

use dataset::random::Random;
use serde::Deserialize;

/// The stage's own parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreprocessParams {
    pub(crate) validation: Validation,
    /// At most this many training images, before validation is split off; 0: all.
    pub(crate) train_subset: usize,
    /// At most this many test images; 0: all.
    pub(crate) test_subset: usize,
}

/// Where the validation images come from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(tag = "from", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Validation {
    /// So many of the training images, which are then not trained on.
    Train { count: usize },
    /// The test images themselves.
    Test {
        /// Stays there when a profile changes only `from`; it has no meaning here.
        #[serde(default, rename = "count")]
        _count: usize,
    },
}

/// Places in the archive's train and test images, each in ascending order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) train: Vec<usize>,
    pub(crate) validation: Vec<usize>,
    pub(crate) test: Vec<usize>,
    /// Whether `validation` are places among the test images.
    pub(crate) validation_is_test: bool,
}

/// A split that cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    #[error(
        "parameter `preprocess.validation.count`: {count} of {available} training images would leave none to train on"
    )]
    TooMany { count: usize, available: usize },
    #[error("parameter `preprocess.validation.count`: 0 images cannot validate anything")]
    None,
}

/// Chooses among `train` training and `test` test images.
pub(crate) fn choose(
    seed: u64,
    params: &PreprocessParams,
    train: usize,
    test: usize,
) -> Result<Places, SplitError> {
    let mut subset = prefix(seed, "preprocess/train", train, params.train_subset);
    let test = sorted(prefix(seed, "preprocess/test", test, params.test_subset));
    let (validation, validation_is_test) = match params.validation {
        Validation::Train { count: 0 } => return Err(SplitError::None),
        Validation::Train { count } if count >= subset.len() => {
            return Err(SplitError::TooMany {
                count,
                available: subset.len(),
            });
        }
        Validation::Train { count } => {
            let rest = subset.split_off(count);
            (sorted(std::mem::replace(&mut subset, rest)), false)
        }
        Validation::Test { .. } => (test.clone(), true),
    };
    Ok(Places {
        train: sorted(subset),
        validation,
        test,
        validation_is_test,
    })
}

/// The beginning of a random order of `count` places; all of it if `most` is 0.
fn prefix(seed: u64, stream: &str, count: usize, most: usize) -> Vec<usize> {
    let mut order = Random::new(seed, stream).permutation(count);
    if most > 0 {
        order.truncate(most);
    }
    order
}

fn sorted(mut places: Vec<usize>) -> Vec<usize> {
    places.sort_unstable();
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn params(validation: Validation, train_subset: usize, test_subset: usize) -> PreprocessParams {
        PreprocessParams {
            validation,
            train_subset,
            test_subset,
        }
    }

    #[test]
    fn more_validation_images_than_there_are_is_an_error() {
        let choose = |count, subset| {
            let params = params(Validation::Train { count }, subset, 0);
            choose(1, &params, 100, 10).map(|places| places.train.len())
        };
        assert_eq!(choose(99, 0), Ok(1));
        assert_eq!(
            choose(100, 0),
            Err(SplitError::TooMany {
                count: 100,
                available: 100
            })
        );
        assert_eq!(
            choose(50, 50),
            Err(SplitError::TooMany {
                count: 50,
                available: 50
            })
        );
        assert_eq!(choose(0, 0), Err(SplitError::None));
    }

    #[test]
    fn the_test_images_can_validate() {
        let validation = Validation::Test { _count: 5000 };
        let places = choose(1, &params(validation, 0, 7), 100, 20).unwrap();
        assert_eq!(places.validation, places.test);
        assert_eq!(places.test.len(), 7);
        assert_eq!(places.train, (0..100).collect::<Vec<_>>());
        assert!(places.validation_is_test);
    }

    /// Committed results rest on this choice.
    #[test]
    fn the_choice_never_changes_unnoticed() {
        let places = choose(42, &params(Validation::Train { count: 3 }, 8, 2), 50, 20).unwrap();
        insta::assert_snapshot!(format!("{places:?}"), @"Places { train: [2, 8, 13, 21, 42], validation: [0, 24, 45], test: [2, 8], validation_is_test: false }");
    }

    proptest! {
        #[test]
        fn train_and_validation_share_no_image(
            seed: u64, train in 2_usize..200, test in 1_usize..50, count in 1_usize..200,
            train_subset in 0_usize..250, test_subset in 0_usize..60,
        ) {
            let params = params(Validation::Train { count }, train_subset, test_subset);
            let available = if train_subset == 0 { train } else { train.min(train_subset) };
            match choose(seed, &params, train, test) {
                Ok(places) => {
                    prop_assert_eq!(places.validation.len(), count);
                    prop_assert_eq!(places.train.len(), available - count);
                    let mut all = [places.train.clone(), places.validation.clone()].concat();
                    all.sort_unstable();
                    all.dedup();
                    prop_assert_eq!(all.len(), available);
                    prop_assert!(all.iter().all(|&place| place < train));
                    let most = if test_subset == 0 { test } else { test.min(test_subset) };
                    prop_assert_eq!(places.test.len(), most);
                    prop_assert!(places.train.is_sorted() && places.test.is_sorted());
                }
                Err(error) => {
                    prop_assert_eq!(error, SplitError::TooMany { count, available });
                    prop_assert!(count >= available);
                }
            }
        }

        #[test]
        fn a_larger_subset_contains_a_smaller_one(seed: u64, small in 2_usize..50, more in 0_usize..50) {
            let all = |subset| {
                let params = params(Validation::Train { count: 1 }, subset, 0);
                let places = choose(seed, &params, 100, 1).unwrap();
                [places.train, places.validation].concat()
            };
            let large = all(small + more);
            prop_assert!(all(small).iter().all(|place| large.contains(place)));
        }
    }
}
