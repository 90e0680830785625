//! The training loop: what it learns, keeps, reports and refuses.

use nn::engine::Engine;
use train::error::TrainError;
use train::evaluate::evaluate;
use train::history;

use crate::toy::{CLASSES, Toy, config, data, train};

#[test]
fn training_learns_and_keeps_the_best_epochs_weights() {
    let (data, config) = (data(120, 30), config(&[]));
    let scratch = tempfile::tempdir().unwrap();
    let trained = train(&mut Toy::new(), &data, &config, scratch.path())
        .0
        .unwrap();
    assert_eq!(trained.records.len(), 5);
    let (first, last) = (&trained.records[0], &trained.records[4]);
    assert!(last.train.loss < first.train.loss);
    assert!(last.validation.accuracy > 0.8, "{last:?}");
    let best = history::best(&trained.records).unwrap();
    let mut engine = Toy::new();
    engine.import_state(&trained.best).unwrap();
    assert_eq!(
        evaluate(&mut engine, &data.validation, CLASSES)
            .unwrap()
            .score,
        best.validation
    );
    assert!(
        trained
            .best
            .tensors
            .iter()
            .all(|tensor| !tensor.name.starts_with("adam."))
    );
}

#[test]
fn the_best_weights_are_kept_when_later_epochs_are_worse() {
    let data = data(40, 12);
    let config = config(&[
        ("\"learning_rate\":0.05", "\"learning_rate\":4.0"),
        ("\"patience\":3", "\"patience\":9"),
    ]);
    let scratch = tempfile::tempdir().unwrap();
    let trained = train(&mut Toy::new(), &data, &config, scratch.path())
        .0
        .unwrap();
    let best = history::best(&trained.records).unwrap();
    assert!(
        best.epoch < 5,
        "this rate should overshoot: {:?}",
        trained.records
    );
    let mut engine = Toy::new();
    engine.import_state(&trained.best).unwrap();
    assert_eq!(
        evaluate(&mut engine, &data.validation, CLASSES)
            .unwrap()
            .score,
        best.validation
    );
}

#[test]
fn every_step_of_every_epoch_is_reported_with_running_means() {
    let scratch = tempfile::tempdir().unwrap();
    let (trained, notes) = train(&mut Toy::new(), &data(40, 12), &config(&[]), scratch.path());
    assert_eq!(notes.steps.len(), 15);
    assert_eq!(
        notes
            .steps
            .iter()
            .map(|step| step.images)
            .take(3)
            .collect::<Vec<_>>(),
        [16, 16, 8]
    );
    for (epoch, record) in notes.epochs.iter().enumerate() {
        // The last running mean is what the history says.
        assert_eq!(notes.steps[3 * epoch + 2].score, record.train);
        assert_eq!(notes.steps[3 * epoch].epoch, record.epoch);
    }
    assert_eq!(trained.unwrap().records, notes.epochs);
}

#[test]
fn training_ends_early_when_patience_runs_out() {
    let config = config(&[
        ("\"epochs\":5", "\"epochs\":50"),
        (
            "\"early_stopping\":{\"patience\":7,\"min_delta\":0}",
            "\"early_stopping\":{\"patience\":2,\"min_delta\":10}",
        ),
    ]);
    let scratch = tempfile::tempdir().unwrap();
    let mut engine = Toy::new();
    let (trained, notes) = train(&mut engine, &data(40, 12), &config, scratch.path());
    assert_eq!(trained.unwrap().records.len(), 3);
    assert_eq!(
        notes.messages,
        ["stopped after epoch 3: no lower validation loss for 2 epochs"]
    );
}

#[test]
fn divergence_names_epoch_step_and_layer_and_hints_at_the_rate() {
    let scratch = tempfile::tempdir().unwrap();
    let mut engine = Toy::new();
    engine.diverges_at = Some(4);
    let error = train(&mut engine, &data(40, 12), &config(&[]), scratch.path())
        .0
        .unwrap_err();
    assert!(matches!(error, TrainError::Diverged { epoch: 2, .. }));
    assert_eq!(
        error.into_stage_error().report(),
        "error: epoch 2, step 2 of 3: `conv1` gave a non-finite gradient\n\
         hint: training diverged at a learning rate of 5e-2: lower `train.optimizer.learning_rate`, \
         to a tenth perhaps, and run again; no result was written, and training will start from \
         epoch 1, for a checkpoint serves only the parameters that made it\n"
    );
}

#[test]
fn numbers_that_explode_in_the_last_step_are_named_and_not_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let mut engine = Toy::new();
    engine.explodes_at = Some(5);
    let error = train(&mut engine, &data(40, 12), &config(&[]), scratch.path())
        .0
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "epoch 2, after step 3 of 3: `dense` gave a non-finite weight's first moment"
    );
    // The checkpoint of the epoch before is the newest.
    let (trained, notes) = train(&mut Toy::new(), &data(40, 12), &config(&[]), scratch.path());
    assert_eq!(notes.messages, ["resumed from epoch 1"]);
    assert_eq!(trained.unwrap().records.len(), 5);
}

#[test]
fn an_undefined_validation_loss_ends_training() {
    let scratch = tempfile::tempdir().unwrap();
    let mut engine = Toy::new();
    engine.blind_to = Some(f32::NAN);
    let error = train(&mut engine, &data(40, 12), &config(&[]), scratch.path())
        .0
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "epoch 1, validation: `softmax` gave a non-finite loss"
    );
    assert!(matches!(error, TrainError::Diverged { epoch: 1, .. }));
    assert!(error.hint().unwrap().contains("lower"));
}

#[test]
fn evaluation_does_not_depend_on_how_images_are_cut_into_batches() {
    let data = data(10, 300);
    let mut engine = Toy::new();
    let whole = evaluate(&mut engine, &data.test, CLASSES).unwrap();
    let mut one_by_one = Vec::new();
    for i in 0..data.test.len() {
        one_by_one.extend(
            evaluate(&mut engine, &data.test.select(&[i]), CLASSES)
                .unwrap()
                .confidence,
        );
    }
    assert_eq!(whole.confidence, one_by_one);
    assert_eq!(whole.predicted.len(), 300);
}
