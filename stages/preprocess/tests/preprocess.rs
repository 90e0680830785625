//! The built stage on real folders: what it writes, and what it says of bad input.
//! It must not reach into the stage's code.

use std::path::Path;
use std::process::{Command, Output};

use dataset::cifar::{self, Batches};
use dataset::random::Random;
use dataset::{Dataset, Source, Split};

const PARAMS: &str = r#"{"seed":42,"preprocess":{"validation":{"from":"train","count":10},"train_subset":40,"test_subset":0}}"#;

fn batches() -> Batches {
    let mut random = Random::new(5, "images");
    let mut split = |count: u8| {
        let mut split = Split::default();
        for index in 0..count {
            split.push(
                &std::array::from_fn(|_| random.below(256) as u8),
                index % 10,
            );
        }
        split
    };
    let classes = "airplane automobile bird cat deer dog frog horse ship truck";
    Batches {
        classes: classes.split(' ').map(str::to_owned).collect(),
        train: split(50),
        test: split(20),
    }
}

fn workspace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("batches");
    std::fs::create_dir(&path).unwrap();
    cifar::write(&path, &batches()).unwrap();
    let source = Source {
        label: "noise".to_owned(),
        kind: "cifar10".to_owned(),
        sha256: None,
    };
    source.write(&path).unwrap();
    folder
}

fn run(folder: &Path, params: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_preprocess"))
        .args([
            "--batches",
            "batches",
            "--data",
            "data/cifar10.bin",
            "--out",
            "results",
        ])
        .current_dir(folder)
        .env_clear()
        .env("RESTAGE_PARAMS", params)
        .env("RESTAGE_SCRATCH", folder.join("scratch"))
        .output()
        .unwrap()
}

#[track_caller]
fn failure(folder: &Path, params: &str) -> (Option<i32>, String) {
    let output = run(folder, params);
    assert!(!folder.join("data/cifar10.bin").exists() && !folder.join("results").exists());
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn good_batches_become_a_data_file_and_two_tables() {
    let folder = workspace();
    let output = run(folder.path(), PARAMS);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let dataset = Dataset::load(&folder.path().join("data/cifar10.bin")).unwrap();
    assert_eq!(dataset.label, "noise");
    assert_eq!(dataset.classes, batches().classes);
    let lengths = [&dataset.train, &dataset.validation, &dataset.test].map(Split::len);
    assert_eq!(lengths, [30, 10, 20]);
    assert_eq!(dataset.test, batches().test);
    let text =
        |name: &str| std::fs::read_to_string(folder.path().join("results").join(name)).unwrap();
    let counts = text("dataset.csv");
    assert_eq!(counts.lines().count(), 31);
    assert_eq!(counts.lines().last(), Some("noise,test,truck,2"));
    insta::assert_snapshot!(text("channels.csv"), @"
    channel,mean,std
    red,0.499721,0.289676
    green,0.501415,0.290763
    blue,0.499372,0.290216
    ");
}

#[test]
fn the_same_parameters_give_the_same_bytes() {
    let bytes = |params: &str| {
        let folder = workspace();
        assert!(run(folder.path(), params).status.success());
        std::fs::read(folder.path().join("data/cifar10.bin")).unwrap()
    };
    assert_eq!(bytes(PARAMS), bytes(PARAMS));
    assert_ne!(bytes(PARAMS), bytes(&PARAMS.replace("42", "43")));
}

#[test]
fn the_test_images_validate_when_asked_to() {
    let folder = workspace();
    let params = PARAMS.replace("\"train\"", "\"test\"");
    assert!(run(folder.path(), &params).status.success());
    let dataset = Dataset::load(&folder.path().join("data/cifar10.bin")).unwrap();
    assert_eq!(dataset.validation, dataset.test);
    assert_eq!(dataset.train.len(), 40);
}

#[test]
fn a_truncated_batch_is_an_error_that_names_it() {
    let folder = workspace();
    let path = folder.path().join("batches/data_batch_2.bin");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let (code, stderr) = failure(folder.path(), PARAMS);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(stderr, @"
    error: truncated batch `batches/data_batch_2.bin`: 3072 bytes after the last whole record of 3073
    hint: nothing was written; run `download` again with `restage reproduce -f download`
    ");
}

#[test]
fn a_label_of_eleven_is_an_error_that_names_the_record() {
    let folder = workspace();
    let path = folder.path().join("batches/test_batch.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3073 * 7] = 11;
    std::fs::write(&path, bytes).unwrap();
    let (code, stderr) = failure(folder.path(), PARAMS);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(stderr, @"
    error: record 7 of batch `batches/test_batch.bin` has label 11, expected 0 to 9
    hint: nothing was written; run `download` again with `restage reproduce -f download`
    ");
}

#[test]
fn a_folder_without_origin_is_an_error() {
    let folder = workspace();
    std::fs::remove_file(folder.path().join("batches/SOURCE.json")).unwrap();
    let (code, stderr) = failure(folder.path(), PARAMS);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(stderr, @"
    error: cannot read `batches/SOURCE.json`
      caused by: No such file or directory (os error 2)
    hint: this folder must come from the stage `download`
    ");
}

#[test]
fn wrong_parameters_exit_with_2() {
    let folder = workspace();
    let many = PARAMS.replace("\"count\":10", "\"count\":40");
    let (code, stderr) = failure(folder.path(), &many);
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(stderr, @"error: parameter `preprocess.validation.count`: 40 of 40 training images would leave none to train on");
    let (code, stderr) = failure(folder.path(), &PARAMS.replace("\"train\"", "\"moon\""));
    assert_eq!(code, Some(2));
    insta::assert_snapshot!(stderr.lines().next().unwrap_or_default(), @"error: parameter `preprocess.validation.from`: unknown variant `moon`, expected `train` or `test`");
}
