//! Training that is cut off and goes on gives the bits of training that was left alone.

use std::fs;
use std::path::{Path, PathBuf};

use dataset::Dataset;
use nn::engine::{Engine, State};
use train::checkpoint::Snapshot;
use train::config::TrainConfig;

use crate::toy::{Toy, config, data, train, without_times};

/// Every rule has something to do: the rate falls, the best epoch isn't the last.
fn lively() -> TrainConfig {
    config(&[
        ("\"patience\":3", "\"patience\":1"),
        ("\"learning_rate\":0.05", "\"learning_rate\":2.0"),
    ])
}

fn undisturbed(data: &Dataset, config: &TrainConfig) -> (Snapshot, State) {
    let scratch = tempfile::tempdir().unwrap();
    let mut engine = Toy::new();
    let (result, _) = train(&mut engine, data, config, scratch.path());
    (
        without_times(result.unwrap()),
        engine.export_state().unwrap(),
    )
}

fn checkpoints(scratch: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(scratch.join("checkpoints")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn a_run_killed_at_any_step_resumes_to_the_same_bits() {
    let (data, config) = (data(40, 12), lively());
    let expected = undisturbed(&data, &config);
    let rates: Vec<f32> = expected
        .0
        .records
        .iter()
        .map(|record| record.learning_rate)
        .collect();
    assert!(rates.windows(2).any(|pair| pair[1] < pair[0]), "{rates:?}");
    for killed_at in 0..15 {
        let scratch = tempfile::tempdir().unwrap();
        let mut engine = Toy::new();
        engine.dies_at = Some(killed_at);
        assert!(
            train(&mut engine, &data, &config, scratch.path())
                .0
                .is_err()
        );
        // What dies takes its memory with it: the next attempt has a new engine.
        let mut engine = Toy::new();
        let (result, notes) = train(&mut engine, &data, &config, scratch.path());
        assert_eq!(
            without_times(result.unwrap()),
            expected.0,
            "killed at step {killed_at}"
        );
        assert_eq!(
            engine.export_state().unwrap(),
            expected.1,
            "killed at step {killed_at}"
        );
        // Three steps an epoch: no finished epoch is trained again.
        assert_eq!(engine.steps, 15 - killed_at / 3 * 3);
        let resumed = notes
            .messages
            .iter()
            .any(|text| text.starts_with("resumed from epoch"));
        assert_eq!(resumed, killed_at >= 3);
    }
}

#[test]
fn a_run_killed_in_every_epoch_still_ends_with_the_same_bits() {
    let (data, config) = (data(40, 12), lively());
    let scratch = tempfile::tempdir().unwrap();
    for killed_at in [1, 3, 5, 8, 11, 14] {
        let mut engine = Toy::new();
        engine.dies_at = Some(killed_at);
        assert!(
            train(&mut engine, &data, &config, scratch.path())
                .0
                .is_err()
        );
    }
    let (result, _) = train(&mut Toy::new(), &data, &config, scratch.path());
    assert_eq!(
        without_times(result.unwrap()),
        undisturbed(&data, &config).0
    );
}

#[test]
fn a_finished_run_is_not_trained_again() {
    let (data, config) = (data(40, 12), lively());
    let scratch = tempfile::tempdir().unwrap();
    let first = train(&mut Toy::new(), &data, &config, scratch.path())
        .0
        .unwrap();
    let mut engine = Toy::new();
    let (second, _) = train(&mut engine, &data, &config, scratch.path());
    // The times of the first attempt, too, are those of the second.
    assert_eq!(second.unwrap(), first);
    assert_eq!(engine.steps, 0);
}

#[test]
fn a_damaged_newest_checkpoint_costs_an_epoch_and_no_bits() {
    let (data, config) = (data(40, 12), lively());
    for cut in [0, 1, 100, 1000] {
        let scratch = tempfile::tempdir().unwrap();
        let mut engine = Toy::new();
        engine.dies_at = Some(10);
        assert!(
            train(&mut engine, &data, &config, scratch.path())
                .0
                .is_err()
        );
        let newest = checkpoints(scratch.path()).pop().unwrap();
        let bytes = fs::read(&newest).unwrap();
        fs::write(&newest, &bytes[..cut.min(bytes.len() - 1)]).unwrap();
        let mut engine = Toy::new();
        let (result, notes) = train(&mut engine, &data, &config, scratch.path());
        assert_eq!(
            without_times(result.unwrap()),
            undisturbed(&data, &config).0
        );
        assert_eq!(
            notes.messages[..2],
            [
                "checkpoint of epoch 3 is not used: it is damaged; trying the one before",
                "resumed from epoch 2"
            ]
        );
        assert_eq!(engine.steps, 9);
    }
}

#[test]
fn two_damaged_checkpoints_are_a_fresh_start_with_the_same_bits() {
    let (data, config) = (data(40, 12), lively());
    let scratch = tempfile::tempdir().unwrap();
    let mut engine = Toy::new();
    engine.dies_at = Some(10);
    assert!(
        train(&mut engine, &data, &config, scratch.path())
            .0
            .is_err()
    );
    let paths = checkpoints(scratch.path());
    assert_eq!(paths.len(), 2);
    for path in paths {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    let mut engine = Toy::new();
    let (result, notes) = train(&mut engine, &data, &config, scratch.path());
    assert_eq!(
        without_times(result.unwrap()),
        undisturbed(&data, &config).0
    );
    assert_eq!(engine.steps, 15);
    assert!(
        notes.messages[1].ends_with("it is damaged; starting afresh"),
        "{:?}",
        notes.messages
    );
}

#[test]
fn a_scratch_that_cannot_be_written_is_an_error_that_names_it() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(
        scratch.path().join("checkpoints"),
        b"a file where the folder should be",
    )
    .unwrap();
    let error = train::scratch::Checkpoints::open(scratch.path(), "f".to_owned()).unwrap_err();
    assert!(error.to_string().contains("checkpoints"), "{error}");
}
