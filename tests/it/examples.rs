//! The pipelines in `examples/` run.

use std::fs;
use std::path::PathBuf;

use crate::python::python_with;
use crate::space::{Said, Space};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A copy of an example.
fn example(name: &str) -> Space {
    let space = Space::empty();
    let folder = repository().join("examples").join(name);
    for entry in fs::read_dir(folder).expect("an example") {
        let path = entry.expect("an entry").path();
        let file = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        fs::copy(&path, space.path(&file)).expect("a copy");
    }
    space
}

#[test]
fn the_sample_sheet_runs_a_row_alone_and_its_effect_is_found() {
    let space = example("sample-sheet");
    let said = space.restage(&["status"]).exits(0);
    assert!(
        said.out.contains("0 of 1,001 stages") || said.out.contains("0 of 1001 stages"),
        "{}",
        &said.out[said.out.len() - 200..]
    );
    // A thousand processes take long where many tests run.
    let sheet: Vec<String> = space
        .read("samples.csv")
        .lines()
        .take(41)
        .map(str::to_owned)
        .collect();
    space.write("samples.csv", &format!("{}\n", sheet.join("\n")));
    assert_eq!(space.ran(&[]).len(), 41);
    let edited = sheet
        .join("\n")
        .replace("s0003,treated,12.5", "s0003,treated,13");
    space.write("samples.csv", &edited);
    assert_eq!(space.ran(&[]), ["measure@s0003", "summary"]);
    let said = space.restage(&["claims"]).exits(0);
    assert!(said.out.contains("reproduced"), "{}", said.out);
    let sheet = std::process::Command::new("sh")
        .arg(space.path("make-samples.sh"))
        .output();
    let made = sheet.expect("sh starts").stdout;
    let committed = repository().join("examples/sample-sheet/samples.csv");
    assert!(
        made == fs::read(committed).expect("a sheet"),
        "make-samples.sh makes another sheet"
    );
}

#[test]
fn statistics_of_the_shell_are_right() {
    let space = example("shell");
    let said = space.reproduce(&[]).exits(0);
    assert_eq!(
        said.with_outcome("ran").len() + said.with_outcome("gated").len(),
        4
    );
    let table = space.read("results/length.csv");
    assert!(table.contains("\nadelie,4,38.900,1.342\n"), "{table}");
    assert!(!space.exists("sorted.csv"));
    space.write("data.csv", &(space.read("data.csv") + "gentoo,49.3,15.7\n"));
    let ran = space.ran(&[]);
    assert_eq!(ran[0], "sorted");
    assert!(ran.len() >= 3, "{ran:?}");
}

#[test]
fn the_notebook_gives_means() {
    let Some(python) = python_with("papermill, ipykernel") else {
        return;
    };
    let space = example("notebook");
    let bin = tempfile::tempdir().expect("a folder");
    let script = bin.path().join("papermill");
    fs::write(
        &script,
        format!("#!/bin/sh\nexec {python} -m papermill \"$@\"\n"),
    )
    .expect("a script");
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("a script");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = format!("{}:{}", bin.path().display(), path.display());
    let output = space.command(&["reproduce"]).env("PATH", path).output();
    Said::from(output.expect("restage starts"))
        .exits(0)
        .says("1 ran");
    let means = space.read("results/means.csv");
    assert!(means.contains("adelie,39.633\n"), "{means}");
}

#[test]
fn data_that_lies_elsewhere_is_pinned_and_may_move() {
    let space = example("data-outside");
    let place = tempfile::tempdir().expect("a temporary folder");
    let made = |name: &str| place.path().join(name);
    let run = std::process::Command::new("sh")
        .arg(space.path("make-weather.sh"))
        .arg(made("weather"))
        .status();
    assert!(run.is_ok_and(|status| status.success()));
    let restage = |args: &[&str]| -> Said {
        let mut command = space.command(args);
        command.env("WEATHER", made("weather"));
        command.output().expect("restage starts").into()
    };
    let _ = restage(&["reproduce"]).exits(0).says("2 ran");
    assert_eq!(space.read("results/days.txt").trim(), "2");
    assert_eq!(space.read("results/warmest.txt"), "2026-06-02,31.0\n");
    let june = made("weather").join("2026/june.csv");
    let text = fs::read_to_string(&june).expect("a file") + "2026-06-03,41.5\n";
    fs::write(&june, text).expect("a file");
    let said = restage(&["reproduce"]).exits(1);
    let _ = said.says("1 file differs (`2026/june.csv`)");
    let _ = restage(&["data", "update", "weather"]).exits(0);
    let _ = restage(&["reproduce"]).exits(0).says("1 ran, 1 fresh");
    assert_eq!(space.read("results/warmest.txt"), "2026-06-03,41.5\n");
    fs::rename(made("weather"), made("moved")).expect("one file system");
    let local = format!("[data]\nweather = \"{}\"\n", made("moved").display());
    space.write("restage.local.toml", &local);
    let _ = restage(&["reproduce"]).exits(0).says("2 fresh");
}

#[test]
fn training_with_pytorch_goes_on_from_its_checkpoint_with_the_same_numbers() {
    let space = example("pytorch");
    let said = space.restage(&["dag"]).exits(0);
    let seeds = ["train+42", "train+43", "train+44"];
    assert!(
        seeds.iter().all(|seed| said.out.contains(seed)),
        "{}",
        said.out
    );
    let Some(python) = python_with("torch, numpy") else {
        return;
    };
    let bin = tempfile::tempdir().expect("a folder");
    let script = format!("#!/bin/sh\nexec {python} \"$@\"\n");
    fs::write(bin.path().join("python3"), script).expect("a script");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bin.path().join("python3"), executable).expect("a script");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = format!("{}:{}", bin.path().display(), path.display());
    let restage = |args: &[&str]| -> Said {
        let output = space.command(args).env("PATH", &path).output();
        output.expect("restage starts").into()
    };
    let _ = restage(&["reproduce"]).exits(0).says("3 ran");
    let metrics = space.read("results/seed-42/metrics.json");
    let _ = restage(&["claims"]).exits(0).says("reproduced");
    let _ = restage(&["reproduce", "-S", "interrupt_after=10"])
        .exits(0)
        .says("3 ran");
    assert_eq!(space.read("results/seed-42/metrics.json"), metrics);
    let log = restage(&["logs", "train+42"]);
    assert!(log.out.contains("resumed after epoch 10"), "{}", log.out);
}
