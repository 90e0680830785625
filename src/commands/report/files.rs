//! The files that a page shows: found, read, and made into tables and figures.

use crate::error::CliError;
use crate::session::Loaded;
use restage_claims::tables::Lookup;
use restage_core::fs;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_engine::Patterns;
use restage_pipeline::{Best, Diagnostic, Report, Show, Shown, suggest};
use restage_report::{Figure, Item, Table};

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
    let hint = match owner {
        Some((id, _)) => format!(
            "stage `{}` writes it: `restage reproduce`",
            loaded.graph.stage(id).name
        ),
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
            let mut tables = Vec::with_capacity(files.len());
            for (file, title) in titled {
                let (mut table, names) = table(file, show, columns, provenance)?;
                table.title = title;
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

/// The table, and the names of its columns in the file.
fn table(
    file: &File,
    show: &Show,
    columns: &[(String, String)],
    provenance: &Provenance<'_>,
) -> Result<(Table, Vec<String>), Mistake> {
    let path = &file.path;
    let lookup = Lookup::parse(path.as_str(), &file.bytes).map_err(|fault| {
        let message = format!("`{path}` {fault}");
        Box::new(Diagnostic::new(show.location, message, "shown as a table"))
    })?;
    let chosen: Vec<(String, String)> = match columns.is_empty() {
        true => {
            let names = lookup.columns().iter();
            names
                .map(|name| (name.clone(), name.replace('_', " ")))
                .collect()
        }
        false => columns.to_vec(),
    };
    let mut cells = Vec::with_capacity(chosen.len());
    for (name, _) in &chosen {
        let column = lookup.column(name);
        cells.push(column.map_err(|_| no_column(file, show, &lookup, name))?);
    }
    let row = |at: usize| cells.iter().map(|column| column[at].clone()).collect();
    let (names, headings) = chosen.into_iter().unzip();
    let table = Table {
        title: None,
        headings,
        rows: (0..lookup.rows()).map(row).collect(),
        best: Vec::new(),
        origin: provenance.origin(path),
    };
    Ok((table, names))
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
