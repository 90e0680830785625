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
    /// The folder that holds a folder a variant, and in it a folder `seed-<n>` a seed
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
        write_seed(results, name, 42, accuracies, gradients);
    }

    fn write_seed(results: &Path, name: &str, seed: u64, accuracies: &[f64], gradients: &str) {
        let folder = results.join(name).join(format!("seed-{seed}"));
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

    /// The cells of a measure, after its name.
    fn cells<'a>(table: &'a str, measure: &str) -> &'a str {
        let row = table.lines().find(|row| row.starts_with(measure)).unwrap();
        &row[measure.len() + 1..]
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
        measure,with_skip,with_skip_sd,with_skip_seeds,without_skip,without_skip_sd,without_skip_seeds,difference,difference_sd,pairs
        test_accuracy,0.625000,,1,0.625000,,1,0.000000,,1
        test_loss,1.250000,,1,1.250000,,1,0.000000,,1
        best_val_accuracy,0.875000,,1,0.550000,,1,0.325000,,1
        best_epoch,3,,1,4,,1,-1,,1
        epochs_run,3,,1,4,,1,-1,,1
        epochs_to_val_accuracy_0.5,2,,1,4,,1,-2,,1
        epochs_to_val_accuracy_0.85,3,,1,,,0,,,0
        first_to_last_gradient_ratio_trained,5.000000e-1,,1,1.000000e-4,,1,4.999000e-1,,1
        first_to_last_gradient_ratio_initial,5.000000e-1,,1,1.000000e-3,,1,4.990000e-1,,1
        smallest_to_largest_gradient_ratio_trained,2.500000e-1,,1,1.000000e-4,,1,2.499000e-1,,1
        parameters,1000,,1,1000,,1,0,,1
        ");
    }

    const GRADIENTS: &str = "1,conv1,2.5e-1,4e-1\n2,dense,5e-1,8e-1\n";

    #[test]
    fn several_seeds_become_mean_and_deviation_and_their_difference_is_paired() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write_seed(path, "deep", 9, &[0.5, 0.8], GRADIENTS);
        write_seed(path, "deep", 10, &[0.45, 0.6, 0.7], GRADIENTS);
        write_seed(path, "deep", 11, &[0.4, 0.5, 0.6, 0.9], GRADIENTS);
        write_seed(
            path,
            "deep_noskip",
            10,
            &[0.2, 0.5],
            "1,conv1,1e-3,1e-2\n2,dense,1e0,1e0\n",
        );
        write_seed(
            path,
            "deep_noskip",
            11,
            &[0.3, 0.4, 0.5],
            "1,conv1,3e-3,1e-2\n2,dense,1e0,1e0\n",
        );
        insta::assert_snapshot!(run(path).unwrap(), @r"
        measure,with_skip,with_skip_sd,with_skip_seeds,without_skip,without_skip_sd,without_skip_seeds,difference,difference_sd,pairs
        test_accuracy,0.625000,0.000000,3,0.625000,0.000000,2,0.000000,0.000000,2
        test_loss,1.250000,0.000000,3,1.250000,0.000000,2,0.000000,0.000000,2
        best_val_accuracy,0.800000,0.100000,3,0.500000,0.000000,2,0.300000,0.141421,2
        best_epoch,3.000000,1.000000,3,2.500000,0.707107,2,1.000000,0.000000,2
        epochs_run,3.000000,1.000000,3,2.500000,0.707107,2,1.000000,0.000000,2
        epochs_to_val_accuracy_0.5,1.666667,0.577350,3,2.500000,0.707107,2,-0.500000,0.707107,2
        epochs_to_val_accuracy_0.85,,,1,,,0,,,0
        first_to_last_gradient_ratio_trained,5.000000e-1,0.000000e0,3,2.000000e-3,1.414214e-3,2,4.980000e-1,1.414214e-3,2
        first_to_last_gradient_ratio_initial,5.000000e-1,0.000000e0,3,1.000000e-2,0.000000e0,2,4.900000e-1,0.000000e0,2
        smallest_to_largest_gradient_ratio_trained,5.000000e-1,0.000000e0,3,2.000000e-3,1.414214e-3,2,4.980000e-1,1.414214e-3,2
        parameters,1000,,3,1000,,2,0,,2
        ");
    }

    #[test]
    fn which_seed_gave_which_results_does_not_matter_as_long_as_they_are_paired() {
        let results = [[0.5, 0.81], [0.45, 0.6], [0.4, 0.93]];
        let without = [[0.2, 0.31], [0.25, 0.66], [0.3, 0.47]];
        let table = |order: [usize; 3]| {
            let folder = tempfile::tempdir().unwrap();
            for (seed, place) in (42..).zip(order) {
                write_seed(folder.path(), "deep", seed, &results[place], GRADIENTS);
                write_seed(
                    folder.path(),
                    "deep_noskip",
                    seed,
                    &without[place],
                    GRADIENTS,
                );
            }
            run(folder.path()).unwrap()
        };
        let expected = table([0, 1, 2]);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            assert_eq!(table(order), expected);
        }
    }

    #[test]
    fn equal_seeds_are_their_own_mean_and_deviate_by_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for seed in 1..=7 {
            write_seed(folder.path(), "deep", seed, &[0.1, 0.7], GRADIENTS);
            write_seed(folder.path(), "deep_noskip", seed, &[0.1, 0.3], GRADIENTS);
        }
        let table = run(folder.path()).unwrap();
        assert_eq!(
            cells(&table, "best_val_accuracy"),
            "0.700000,0.000000,7,0.300000,0.000000,7,0.400000,0.000000,7"
        );
        assert_eq!(cells(&table, "parameters"), "1000,,7,1000,,7,0,,7");
    }

    #[test]
    fn without_a_common_seed_means_are_compared_and_no_deviation_is_claimed() {
        let folder = tempfile::tempdir().unwrap();
        write_seed(folder.path(), "deep", 1, &[0.7], GRADIENTS);
        write_seed(folder.path(), "deep", 2, &[0.8], GRADIENTS);
        write_seed(folder.path(), "deep_noskip", 3, &[0.5], GRADIENTS);
        let table = run(folder.path()).unwrap();
        assert_eq!(
            cells(&table, "best_val_accuracy"),
            "0.750000,0.070711,2,0.500000,,1,0.250000,,0"
        );
        assert_eq!(cells(&table, "epochs_to_val_accuracy_0.85"), ",,0,,,0,,,0");
    }

    #[test]
    fn seeds_of_different_networks_are_not_averaged() {
        let folder = tempfile::tempdir().unwrap();
        write_variant(folder.path(), "deep", &[0.2], GRADIENTS);
        write_variant(folder.path(), "deep_noskip", &[0.2], GRADIENTS);
        write_seed(folder.path(), "deep", 43, &[0.2], GRADIENTS);
        let path = folder.path().join("deep/seed-43/summary.csv");
        let summary = fs::read_to_string(&path).unwrap();
        fs::write(&path, summary.replace(",1000,", ",999,")).unwrap();
        let report = run(folder.path()).unwrap_err().report();
        let report = report.replace(&folder.path().display().to_string(), "RESULTS");
        insta::assert_snapshot!(report, @r"
        error: `RESULTS/deep/seed-43/summary.csv` has 999 parameters, but seed 42 has 1000: they are not of one network
        hint: run `train` again for the seeds of an older network
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
            table.contains("\nfirst_to_last_gradient_ratio_trained,1.000000e-3,,1,,,0,,,0\n"),
            "{table}"
        );
        assert!(
            table.contains(
                "\nfirst_to_last_gradient_ratio_initial,1.000000e-3,,1,0.000000e0,,1,1.000000e-3,,1\n"
            ),
            "{table}"
        );
        assert!(
            table.contains("\nsmallest_to_largest_gradient_ratio_trained,1.000000e-3,,1,,,0,,,0\n"),
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
        error: cannot list `RESULTS/deep_noskip`
          caused by: No such file or directory (os error 2)
        hint: `deep_noskip` comes from `params.ablation`; it must be one of `params.models`, trained and measured
        ");
        // Results of a time before seeds.
        fs::create_dir(folder.path().join("deep_noskip")).unwrap();
        fs::write(folder.path().join("deep_noskip/summary.csv"), "").unwrap();
        let report = run(folder.path()).unwrap_err().report();
        let report = report.replace(&folder.path().display().to_string(), "RESULTS");
        insta::assert_snapshot!(report, @r"
        error: `RESULTS/deep_noskip` has no folder `seed-<n>`
        hint: each seed has its own folder, such as `seed-42`; run `train` and `gradients` again, which write them
        ");
        fs::create_dir(folder.path().join("deep_noskip/seed-7")).unwrap();
        let report = run(folder.path()).unwrap_err().report();
        let report = report.replace(&folder.path().display().to_string(), "RESULTS");
        insta::assert_snapshot!(report, @r"
        error: cannot read `RESULTS/deep_noskip/seed-7/history.csv`
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
            error.ends_with("deep/seed-42/history.csv` has no rows, expected at least 1"),
            "{error}"
        );

        write_variant(folder.path(), "deep", &[0.2], "1,conv1,NaN,1\n");
        let error = run(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "deep/seed-42/gradients.csv`, line 2: column 3: `NaN` is not a finite number"
            ) || error
                .ends_with("deep/seed-42/gradients.csv`, line 2: `NaN` is not a finite number"),
            "{error}"
        );
    }
}
