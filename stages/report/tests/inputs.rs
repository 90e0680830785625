//! Wrong inputs and parameters are told apart.

mod support;

use std::fs;
use std::path::Path;

use report::{Params, Report};
use support::{MODELS, PARAMS, SETTING, params, write_results};

fn failure(folder: &Path, params: &Params) -> String {
    let error = Report::new(folder, "paper", params).unwrap_err();
    let error = error.into_stage_error();
    let text = error
        .report()
        .replace(&folder.display().to_string(), "RESULTS");
    format!("{text}exit code {}", error.exit_code())
}

#[test]
fn a_model_without_results_is_named_with_what_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS[..3], SETTING);
    insta::assert_snapshot!(failure(folder.path(), &params()), @r"
    error: cannot list `RESULTS/resnet18_noskip`
      caused by: No such file or directory (os error 2)
    hint: each seed of a model of `report.order` needs the CSVs that the stages `train` and `gradients` write; is the model in `params.models`?
    exit code 1
    ");
}

#[test]
fn results_of_a_model_that_is_not_shown_are_mentioned() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS, SETTING);
    let mut params = params();
    params.report.order.retain(|model| model != "mini_resnet");
    params
        .report
        .main_models
        .retain(|model| model != "mini_resnet");
    let report = Report::new(folder.path(), "paper", &params).unwrap();
    assert_eq!(report.left_out(), ["mini_resnet"]);
    assert!(!report.table_text().contains("Mini-ResNet"));
}

#[test]
fn a_wrong_csv_is_located() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS, SETTING);
    let cases = [
        (
            "resnet18/seed-42/history.csv",
            "epoch,train_loss\n1,2\n",
            "`RESULTS/resnet18/seed-42/history.csv`, line 2: missing field `train_accuracy`",
        ),
        (
            "resnet18/seed-42/history.csv",
            "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n1,NaN,0.1,2.3,0.1,0.001\n",
            "`NaN` is not a finite number",
        ),
        (
            "resnet18/seed-42/gradients.csv",
            "layer_index,layer,trained_l2,initial_l2\n1,conv,-1,1\n",
            "`-1` is negative, which no norm is",
        ),
        (
            "resnet18/seed-42/gradients.csv",
            "layer_index,layer,trained_l2,initial_l2\n",
            "`RESULTS/resnet18/seed-42/gradients.csv` has 0 rows, expected at least 1",
        ),
        (
            "resnet18/seed-42/latency.csv",
            "batch_size,repetitions,median_ms,p90_ms,ms_per_image\n1,5,2.0,2.5,2.0\n",
            "`RESULTS/resnet18/seed-42/latency.csv` has no row with batch_size 64",
        ),
        (
            "resnet18/seed-42/confusion.csv",
            "true_class,a,b\na,1,2\n",
            "`RESULTS/resnet18/seed-42/confusion.csv`: 1 rows for 2 classes",
        ),
    ];
    for (name, text, expected) in cases {
        let path = folder.path().join(name);
        let right = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        let failure = failure(folder.path(), &params());
        assert!(failure.contains(expected), "{failure}");
        assert!(failure.contains("\nhint: "), "{failure}");
        fs::write(&path, right).unwrap();
    }
}

#[test]
fn models_trained_on_different_data_are_not_put_into_one_table() {
    let folder = tempfile::tempdir().unwrap();
    write_results(folder.path(), &MODELS, SETTING);
    let path = folder.path().join("mini_resnet/seed-42/summary.csv");
    let summary = fs::read_to_string(&path).unwrap();
    fs::write(&path, summary.replace("\"CIFAR-10\"", "synthetic")).unwrap();
    insta::assert_snapshot!(failure(folder.path(), &params()), @r"
    error: `baseline_cnn/seed-42` was trained on `CIFAR-10` and `mini_resnet/seed-42` on `synthetic`
    hint: one table must not mix data; run `train` again for all models and seeds
    exit code 1
    ");
}

#[test]
fn contradicting_parameters_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let edit = |change: fn(&mut Params)| {
        let mut params = params();
        change(&mut params);
        failure(folder.path(), &params)
    };
    let cases = [
        edit(|params| params.report.order.clear()),
        edit(|params| params.report.order.push("wide".to_owned())),
        edit(|params| params.report.order.push("resnet18".to_owned())),
        edit(|params| params.report.order.push("../secret".to_owned())),
        edit(|params| params.report.main_models.push("wide".to_owned())),
    ];
    insta::assert_snapshot!(cases.join("\n"), @r##"
    error: parameter `report.order` names no model
    hint: list at least one of `params.models` there
    exit code 2
    error: model `wide` of `report.order` has no entry in `report.models`
    hint: add `wide: { label: ..., color: "#rrggbb" }` to `params.report.models`
    exit code 2
    error: model `resnet18` stands twice in `report.order`
    hint: name each model once
    exit code 2
    error: parameter `report.order` has `../secret`, which cannot be a folder's name
    hint: use a name of `params.models`
    exit code 2
    error: model `wide` of `report.main_models` is not in `report.order`
    hint: add it to `report.order`, or take it out of `report.main_models`
    exit code 2
    "##);
}

#[test]
fn an_unknown_parameter_or_a_wrong_colour_is_refused() {
    let cases = [
        (
            PARAMS.replace("#009e73", "green"),
            "`green` is not a colour such as `#009e73`",
        ),
        (
            PARAMS.replace("\"label\"", "\"lable\""),
            "unknown field `lable`",
        ),
    ];
    for (text, expected) in cases {
        let error = serde_json::from_str::<Params>(&text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}
