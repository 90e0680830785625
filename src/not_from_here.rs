//! Which tables are not what the pipeline's runs wrote, or would write now: verdicts by them are about
//! other results.

use std::collections::BTreeMap;

use crate::error::CliError;
use crate::format::count;
use crate::output::Output;
use crate::session::Session;
use restage_core::rel_path::RelPath;
use restage_engine::lineage::{Bytes, Lineage, Origin, Standing, Traced, lineage};

/// Warns of the tables of these that no current run wrote; sources are what they are.
pub(crate) fn warn(
    session: &Session<'_>,
    tables: &[RelPath],
    out: &mut Output,
) -> Result<(), CliError> {
    let loaded = session.loaded;
    let graph = &loaded.graph;
    let writer = |table: &&RelPath| graph.owner_of(table).is_some();
    let tables: Vec<RelPath> = tables.iter().filter(writer).cloned().collect();
    if tables.is_empty() {
        return Ok(());
    }
    let owners = tables.iter().filter_map(|table| graph.owner_of(table));
    let stages: Vec<String> = owners.map(|(id, _)| graph.stage(id).name.clone()).collect();
    // Without a plan, for want of a source, bytes can still be compared with records.
    let plan = session.plan(&loaded.select(&stages, false)?, &[].into());
    let found = lineage(&session.workspace, graph, plan.as_ref().ok(), &tables)
        .map_err(|error| loaded.error(error))?;
    let mut why: BTreeMap<String, Vec<&RelPath>> = BTreeMap::new();
    for table in &found.files {
        if let Some(text) = other(table, &found) {
            why.entry(text).or_default().push(&table.path);
        }
    }
    for (text, tables) in &why {
        let more = match tables.len() - 1 {
            0 => String::new(),
            n => format!(" and {}", count(n, "other table")),
        };
        out.warning(&format!("`{}`{more} {text}", tables[0]));
    }
    if !why.is_empty() {
        out.hint("the verdicts are about the tables as they are; `restage trace TABLE` says more, `restage reproduce` makes them again");
    }
    Ok(())
}

/// How a table is other than what the pipeline's run wrote.
fn other(table: &Traced, found: &Lineage) -> Option<String> {
    let (run, bytes) = match &table.origin {
        Origin::Run { run, bytes, .. } => (&found.runs[*run], bytes),
        Origin::Unrecorded {
            stage,
            locked: None,
        } => {
            return Some(format!(
                "was not written by a run of `{stage}` that is known here"
            ));
        }
        Origin::Unrecorded { .. } | Origin::Source(_) => return None,
    };
    let stage = &run.stage;
    match (bytes, &run.standing) {
        (Bytes::Edited { .. }, _) => Some(format!("is not what `{stage}` wrote: it was edited")),
        // A table that was read is there, if not all of its folder.
        (Bytes::Missing { .. }, _) => Some(format!("is not all that `{stage}` wrote")),
        (_, Standing::Stale(changes)) => {
            let what = changes
                .first()
                .map_or(String::new(), |one| format!(" ({one})"));
            Some(format!("is from a run of `{stage}` before a change{what}"))
        }
        (_, Standing::Waits(on)) => Some(format!(
            "is from a run of `{stage}` before `{}` changed",
            on.join("`, `")
        )),
        (_, Standing::Current | Standing::Gone | Standing::Unknown) => None,
    }
}
