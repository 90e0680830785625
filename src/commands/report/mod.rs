//! `restage report`: writes the page that `report:` describes.

mod facts;
mod files;
mod provenance;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::Report;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::{count, size};
use crate::judge::{JudgedClaim, judge_all};
use crate::left_over;
use crate::output::Output;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_claims::Verdict;
use restage_core::fs;
use restage_core::rel_path::RelPath;
use restage_engine::git::CommittedFiles;
use restage_engine::lineage::lineage;
use restage_pipeline::{self as spec, Diagnostic};
use restage_report::{Claim, Mark, Page, Section, html};

use provenance::Provenance;

pub(crate) fn report(
    settings: &Settings,
    args: &Report,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let Some(wanted) = &loaded.pipeline().report else {
        let message = format!("`{}` has no `report:`", loaded.file_name);
        return Err(CliError::usage(message).with_hint(
            "describe the page, such as `report: {title: Results, sections: \
             [{title: Scores, show: [{table: scores.csv}]}]}`",
        ));
    };
    let (path, name) = target(settings, &loaded, wanted, args.out.as_deref())?;
    let session = Session::look(settings, &loaded)?;
    let workspace = &session.workspace;
    let patterns = session.patterns()?;
    let found = files::find(&loaded, &patterns, wanted);
    let claims: Vec<&spec::Claim> = loaded.pipeline().claims.iter().collect();
    let judgement = judge_all(&loaded, &patterns, &claims);
    left_over::warn(&patterns, out);
    let found = found?;
    if let Some(error) = judgement.error(&loaded) {
        return Err(error);
    }
    let claims = judgement.claims;
    let facts = facts::read(&loaded, wanted)?;
    let what = "whether the results are up to date";
    let plan = session.plan_if_known(&[], what, out)?;
    let traced = lineage(workspace, &loaded.graph, plan.as_ref(), &found.paths())
        .map_err(|error| loaded.error(error))?;
    workspace.save_cache();
    let sources = traced.sources.iter().map(|source| source.path.as_str());
    let committed = CommittedFiles::among(&loaded.root, sources);
    let provenance = Provenance {
        lineage: &traced,
        committed: &committed,
    };
    let page = Page {
        title: wanted.title.clone(),
        text: paragraphs(wanted.text.as_deref()),
        facts: [facts, provenance.facts(loaded.profile())].concat(),
        notices: unmeasured(&claims)
            .into_iter()
            .chain(provenance.notices())
            .collect(),
        claims: claims.iter().map(claim).collect(),
        sections: sections(&loaded, wanted, &found, &provenance)?,
        runs: provenance.runs(),
        sources: provenance.sources(),
        made_by: concat!("restage ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let text = html(&page);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    fs::create_dir_all(folder.unwrap_or(Path::new(".")))?;
    fs::write_atomic(&path, text.as_bytes())?;
    for notice in provenance.notices() {
        out.warning(&notice);
    }
    if settings.json {
        let line = json!({
            "event": "report", "path": name, "bytes": text.len(), "sound": traced.is_sound(),
        });
        out.data(&format!("{line}\n"))?;
    } else {
        out.note(&format!("wrote {name} ({})\n", size(text.len() as f64)));
    }
    Ok(Exit::Ok)
}

/// Where the page is written, and how to show that path; never over what a stage writes.
fn target(
    settings: &Settings,
    loaded: &Loaded,
    wanted: &spec::Report,
    out: Option<&Path>,
) -> Result<(PathBuf, String), CliError> {
    let (path, name) = match out {
        Some(out) => (settings.path(out), out.display().to_string()),
        None => (wanted.path.under(&loaded.root), wanted.path.to_string()),
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    let inside = match out {
        None => Some(wanted.path.clone()),
        Some(_) => path
            .file_name()
            .map(|file| folder.join(file))
            .and_then(|full| RelPath::new(full.strip_prefix(&loaded.root).ok()?.to_str()?).ok()),
    };
    let owner = inside.and_then(|inside| loaded.graph.owner_of(&inside));
    let Some((id, _)) = owner else {
        return match is_free(&path)? {
            true => Ok((path, name)),
            false => {
                let message = format!("`{name}` is there, and is not a page of restage");
                let hint = "rename it, or give the page another name by `path:` or `--out`; nothing was written";
                Err(CliError::usage(message).with_hint(hint))
            }
        };
    };
    let stage = &loaded.graph.stage(id).name;
    let message = format!("the page would overwrite `{name}`, an out of stage `{stage}`");
    if out.is_some() {
        return Err(CliError::usage(message).with_hint("give `--out` another name"));
    }
    let item = Diagnostic::new(wanted.location, message, "writes a page")
        .hint("give `path:` another name, or remove it from the stage's `outs`");
    Err(loaded.invalid(vec![item]))
}

/// Whether nothing is at a path that a page would replace, but for an earlier page.
fn is_free(path: &Path) -> Result<bool, CliError> {
    const MARK: &[u8] = b"name=\"generator\" content=\"restage";
    if !fs::metadata_if_exists(path)?.is_some_and(|found| found.is_file()) {
        return Ok(true);
    }
    let there = fs::read_if_exists(path)?.unwrap_or_default();
    Ok(there.is_empty() || there.windows(MARK.len()).any(|part| part == MARK))
}

fn sections(
    loaded: &Loaded,
    wanted: &spec::Report,
    found: &files::Found,
    provenance: &Provenance<'_>,
) -> Result<Vec<Section>, CliError> {
    let mut mistakes = Vec::new();
    let sections = wanted
        .sections
        .iter()
        .zip(found.sections())
        .map(|(section, found)| {
            let items = section.show.iter().zip(found);
            let items = items.filter_map(|(show, found)| {
                let item = files::item(show, found, &loaded.pipeline().tables, provenance);
                item.map_err(|mistake| mistakes.push(*mistake)).ok()
            });
            Section {
                title: section.title.clone(),
                text: paragraphs(section.text.as_deref()),
                items: items.collect(),
            }
        });
    let sections = sections.collect();
    match mistakes.is_empty() {
        true => Ok(sections),
        false => Err(loaded.invalid(mistakes)),
    }
}

/// Paragraphs, cut at empty lines; other line breaks are spaces.
fn paragraphs(text: Option<&str>) -> Vec<String> {
    let mut paragraphs = vec![Vec::new()];
    for line in text.unwrap_or_default().lines() {
        match (line.trim(), paragraphs.last_mut()) {
            ("", _) | (_, None) => paragraphs.push(Vec::new()),
            (line, Some(last)) => last.push(line),
        }
    }
    paragraphs.retain(|lines| !lines.is_empty());
    paragraphs.iter().map(|lines| lines.join(" ")).collect()
}

fn claim(judged: &JudgedClaim<'_>) -> Claim {
    // The table for the terminal has a dash where there is no value.
    let value = |text: String| if text == "-" { String::new() } else { text };
    Claim {
        id: judged.claim.id.clone(),
        says: judged.claim.says.clone(),
        section: judged.claim.section.clone(),
        paper: value(judged.paper()),
        ours: value(judged.ours()),
        mark: match judged.judged.verdict {
            Verdict::Reproduced => Mark::Good,
            Verdict::DirectionOnly => Mark::Half,
            Verdict::NotReproduced => Mark::Bad,
            Verdict::NotMeasured => Mark::Open,
        },
        verdict: judged.judged.verdict.text().to_owned(),
        reason: judged.judged.reason.clone(),
    }
}

/// Why claims are not measured, the most common reason first.
fn unmeasured(claims: &[JudgedClaim<'_>]) -> Vec<String> {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for reason in claims
        .iter()
        .filter_map(|claim| claim.judged.reason.as_deref())
    {
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let all = count(claims.len(), "claim");
    let line = |(reason, n): &(&str, usize)| match n {
        1 => format!("1 of {all} is not measured: {reason}."),
        n => format!("{n} of {all} are not measured: {reason}."),
    };
    reasons.iter().map(line).collect()
}
