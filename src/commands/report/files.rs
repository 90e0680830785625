//! The files that a page shows: found, read, and made into tables and figures.

use std::collections::BTreeSet;

use crate::error::CliError;
use crate::session::Loaded;
use restage_claims::tables::{Decimal, Lookup};
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_core::suggest;
use restage_engine::Patterns;
use restage_pipeline::{Best, Diagnostic, Report, Show, Shown, TableFormat};
use restage_report::{Figure, Item, Origin, Table};

use super::provenance::Provenance;

/// What is wrong with an item of the page, at its place in the pipeline's file.
type Mistake = Box<Diagnostic>;

/// A file and what is in it.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: RelPath,
    bytes: Vec<u8>,
}

/// The files of each item of each section, in order.
#[derive(Debug)]
pub(super) struct Found(Vec<Vec<Vec<File>>>);

impl Found {
    /// Every path, sorted.
    pub(super) fn paths(&self) -> Vec<RelPath> {
        let files = self.0.iter().flatten().flatten();
        let mut paths: Vec<RelPath> = files.map(|file| file.path.clone()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    pub(super) fn sections(&self) -> &[Vec<Vec<File>>] {
        &self.0
    }
}

/// Reads the files of the page; a missing one is reported at its place in the pipeline's file.
pub(super) fn find(
    loaded: &Loaded,
    patterns: &Patterns,
    report: &Report,
) -> Result<Found, CliError> {
    let mut mistakes = Vec::new();
    let mut sections = Vec::with_capacity(report.sections.len());
    for section in &report.sections {
        let mut items = Vec::with_capacity(section.show.len());
        for show in &section.show {
            let files = files(loaded, patterns, &show.files)?;
            if files.is_empty() {
                mistakes.push(missing(loaded, show));
            }
            items.push(files);
        }
        sections.push(items);
    }
    match mistakes.is_empty() {
        true => Ok(Found(sections)),
        false => Err(loaded.invalid(mistakes)),
    }
}

fn files(loaded: &Loaded, patterns: &Patterns, wanted: &Glob) -> Result<Vec<File>, CliError> {
    let mut files = Vec::new();
    for path in patterns.matching(wanted)? {
        let bytes = fs::read_if_exists(&path.under(&loaded.root))?;
        files.extend(bytes.map(|bytes| File { path, bytes }));
    }
    Ok(files)
}

fn missing(loaded: &Loaded, show: &Show) -> Diagnostic {
    let wanted = show.files.as_str();
    let message = match Glob::is_glob(wanted) {
        true => format!("no file matches `{wanted}`"),
        false => format!("there is no `{wanted}`"),
    };
    let outs = loaded.graph.stages().iter().flat_map(|stage| &stage.outs);
    let path = RelPath::new(wanted).ok();
    let owner = path.and_then(|path| loaded.graph.owner_of(&path));
    let hint = match owner.map(|(id, _)| &loaded.graph.stage(id).name) {
        Some(stage) => match loaded.never_here(wanted) {
            Some(hint) => hint,
            None => format!("stage `{stage}` writes it: `restage reproduce`"),
        },
        None => match suggest::closest(wanted, outs.map(|out| out.path.as_str())) {
            Some(out) => format!("did you mean `{out}`?"),
            None => "run `restage reproduce` first, or fix the path".to_owned(),
        },
    };
    Diagnostic::new(show.location, message, "not found").hint(hint)
}

/// An item with its files.
pub(super) fn item(
    show: &Show,
    files: &[File],
    formats: &[TableFormat],
    provenance: &Provenance<'_>,
) -> Result<Item, Mistake> {
    let titles = titles(files);
    let caption = show.caption.clone();
    let titled = files.iter().zip(titles);
    match &show.shown {
        Shown::Table {
            columns,
            best,
            folded,
        } => {
            let read = files.iter().map(|file| read(file, show, formats));
            let lookups: Vec<Lookup> = read.collect::<Result<_, _>>()?;
            let mut made = Vec::new();
            if lookups.iter().all(Lookup::is_object) && !lookups.is_empty() {
                let origins = files.iter().map(|file| provenance.origin(&file.path));
                let found = match Glob::is_glob(show.files.as_str()) {
                    true => row_a_file(files, &lookups, show, columns)?,
                    false => by_path(&files[0], &lookups[0], show, columns)?,
                };
                made.push(found.table(None, origins.collect()));
            } else {
                for ((file, title), lookup) in titled.zip(&lookups) {
                    let origins = vec![provenance.origin(&file.path)];
                    made.push(shown(file, lookup, show, columns)?.table(title, origins));
                }
            }
            let mut tables = Vec::with_capacity(made.len());
            for (mut table, names) in made {
                for (column, best) in best {
                    mark(&mut table, &names, show, column, *best)?;
                }
                tables.push(table);
            }
            Ok(Item::Tables {
                caption,
                folded: *folded,
                tables,
            })
        }
        Shown::Figure { alt } => {
            let figures = titled.map(|(file, title)| Figure {
                alt: match &title {
                    Some(title) => format!("{alt}: {title}"),
                    None => alt.clone(),
                },
                title,
                media: media(&file.path),
                bytes: file.bytes.clone(),
                origin: provenance.origin(&file.path),
            });
            Ok(Item::Figures {
                caption,
                figures: figures.collect(),
            })
        }
    }
}

fn read(file: &File, show: &Show, formats: &[TableFormat]) -> Result<Lookup, Mistake> {
    let path = &file.path;
    Lookup::parse(path.as_str(), &file.bytes, formats).map_err(|fault| {
        let message = format!("`{path}` {fault}");
        Box::new(Diagnostic::new(show.location, message, "shown as a table"))
    })
}

/// What is shown of one or several files.
struct Made {
    /// Of the columns, as the files call them.
    names: Vec<String>,
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Made {
    fn table(self, title: Option<String>, origins: Vec<Origin>) -> (Table, Vec<String>) {
        let table = Table {
            title,
            headings: self.headings,
            rows: self.rows,
            best: Vec::new(),
            origins,
        };
        (table, self.names)
    }
}

/// Columns with their headings: the chosen ones, or all.
fn headed<'n>(
    chosen: &[(String, String)],
    all: impl IntoIterator<Item = &'n String>,
) -> Vec<(String, String)> {
    match chosen.is_empty() {
        true => {
            let names = all.into_iter();
            names
                .map(|name| (name.clone(), name.replace('_', " ")))
                .collect()
        }
        false => chosen.to_vec(),
    }
}

/// A column's cells, with a point in their numbers.
fn column(file: &File, show: &Show, lookup: &Lookup, name: &str) -> Result<Vec<String>, Mistake> {
    let cells = lookup.column(name);
    let cells = cells.map_err(|_| no_column(file, show, lookup, name))?;
    Ok(with_points(lookup, cells))
}

fn with_points(lookup: &Lookup, mut cells: Vec<String>) -> Vec<String> {
    if lookup.decimal() == Decimal::Comma {
        for cell in &mut cells {
            if lookup.number(cell).is_some() {
                *cell = cell.replacen(',', ".", 1);
            }
        }
    }
    cells
}

/// A table as its file has it.
fn shown(
    file: &File,
    lookup: &Lookup,
    show: &Show,
    columns: &[(String, String)],
) -> Result<Made, Mistake> {
    let chosen = headed(columns, lookup.columns());
    let mut cells = Vec::with_capacity(chosen.len());
    for (at, (name, _)) in chosen.iter().enumerate() {
        cells.push(match columns.is_empty() {
            // Several may share a name.
            true => with_points(lookup, lookup.column_at(at)),
            false => column(file, show, lookup, name)?,
        });
    }
    let row = |at: usize| cells.iter().map(|column| column[at].clone()).collect();
    let (names, headings) = chosen.into_iter().unzip();
    Ok(Made {
        names,
        headings,
        rows: (0..lookup.rows()).map(row).collect(),
    })
}

/// The values of one document, each in a row with its path.
fn by_path(
    file: &File,
    lookup: &Lookup,
    show: &Show,
    columns: &[(String, String)],
) -> Result<Made, Mistake> {
    let mut rows = Vec::new();
    for (name, heading) in headed(columns, lookup.columns()) {
        let mut cells = column(file, show, lookup, &name)?;
        rows.push(vec![heading, cells.pop().unwrap_or_default()]);
    }
    let names = ["path", "value"].map(str::to_owned);
    Ok(Made {
        headings: vec!["Path".to_owned(), "Value".to_owned()],
        names: names.into(),
        rows,
    })
}

/// Documents, a row for each, begun by what tells its file from the others.
fn row_a_file(
    files: &[File],
    lookups: &[Lookup],
    show: &Show,
    columns: &[(String, String)],
) -> Result<Made, Mistake> {
    let mut known: Vec<&String> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in lookups.iter().flat_map(Lookup::columns) {
        if seen.insert(name) {
            known.push(name);
        }
    }
    let chosen = headed(columns, known.iter().copied());
    for (name, _) in &chosen {
        if !lookups.iter().any(|lookup| lookup.has_column(name)) {
            let message = format!(
                "no file that `{}` matches has a column `{name}`",
                show.files.as_str()
            );
            let hint = suggest::hint_among(
                name,
                "their columns are",
                known.iter().map(|name| name.as_str()),
            );
            let error = Diagnostic::new(show.location, message, "shown by column");
            return Err(Box::new(error.maybe_hint(hint)));
        }
    }
    let titles = titles(files).into_iter().zip(files);
    let titles = titles.map(|(title, file)| title.unwrap_or_else(|| file.path.to_string()));
    let mut rows = Vec::with_capacity(files.len());
    for ((title, lookup), file) in titles.zip(lookups).zip(files) {
        let mut row = vec![title];
        for (name, _) in &chosen {
            row.push(match lookup.has_column(name) {
                true => column(file, show, lookup, name)?.pop().unwrap_or_default(),
                false => String::new(),
            });
        }
        rows.push(row);
    }
    let first = ("file".to_owned(), "File".to_owned());
    let (names, headings) = std::iter::once(first).chain(chosen).unzip();
    Ok(Made {
        names,
        headings,
        rows,
    })
}

/// Marks a column's best cells.
fn mark(
    table: &mut Table,
    names: &[String],
    show: &Show,
    column: &str,
    best: Best,
) -> Result<(), Mistake> {
    let Some(at) = names.iter().position(|name| name == column) else {
        let message = format!("`best` names `{column}`, which is not a column shown");
        let names = names.iter().map(String::as_str);
        let hint = suggest::hint_among(column, "the columns shown are", names);
        let error = Diagnostic::new(show.location, message, "shown here");
        return Err(Box::new(error.maybe_hint(hint)));
    };
    let numbers: Vec<(usize, f64)> = table
        .rows
        .iter()
        .enumerate()
        .filter_map(|(row, cells)| Some((row, cells[at].trim().parse().ok()?)))
        .filter(|(_, number): &(usize, f64)| number.is_finite())
        .collect();
    let better = match best {
        Best::Max => f64::max,
        Best::Min => f64::min,
    };
    let winner = numbers.iter().map(|(_, number)| *number).reduce(better);
    let winners = numbers.iter().filter(|(_, number)| Some(*number) == winner);
    table.best.extend(winners.map(|(row, _)| (*row, at)));
    Ok(())
}

fn no_column(file: &File, show: &Show, lookup: &Lookup, name: &str) -> Mistake {
    let message = format!("`{}` has no column `{name}`", file.path);
    let names = lookup.columns().iter().map(String::as_str);
    let hint = suggest::hint_among(name, "its columns are", names);
    let error = Diagnostic::new(show.location, message, "shown by column");
    Box::new(error.maybe_hint(hint))
}

fn media(path: &RelPath) -> &'static str {
    let end = path.as_str().rsplit_once('.').map_or("", |(_, end)| end);
    match end.to_lowercase().as_str() {
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        "gif" => "image/gif",
        _ => "image/jpeg",
    }
}

/// What distinguishes each file from the others: its path without what all share at start and end.
fn titles(files: &[File]) -> Vec<Option<String>> {
    let parts: Vec<Vec<&str>> = files
        .iter()
        .map(|file| file.path.as_str().split('/').collect())
        .collect();
    let [first, _, ..] = &parts[..] else {
        return vec![None; files.len()];
    };
    let same = |at: &dyn Fn(&[&str]) -> Option<String>| {
        let wanted = at(first);
        wanted.is_some() && parts.iter().all(|parts| at(parts) == wanted)
    };
    let part = |parts: &[&str], at: usize| parts.get(at).map(|part| (*part).to_owned());
    let from_end = |parts: &[&str], at: usize| part(parts, parts.len().checked_sub(at + 1)?);
    let least = parts.iter().map(Vec::len).min().unwrap_or(1);
    let start = (0..least - 1)
        .take_while(|at| same(&|parts| part(parts, *at)))
        .count();
    let end = (0..least - 1 - start)
        .take_while(|at| same(&|parts| from_end(parts, *at)))
        .count();
    let title = |parts: &Vec<&str>| {
        let mut kept = parts[start..parts.len() - end].join(" / ");
        if end == 0
            && let Some((stem, _)) = kept.rsplit_once('.')
        {
            kept.truncate(stem.len());
        }
        Some(kept)
    };
    parts.iter().map(title).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles_of(paths: &[&str]) -> Vec<Option<String>> {
        let file = |path: &&str| File {
            path: RelPath::new(path).unwrap(),
            bytes: Vec::new(),
        };
        titles(&paths.iter().map(file).collect::<Vec<_>>())
    }

    #[test]
    fn a_title_is_what_tells_a_path_from_the_others() {
        let some = |titles: &[&str]| {
            titles
                .iter()
                .map(|t| Some((*t).to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(titles_of(&["r/q/a.csv"]), [None]);
        assert_eq!(titles_of(&["r/a/c.csv", "r/b/c.csv"]), some(&["a", "b"]));
        assert_eq!(titles_of(&["r/c/a.svg", "r/c/b.svg"]), some(&["a", "b"]));
        assert_eq!(
            titles_of(&["r/a/seed-1/c.csv", "r/a/seed-2/c.csv", "r/b/seed-1/c.csv"]),
            some(&["a / seed-1", "a / seed-2", "b / seed-1"])
        );
        assert_eq!(titles_of(&["a.csv", "x/a.csv"]), some(&["a", "x / a"]));
    }
}
