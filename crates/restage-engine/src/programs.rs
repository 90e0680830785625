//! The binaries of `program:` stages, built once for each state of their sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::error::RunError;
use super::event::{Event, Observer};
use super::facts::FactsError;
use super::plan::Plan;
use super::workspace::Workspace;
use restage_core::clock::Instant;
use restage_core::digest::Digest;
use restage_core::fs;
use restage_pipeline::Action;
use restage_pipeline::graph::Graph;

/// Each package's binary. Its path contains the digest of the sources, so that an edit during a
/// run can't change what runs.
pub(super) type Programs = BTreeMap<String, PathBuf>;

fn place(ws: &Workspace, package: &str, code: &Digest) -> PathBuf {
    ws.store
        .location()
        .dir()
        .join("programs")
        .join(code.to_string())
        .join(package)
}

/// Builds the programs of the stages that run, or may, where they are missing.
pub(super) fn build(
    ws: &Workspace,
    graph: &Graph,
    plan: &Plan,
    observer: &mut dyn Observer,
) -> Result<Programs, RunError> {
    let package = |id| match &graph.stage(id).action {
        Action::Program { package, .. } => Some(package.clone()),
        Action::Command(_) | Action::Fetch(_) => None,
    };
    let packages: BTreeSet<String> = plan.pending().filter_map(package).collect();
    if packages.is_empty() {
        return Ok(Programs::new());
    }
    let code = ws.code_digests()?;
    let mut programs = Programs::new();
    let mut missing = Vec::new();
    for package in packages {
        let digest = code.of(&package).map_err(FactsError::from)?.digest;
        let path = place(ws, &package, &digest);
        if !fs::exists(&path)? {
            missing.push((package.clone(), digest, path.clone()));
        }
        programs.insert(package, path);
    }
    if missing.is_empty() {
        return Ok(programs);
    }
    let started = Instant::now();
    let names: Vec<String> = missing
        .iter()
        .map(|(package, ..)| package.clone())
        .collect();
    observer.event(&Event::Building { packages: &names });
    // One call each: cargo unifies features over the packages of a call, and a binary must not
    // depend on what else happens to be stale.
    let mut built = BTreeMap::new();
    for name in &names {
        built.extend(restage_programs::build(
            &ws.root.join(&ws.programs),
            std::slice::from_ref(name),
            &mut |text| observer.event(&Event::BuildLine { text }),
        )?);
    }
    let after = ws.fresh_code_digests()?;
    for (package, digest, path) in missing {
        if after.of(&package).map_err(FactsError::from)?.digest != digest {
            return Err(RunError::SourcesMoved { package });
        }
        let binary = built
            .get(&package)
            .ok_or_else(|| restage_programs::CargoError::NoBinary {
                package: package.clone(),
                binaries: built.keys().cloned().collect(),
            })?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let temp = fs::temp_name(&path);
        fs::copy(binary, &temp)?;
        fs::set_mode(&temp, 0o755)?;
        fs::sync_file(&temp)?;
        fs::rename(&temp, &path)?;
    }
    observer.event(&Event::Built {
        seconds: started.elapsed().as_secs_f64(),
    });
    Ok(programs)
}
