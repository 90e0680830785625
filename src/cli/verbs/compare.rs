//! `restage compare`: result tables against committed ones.
//! It must not know how two tables are compared.

use std::collections::BTreeSet;

use serde_json::json;

use crate::base::fs;
use crate::base::rel_path::RelPath;
use crate::cli::args::Compare;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::expected::{Expected, ExpectedError, below};
use crate::cli::format::count;
use crate::cli::output::Output;
use crate::cli::settings::{Settings, load};
use crate::tables;

pub(crate) fn compare(
    settings: &Settings,
    args: &Compare,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let machine = |error| CliError::new(error, Exit::Machine);
    let loaded = load(settings, &args.pipeline)?;
    if loaded.compare.is_empty() {
        return Err(
            CliError::usage(format!("`{}` has no `compare:`", loaded.file_name)).with_hint(
                "say there which tables must match: `compare: [{files: \"results/*.csv\"}]`",
            ),
        );
    }
    let expected =
        Expected::open(&loaded.root, &settings.directory, &args.against).map_err(unreadable)?;
    let of_interest = |path: &RelPath| tables::effective_rule(&loaded.compare, path).is_some();
    let wanted: BTreeSet<RelPath> = expected
        .files()
        .map_err(unreadable)?
        .into_iter()
        .filter(of_interest)
        .collect();
    let found: BTreeSet<RelPath> = below(&loaded.root)
        .map_err(machine)?
        .into_iter()
        .filter(of_interest)
        .collect();
    if wanted.is_empty() && found.is_empty() {
        return Err(CliError::usage(format!(
            "no file matches `compare:` under profile `{}`, here or in `{}`",
            loaded.profile, args.against
        ))
        .with_hint("`restage reproduce` makes them"));
    }
    let (mut same, mut different) = (0, 0);
    for path in wanted.union(&found) {
        let Some(rule) = tables::effective_rule(&loaded.compare, path) else {
            continue;
        };
        let diff = match (wanted.contains(path), found.contains(path)) {
            (true, true) => {
                let before = expected.read(path).map_err(unreadable)?;
                let now = fs::read(&path.under(&loaded.root)).map_err(machine)?;
                tables::compare_tables(path.as_str(), &before, &now, &rule)
            }
            (true, false) => tables::TableDiff::missing(path.as_str()),
            _ => tables::TableDiff::unexpected(path.as_str()),
        };
        if diff.is_same() {
            same += 1;
            continue;
        }
        different += 1;
        let text = if settings.json {
            format!(
                "{}\n",
                json!({"event": "different", "file": path.as_str(), "text": tables::render(&diff, args.most)})
            )
        } else {
            tables::render(&diff, args.most)
        };
        out.data(&text)?;
    }
    if settings.json {
        out.data(&format!(
            "{}\n",
            json!({"event": "compared", "same": same, "different": different})
        ))?;
    } else {
        let what = match different {
            0 => format!("{} as in {}", count(same, "table"), args.against),
            n => format!(
                "{} of {} differ from {}",
                n,
                count(same + n, "table"),
                args.against
            ),
        };
        out.data(&format!("{what}\n"))?;
    }
    Ok(if different == 0 {
        Exit::Ok
    } else {
        Exit::Different
    })
}

fn unreadable(error: ExpectedError) -> CliError {
    match error {
        ExpectedError::Unknown { .. } => CliError::new(error, Exit::Usage)
            .with_hint("`--against` takes a folder or a revision such as `HEAD` or `v1.0`"),
        error => CliError::new(error, Exit::Machine),
    }
}
