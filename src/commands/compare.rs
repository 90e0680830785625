//! `restage compare`: compares result tables with committed ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::args::Compare;
use crate::baseline::{Baseline, below};
use crate::error::CliError;
use crate::exit::Exit;
use crate::find::plain;
use crate::left_over;
use crate::output::Output;
use crate::render::diff::{Compared, json, markdown, text};
use crate::render::junit::junit;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_claims::tables::{self, TableDiff};
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_engine::Patterns;
use restage_pipeline::CompareRule;

pub(crate) fn compare(
    settings: &Settings,
    args: &Compare,
    out: &mut Output,
) -> Result<Exit, CliError> {
    if settings.json && (args.md || args.junit) {
        return Err(CliError::usage(
            "`--json` cannot be combined with `--md` or `--junit`",
        ));
    }
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let (baseline, against) = Baseline::open(&loaded.root, &settings.directory, &args.against)?;
    let chosen = chosen(settings, &loaded, &args.files)?;
    let session = Session::look(settings, &loaded)?;
    let patterns = session.patterns()?;
    let results = || results(&loaded, &patterns, &chosen);
    let files = match &baseline {
        Baseline::File(other) => {
            single(&loaded, &results, &chosen, other, args, out).map(|table| vec![table])
        }
        _ => every_table(&loaded, &results, &baseline, &chosen, args, out),
    };
    session.workspace.save_cache();
    left_over::warn(&patterns, out);
    let files = files?;
    let compared = Compared {
        profile: loaded.profile().to_owned(),
        against,
        files,
    };
    let answer = match (settings.json, args.md, args.junit) {
        (true, ..) => json(&compared, args.most),
        (_, true, _) => markdown(&compared, args.most),
        (.., true) => {
            let suite = format!("compare.{}", compared.profile);
            junit(&suite, &compared.cases(args.most)).map_err(CliError::bug)?
        }
        _ => text(&compared, args.most, settings.out_style),
    };
    out.data(&answer)?;
    Ok(match compared.different().next() {
        None => Exit::Ok,
        Some(_) => Exit::Different,
    })
}

/// A file or folder of the command line.
struct Chosen {
    /// As it was written.
    word: String,
    place: PathBuf,
    /// Its place below the pipeline's folder; the inner `None` is that folder itself.
    inside: Option<Option<RelPath>>,
}

impl Chosen {
    fn has(&self, path: &RelPath) -> bool {
        match &self.inside {
            Some(Some(own)) => path.is_within(own),
            Some(None) => true,
            None => false,
        }
    }
}

/// Only the current folder is looked up on disk: the chosen tables may be missing.
fn chosen(
    settings: &Settings,
    loaded: &Loaded,
    files: &[PathBuf],
) -> Result<Vec<Chosen>, CliError> {
    let current = fs::canonicalize(&settings.directory)?;
    let choose = |file: &PathBuf| {
        let place = plain(&current.join(file));
        let inside = place.strip_prefix(&loaded.root).ok().map(Path::to_str);
        Chosen {
            word: file.display().to_string(),
            inside: match inside {
                Some(Some("")) => Some(None),
                Some(Some(text)) => RelPath::new(text).ok().map(Some),
                _ => None,
            },
            place,
        }
    };
    Ok(files.iter().map(choose).collect())
}

/// Every table that `compare:` matches, here or there.
fn every_table(
    loaded: &Loaded,
    results: &Results<'_>,
    baseline: &Baseline,
    chosen: &[Chosen],
    args: &Compare,
    out: &mut Output,
) -> Result<Vec<TableDiff>, CliError> {
    if loaded.pipeline().compare.is_empty() {
        return Err(
            CliError::usage(format!("`{}` has no `compare:`", loaded.file_name)).with_hint(
                "list the tables that must match: `compare: [{files: \"results/*.csv\"}]`",
            ),
        );
    }
    let of_interest =
        |path: &RelPath| tables::effective_rule(&loaded.pipeline().compare, path).is_some();
    let there: BTreeSet<RelPath> = baseline.files()?.into_iter().collect();
    let there: BTreeSet<RelPath> = there.into_iter().filter(of_interest).collect();
    let here: BTreeSet<RelPath> = results()?.into_iter().collect();
    let every: BTreeSet<&RelPath> = here.union(&there).collect();
    for one in chosen {
        if !every.iter().any(|path| one.has(path)) {
            return Err(CliError::usage(format!(
                "`{}` is not a table that `compare:` matches under profile `{}`, here or in `{}`",
                one.word,
                loaded.profile(),
                args.against
            ))
            .with_hint("`restage compare` without files compares every table that it matches"));
        }
    }
    if every.is_empty() {
        return Err(CliError::usage(format!(
            "no file matches `compare:` under profile `{}`, here or in `{}`",
            loaded.profile(),
            args.against
        ))
        .with_hint("run `restage reproduce` to make them"));
    }
    let wanted = |path: &&&RelPath| chosen.is_empty() || chosen.iter().any(|one| one.has(path));
    let (mut diffs, mut headers) = (Vec::new(), Vec::new());
    for path in every.iter().filter(wanted) {
        let name = path.as_str();
        let (there, here) = (there.contains(*path), here.contains(*path));
        let read = || fs::read(&path.under(&loaded.root));
        let now = here.then(read).transpose()?;
        let before = there.then(|| baseline.read(path)).transpose()?;
        headers.push((
            *path,
            [&now, &before].map(|bytes| columns(name, bytes.as_deref())),
        ));
        diffs.push(match (before, now) {
            (Some(before), Some(now)) => {
                let rule =
                    tables::effective_rule(&loaded.pipeline().compare, path).unwrap_or_default();
                tables::compare_tables(name, &before, &now, &rule)
            }
            (Some(_), None) => TableDiff::missing(name),
            _ => TableDiff::unexpected(name),
        });
    }
    if chosen.is_empty() {
        for remark in idle(&loaded.pipeline().compare, &headers) {
            out.warning(&format!("{remark}, here or in `{}`", args.against));
        }
    }
    Ok(diffs)
}

