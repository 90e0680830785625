//! The `ablation` stage: one network with its skip connections against the same without.
//! It must not know how networks are trained; it reads their CSVs and writes one.

mod measures;
mod variant;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use contract::{Stage, StageError};
use serde::Deserialize;

use crate::variant::Variant;

/// Skip connections against none.
#[derive(Debug, Parser)]
struct Args {
    /// The folder that holds a folder a variant
    #[arg(long)]
    results: PathBuf,
    /// The CSV to write
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    ablation: Ablation,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ablation {
    with_skip: String,
    without_skip: String,
    /// Validation accuracies, 0 to 1, whose first epoch is a measure.
    thresholds: Vec<f64>,
}

fn main() -> ExitCode {
    // Before anything else, so that `--help` needs no environment.
    let args = Args::parse();
    contract::run("ablation", |stage| ablate(stage, &args.results, &args.out))
}

fn ablate(stage: &Stage, results: &Path, out: &Path) -> Result<(), StageError> {
    let Params { ablation } = stage.params()?;
    let with_skip = Variant::read(results, &ablation.with_skip)?;
    let without_skip = Variant::read(results, &ablation.without_skip)?;
    measures::table(&with_skip, &without_skip, &ablation.thresholds)?.write(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PARAMS: &str =
        r#"{"ablation":{"with_skip":"deep","without_skip":"deep_noskip","thresholds":[0.5,0.85]}}"#;

    fn write_variant(results: &Path, name: &str, accuracies: &[f64], gradients: &str) {
        let folder = results.join(name);
        fs::create_dir_all(&folder).unwrap();
        let rows: String = accuracies
            .iter()
            .enumerate()
            .map(|(row, accuracy)| format!("{},1.5,0.4,1.4,{accuracy},0.001\n", row + 1))
            .collect();
        fs::write(
            folder.join("history.csv"),
            format!("epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n{rows}"),
        )
        .unwrap();
        let best = accuracies.iter().copied().fold(0.0, f64::max);
        fs::write(
            folder.join("summary.csv"),
            format!(
                "variant,data,parameters,parameters_with_moving,epochs_run,best_epoch,best_val_loss,best_val_accuracy,test_loss,test_accuracy,train_images,validation_images,test_images\n\
                 {name},synthetic,1000,1010,{},{},1.4,{best},1.25,0.625,90,10,20\n",
                accuracies.len(),
                accuracies.len()
            ),
        )
        .unwrap();
        fs::write(
            folder.join("gradients.csv"),
            format!("layer_index,layer,trained_l2,initial_l2\n{gradients}"),
        )
        .unwrap();
    }

    fn run(results: &Path) -> Result<String, StageError> {
        let out = results.join("ablation.csv");
        ablate(&Stage::for_test(PARAMS, results), results, &out)?;
        Ok(fs::read_to_string(out).unwrap())
    }

    #[test]
    fn every_measure_stands_beside_its_difference() {
        let folder = tempfile::tempdir().unwrap();
        write_variant(
            folder.path(),
            "deep",
            &[0.45, 0.5, 0.875],
            "1,conv1,2.5e-1,4e-1\n2,conv2,1.25e-1,2e-1\n3,dense,5e-1,8e-1\n",
        );
        write_variant(
            folder.path(),
            "deep_noskip",
            &[0.25, 0.3, 0.35, 0.55],
            "1,conv1,1e-4,1e-3\n2,conv2,1e-2,1e-2\n3,dense,1e0,1e0\n",
        );
        insta::assert_snapshot!(run(folder.path()).unwrap(), @r"
        measure,with_skip,without_skip,difference
        test_accuracy,0.625000,0.625000,0.000000
        test_loss,1.250000,1.250000,0.000000
        best_val_accuracy,0.875000,0.550000,0.325000
        best_epoch,3,4,-1
        epochs_run,3,4,-1
        epochs_to_val_accuracy_0.5,2,4,-2
        epochs_to_val_accuracy_0.85,3,,
        first_to_last_gradient_ratio_trained,5.000000e-1,1.000000e-4,4.999000e-1
        first_to_last_gradient_ratio_initial,5.000000e-1,1.000000e-3,4.990000e-1
        smallest_to_largest_gradient_ratio_trained,2.500000e-1,1.000000e-4,2.499000e-1
        parameters,1000,1000,0
        ");
    }

    #[test]
    fn a_ratio_to_a_vanished_gradient_is_left_empty() {
        let folder = tempfile::tempdir().unwrap();
        write_variant(
            folder.path(),
            "deep",
            &[0.2],
            "1,conv1,1e-3,1e-3\n2,dense,1,1\n",
        );
        write_variant(
            folder.path(),
            "deep_noskip",
            &[0.2],
            "1,conv1,0,0\n2,dense,0,1\n",
        );
        let table = run(folder.path()).unwrap();
        assert!(
            table.contains("\nfirst_to_last_gradient_ratio_trained,1.000000e-3,,\n"),
            "{table}"
        );
        assert!(
            table.contains(
                "\nfirst_to_last_gradient_ratio_initial,1.000000e-3,0.000000e0,1.000000e-3\n"
            ),
            "{table}"
        );
        assert!(
            table.contains("\nsmallest_to_largest_gradient_ratio_trained,1.000000e-3,,\n"),
            "{table}"
        );
    }

    #[test]
    fn a_variant_without_results_is_named_with_a_hint() {
        let folder = tempfile::tempdir().unwrap();
        write_variant(folder.path(), "deep", &[0.2], "1,conv1,1,1\n");
        let report = run(folder.path()).unwrap_err().report();
        let report = report.replace(&folder.path().display().to_string(), "RESULTS");
        insta::assert_snapshot!(report, @r"
        error: cannot read `RESULTS/deep_noskip/history.csv`
          caused by: No such file or directory (os error 2)
        hint: `deep_noskip` comes from `params.ablation`; it must be one of `params.models`, trained and measured
        ");
    }

    #[test]
    fn a_file_without_rows_or_with_a_diverged_value_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write_variant(folder.path(), "deep", &[], "1,conv1,1,1\n");
        let error = run(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("deep/history.csv` has no rows, expected at least 1"),
            "{error}"
        );

        write_variant(folder.path(), "deep", &[0.2], "1,conv1,NaN,1\n");
        let error = run(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with("deep/gradients.csv`, line 2: column 3: `NaN` is not a finite number")
                || error.ends_with("deep/gradients.csv`, line 2: `NaN` is not a finite number"),
            "{error}"
        );
    }
}
