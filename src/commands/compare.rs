//! `restage compare`: compares result tables with committed ones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::args::Compare;
use crate::baseline::{Baseline, Before, below};
use crate::error::CliError;
use crate::exit::Exit;
use crate::find::plain;
use crate::left_over;
use crate::output::Output;
use crate::render::diff::{Compared, json, markdown, text};
use crate::render::junit::junit;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_claims::tables::{self, Comparison, Content, Format, TableDiff};
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
    for rule in &loaded.pipeline().compare {
        if let Some(hint) = loaded.never_here(&rule.files) {
            let message = format!("`{}` of `compare:` can't be compared", rule.files);
            return Err(CliError::usage(message).with_hint(hint));
        }
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
    let here = &here;
    for path in every.iter().filter(wanted) {
        let name = path.as_str();
        let now = path.under(&loaded.root);
        let now = here.contains(*path).then_some(Content::File(&now));
        let before = there
            .contains(*path)
            .then(|| baseline.read(path))
            .transpose()?;
        let before = before.as_ref().map(Before::content);
        let format = Format::of(name, &loaded.pipeline().tables);
        headers.push(Header::read(path, format, [now, before])?);
        diffs.push(match (before, now) {
            (Some(before), Some(now)) => {
                let rule = tables::effective_rule(&loaded.pipeline().compare, path);
                let comparison = Comparison {
                    path: name,
                    format,
                    rule: &rule.unwrap_or_default(),
                    most: args.most,
                };
                comparison.of(before, now)?
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

/// The columns of a file, here and there.
struct Header<'a> {
    path: &'a RelPath,
    columns: Vec<String>,
    /// Whether they are the paths of values.
    paths: bool,
    /// Whether it is compared by columns.
    is_table: bool,
}

impl<'a> Header<'a> {
    fn read(
        path: &'a RelPath,
        format: Option<Format>,
        sides: [Option<Content<'_>>; 2],
    ) -> Result<Self, CliError> {
        let mut columns = Vec::new();
        if let Some(format) = format {
            for side in sides.into_iter().flatten() {
                columns.extend(tables::columns(side, format)?);
            }
        }
        Ok(Self {
            path,
            columns,
            paths: format.is_some_and(Format::is_document),
            is_table: format.is_some(),
        })
    }
}

/// Rules that match no file or no column: most likely typos, which leave something compared by
/// another rule than was meant.
fn idle(rules: &[CompareRule], headers: &[Header<'_>]) -> Vec<String> {
    let mut remarks = Vec::new();
    for rule in rules {
        let of_rule = |header: &&Header<'_>| tables::applies(rule, header.path);
        match headers.iter().any(|header| of_rule(&header)) {
            true => remarks.extend(idle_columns(rule, headers.iter().filter(of_rule))),
            false => remarks.push(format!("no file matches `{}` in `compare:`", rule.files)),
        }
    }
    remarks
}

/// Columns of a rule that none of these files has.
fn idle_columns<'h, 'p: 'h>(
    rule: &CompareRule,
    headers: impl Iterator<Item = &'h Header<'p>> + Clone,
) -> Vec<String> {
    let files = &rule.files;
    if !rule.columns.is_empty() && !headers.clone().any(|header| header.is_table) {
        return vec![format!(
            "the files that `{files}` in `compare:` matches are no tables: they are compared byte by \
             byte, and its `columns` do not apply"
        )];
    }
    let has = |header: &Header<'_>, column: &str| {
        let mut columns = header.columns.iter();
        columns.any(|one| tables::fits(column, one, header.paths))
    };
    let named = rule.columns.keys().filter(|column| *column != "*");
    let idle = named.filter(|column| !headers.clone().any(|header| has(header, column)));
    idle.map(|column| {
        format!("no file that `{files}` in `compare:` matches has a column `{column}`")
    })
    .collect()
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
    let rules = &loaded.pipeline().compare;
    let (name, place, inside) = match chosen {
        [one] if !is_folder(&one.place)? => {
            let inside = one.inside.as_ref().and_then(Option::as_ref);
            (one.word.clone(), one.place.clone(), inside.cloned())
        }
        _ => {
            let path = namesake(loaded, results, chosen, other, args)?;
            (path.to_string(), path.under(&loaded.root), Some(path))
        }
    };
    let rule = inside
        .as_ref()
        .and_then(|path| tables::effective_rule(rules, path));
    if rule.is_none() {
        out.note(&format!(
            "no rule in `compare:` matches `{name}`; comparing it exactly, row by row\n"
        ));
    }
    if !fs::exists(&place)? {
        return Err(CliError::usage(format!("there is no `{name}` to compare")));
    }
    let real = |path: &Path| fs::canonicalize(path);
    if real(&place)? == real(other)? {
        return Err(
            CliError::usage(format!("`{}` is the result itself", args.against))
                .with_hint("name another file, or a revision: `--against HEAD`"),
        );
    }
    let (before, now) = (Content::File(other), Content::File(&place));
    let format = match &inside {
        Some(path) => Format::of(path.as_str(), &loaded.pipeline().tables),
        None => Format::of(&name, &[]),
    };
    if let Some(path) = inside.as_ref().filter(|_| rule.is_some()) {
        let header = Header::read(path, format, [Some(now), Some(before)])?;
        for rule in rules.iter().filter(|rule| tables::applies(rule, path)) {
            for remark in idle_columns(rule, std::iter::once(&header)) {
                out.warning(&format!("{remark}, here or in `{}`", args.against));
            }
        }
    }
    let comparison = Comparison {
        path: &name,
        format,
        rule: &rule.unwrap_or_default(),
        most: args.most,
    };
    Ok(comparison.of(before, now)?)
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