fn columns(path: &str, bytes: Option<&[u8]>) -> Vec<String> {
    bytes.map_or_else(Vec::new, |bytes| tables::columns(path, bytes))
}

/// Rules that match no file or no column: most likely typos, which leave something compared by
/// another rule than was meant.
fn idle(rules: &[CompareRule], headers: &[(&RelPath, [Vec<String>; 2])]) -> Vec<String> {
    let mut remarks = Vec::new();
    for rule in rules {
        let files: Vec<_> = headers
            .iter()
            .filter(|(path, _)| tables::applies(rule, path))
            .collect();
        if files.is_empty() {
            remarks.push(format!("no file matches `{}` in `compare:`", rule.files));
            continue;
        }
        let named = rule.columns.keys().filter(|column| *column != "*");
        for column in named {
            let mut columns = files.iter().flat_map(|(_, sides)| sides.iter().flatten());
            let plain = column.strip_prefix('/').unwrap_or(column);
            if !columns.any(|one| one == column || one == plain) {
                remarks.push(format!(
                    "no file that `{}` in `compare:` matches has a column `{column}`",
                    rule.files
                ));
            }
        }
    }
    remarks
}

/// One table against the file `other`: the chosen one, or the one with the same name.
fn single(
    loaded: &Loaded,
    results: &Results<'_>,
    chosen: &[Chosen],
    other: &Path,
    args: &Compare,
    out: &mut Output,
) -> Result<TableDiff, CliError> {
    let (name, place, rule) = match chosen {
        [one] if !is_folder(&one.place)? => {
            let inside = one.inside.as_ref().and_then(Option::as_ref);
            let rule =
                inside.and_then(|path| tables::effective_rule(&loaded.pipeline().compare, path));
            if rule.is_none() {
                out.note(&format!(
                    "no rule in `compare:` matches `{}`; comparing it exactly, row by row\n",
                    one.word
                ));
            }
            (one.word.clone(), one.place.clone(), rule)
        }
        _ => {
            let path = namesake(loaded, results, chosen, other, args)?;
            let rule = tables::effective_rule(&loaded.pipeline().compare, &path);
            (path.to_string(), path.under(&loaded.root), rule)
        }
    };
    let Some(now) = fs::read_if_exists(&place)? else {
        return Err(CliError::usage(format!("there is no `{name}` to compare")));
    };
    let real = |path: &Path| fs::canonicalize(path);
    if real(&place)? == real(other)? {
        return Err(
            CliError::usage(format!("`{}` is the result itself", args.against))
                .with_hint("name another file, or a revision: `--against HEAD`"),
        );
    }
    let before = fs::read(other)?;
    Ok(tables::compare_tables(
        &name,
        &before,
        &now,
        &rule.unwrap_or_default(),
    ))
}

/// The one result table with the same name as the file `other`.
fn namesake(
    loaded: &Loaded,
    results: &Results<'_>,
    chosen: &[Chosen],
    other: &Path,
    args: &Compare,
) -> Result<RelPath, CliError> {
    let against = &args.against;
    let wanted = |path: &RelPath| {
        Path::new(path.as_str()).file_name() == other.file_name()
            && (chosen.is_empty() || chosen.iter().any(|one| one.has(path)))
    };
    let mut found: Vec<RelPath> = results()?.into_iter().filter(wanted).collect();
    let hint = format!("name the table to compare: `restage compare FILE --against {against}`");
    let profile = loaded.profile();
    match (found.len(), found.pop()) {
        (1, Some(path)) => Ok(path),
        (_, None) => Err(CliError::usage(format!(
            "no result table of profile `{profile}` has the same name as the file `{against}`"
        ))
        .with_hint(hint)),
        (n, Some(last)) => {
            found.push(last);
            let first: Vec<String> = found.iter().take(4).map(|p| format!("`{p}`")).collect();
            let more = if n > 4 { ", ..." } else { "" };
            let message = format!(
                "{n} result tables of profile `{profile}` have the same name as the file `{against}`: {}{more}",
                first.join(", ")
            );
            Err(CliError::usage(message).with_hint(hint))
        }
    }
}

/// Finds tables here that `compare:` matches.
type Results<'a> = dyn Fn() -> Result<Vec<RelPath>, CliError> + 'a;

fn results(
    loaded: &Loaded,
    patterns: &Patterns,
    chosen: &[Chosen],
) -> Result<Vec<RelPath>, CliError> {
    let named = |path: &RelPath| {
        let mut inside = chosen
            .iter()
            .filter_map(|one| one.inside.as_ref()?.as_ref());
        inside.any(|named| named == path)
    };
    let mut tables = Vec::new();
    for path in below(&loaded.root)? {
        let matches = tables::effective_rule(&loaded.pipeline().compare, &path).is_some();
        if matches && (named(&path) || !patterns.is_left_over(&path)?) {
            tables.push(path);
        }
    }
    Ok(tables)
}

fn is_folder(path: &Path) -> Result<bool, CliError> {
    let metadata = fs::metadata_if_exists(path)?;
    Ok(metadata.is_some_and(|metadata| metadata.is_dir()))
}
