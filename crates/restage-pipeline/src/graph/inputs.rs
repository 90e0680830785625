//! What each stage reads, told apart by who writes it.
//! What a pattern matches on the disk is found out later.

use std::collections::HashSet;

use super::clash;
use super::owners::Owners;
use super::{Input, StageId};
use crate::{Dep, DepPattern, Diagnostic, Stage};
use restage_core::glob::Glob;
use restage_core::span::Location;

/// A reader, what it reads, and where that is declared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) writer: StageId,
    pub(super) out: usize,
    pub(super) at: Location,
}

/// The inputs of one stage, and from whom they come.
pub(super) fn inputs(
    id: StageId,
    stages: &[Stage],
    owners: &Owners,
    report: &mut Vec<Diagnostic>,
) -> (Vec<Input>, Vec<Read>) {
    let stage = &stages[id.index()];
    let mut inputs = Vec::with_capacity(stage.deps.len());
    let mut reads = Vec::with_capacity(stage.deps.len());
    for dep in &stage.deps {
        match &dep.pattern {
            DepPattern::Path(path) => match owners.of(path.as_str()) {
                Some((writer, out)) => {
                    inputs.push(Input::Produced {
                        stage: writer,
                        out,
                        path: path.clone(),
                    });
                    reads.push(Read {
                        writer,
                        out,
                        at: dep.location,
                    });
                }
                None => {
                    if let Some(inside) = owners.below(path.as_str()) {
                        report.push(clash::folder_of_outs(stage, dep, path, inside, stages));
                    }
                    inputs.push(Input::Source { path: path.clone() });
                }
            },
            DepPattern::Glob(pattern) => match Glob::new(pattern) {
                Ok(glob) => glob_inputs(
                    id,
                    dep,
                    &glob,
                    stages,
                    owners,
                    &mut inputs,
                    &mut reads,
                    report,
                ),
                Err(error) => report.push(Diagnostic::new(
                    dep.location,
                    format!(
                        "`{pattern}` in `deps` of stage `{}` is not a pattern",
                        stage.name
                    ),
                    error.to_string(),
                )),
            },
        }
    }
    if let Some(notebook) = &stage.notebook {
        let path = &notebook.path;
        if let Some((writer, out)) = owners.of(path.as_str()) {
            report.push(clash::written_notebook(
                stage,
                notebook,
                (writer, out),
                stages,
            ));
        }
        inputs.push(Input::Notebook { path: path.clone() });
    }
    let mut seen = HashSet::new();
    inputs.retain(|input| seen.insert(identity(input)));
    (inputs, reads)
}

#[expect(clippy::too_many_arguments, reason = "one arm of the function above")]
fn glob_inputs(
    id: StageId,
    dep: &Dep,
    glob: &Glob,
    stages: &[Stage],
    owners: &Owners,
    inputs: &mut Vec<Input>,
    reads: &mut Vec<Read>,
    report: &mut Vec<Diagnostic>,
) {
    let mut produced = false;
    for (path, writer, out) in owners.matching(glob) {
        if *writer != id {
            produced = true;
            inputs.push(Input::Produced {
                stage: *writer,
                out: *out,
                path: path.clone(),
            });
            reads.push(Read {
                writer: *writer,
                out: *out,
                at: dep.location,
            });
        }
    }
    // A pattern inside an output folder: what it matches is not known before that stage ran.
    let whole = glob.as_str().strip_suffix("/**");
    if let Some((writer, out)) = owners.of(glob.base_folder())
        && whole != Some(stages[writer.index()].outs[out].path.as_str())
    {
        report.push(clash::pattern_inside_out(
            &stages[id.index()],
            dep,
            glob,
            (writer, out),
            stages,
        ));
    }
    inputs.push(Input::SourceGlob {
        pattern: glob.as_str().to_owned(),
        required: !dep.optional && !produced,
    });
}

/// Equal for inputs that are the same thing.
fn identity(input: &Input) -> (u8, String) {
    match input {
        Input::Source { path } => (0, path.to_string()),
        Input::SourceGlob { pattern, .. } => (1, pattern.clone()),
        Input::Notebook { path } => (3, path.to_string()),
        // One path has one writer.
        Input::Produced { path, .. } => (2, path.to_string()),
    }
}
