//! The messages for stages whose paths do not fit together.

use std::collections::HashSet;

use super::StageId;
use super::inputs::Read;
use super::owners::Owners;
use crate::{Data, Dep, DepPattern, Diagnostic, Notebook, Stage};
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;

/// Which stage, and which of its `outs`.
type OutId = (StageId, usize);

/// Every output that is another's, or lies inside another's.
pub(super) fn shared_outs(stages: &[Stage], owners: &Owners, report: &mut Vec<Diagnostic>) {
    let mut said = HashSet::new();
    for (index, stage) in stages.iter().enumerate() {
        for (n, out) in stage.outs.iter().enumerate() {
            let this = (StageId::new(index), n);
            let first = owners
                .exactly(out.path.as_str())
                .filter(|first| *first != this);
            let Some(other) = first.or_else(|| owners.around(out.path.as_str())) else {
                continue;
            };
            let writer = &stages[other.0.index()];
            // Instances share their declaration: one message is enough.
            if said.insert((out.location, writer.outs[other.1].location)) {
                report.push(shared(stage, n, writer, other.1));
            }
        }
    }
}

fn shared(stage: &Stage, n: usize, writer: &Stage, m: usize) -> Diagnostic {
    let (out, other) = (&stage.outs[n], &writer.outs[m]);
    let same = out.path == other.path;
    let message = match (same, stage.name == writer.name) {
        (true, true) => format!("stage `{}` declares `{}` twice", stage.name, out.path),
        (true, false) => {
            format!(
                "stages `{}` and `{}` both write `{}`",
                writer.name, stage.name, out.path
            )
        }
        (false, _) => format!(
            "stage `{}` writes `{}` inside `{}` of stage `{}`",
            stage.name, out.path, other.path, writer.name
        ),
    };
    let label = if same {
        "written by two"
    } else {
        "lies inside another output"
    };
    let hint = if out.location == other.location && stage.variant() == writer.variant() {
        "put `${seed}` into the path, so that each seed writes its own"
    } else if out.location == other.location {
        "put `${key}` into the path, so that each instance writes its own"
    } else if stage.name == writer.name {
        "keep one of the two"
    } else if same {
        "give each stage its own path"
    } else {
        "write next to that folder, or let its stage declare the files one by one"
    };
    let diagnostic = Diagnostic::new(out.location, message, label).hint(hint);
    if out.location == other.location {
        return diagnostic;
    }
    diagnostic.note_at(
        format!("`{}` writes `{}`", writer.name, other.path),
        other.location,
    )
}

/// A notebook that another stage writes: it would have to be read before it is there.
pub(super) fn written_notebook(
    stage: &Stage,
    notebook: &Notebook,
    (writer, out): OutId,
    stages: &[Stage],
) -> Diagnostic {
    let writer = &stages[writer.index()];
    let out = &writer.outs[out];
    let message = format!(
        "stage `{}` runs the notebook `{}`, which stage `{}` writes",
        stage.name, notebook.path, writer.name
    );
    Diagnostic::new(notebook.location, message, "a notebook is a source")
        .note_at(
            format!("`{}` writes `{}`", writer.name, out.path),
            out.location,
        )
        .hint("run it by `cmd: papermill ..`, with the notebook in `deps`")
}

/// A temporary out that no stage reads would be given up at once.
pub(super) fn temporary_for_nobody(
    stages: &[Stage],
    reads: &[Vec<Read>],
    report: &mut Vec<Diagnostic>,
) {
    let read: HashSet<OutId> = reads
        .iter()
        .flatten()
        .map(|read| (read.writer, read.out))
        .collect();
    for (index, stage) in stages.iter().enumerate() {
        for (n, out) in stage.outs.iter().enumerate() {
            if out.temporary && !read.contains(&(StageId::new(index), n)) {
                let message = format!(
                    "`{}` of stage `{}` is temporary, and no stage reads it",
                    out.path, stage.name
                );
                report.push(
                    Diagnostic::new(out.location, message, "would be given up at once")
                        .hint("remove `temporary: true`, or name it in the `deps` of the stage that reads it"),
                );
            }
        }
    }
}

/// Two stages of one name: nothing could tell them apart.
pub(super) fn same_name(stage: &Stage, first: &Stage) -> Diagnostic {
    Diagnostic::new(
        stage.location,
        format!("two stages are called `{}`", stage.name),
        "again here",
    )
    .note_at("the first", first.location)
    .hint("rename one of them")
}

/// Places of data that stages write to, and folders that are read though data is placed in them.
pub(super) fn data_places(
    data: &[Data],
    stages: &[Stage],
    owners: &Owners,
    report: &mut Vec<Diagnostic>,
) {
    for data in data {
        let Data { name, place, .. } = data;
        let place_text = place.as_str();
        if let Some((writer, out)) = owners.of(place_text).or_else(|| owners.below(place_text)) {
            let writer = &stages[writer.index()];
            let out = &writer.outs[out];
            let message = format!(
                "data `{name}` is placed at `{place}`, where stage `{}` writes",
                writer.name
            );
            report.push(
                Diagnostic::new(data.location, message, "a stage writes here")
                    .note_at(
                        format!("`{}` writes `{}`", writer.name, out.path),
                        out.location,
                    )
                    .hint("choose another `place`, or write elsewhere"),
            );
        }
        for stage in stages {
            for dep in &stage.deps {
                let DepPattern::Path(path) = &dep.pattern else {
                    continue;
                };
                if path != place && place.is_within(path) {
                    let message = format!(
                        "stage `{}` reads the folder `{path}`, in which data `{name}` is placed",
                        stage.name
                    );
                    report.push(
                        Diagnostic::new(dep.location, message, "the data is not in this folder itself")
                            .note_at(format!("`{name}` is placed at `{place}`"), data.location)
                            .hint(format!(
                                "name `{place}`, and whatever else is read in `{path}`; or place the data elsewhere"
                            )),
                    );
                }
            }
        }
    }
}

/// A dep that is a folder in which stages write.
pub(super) fn folder_of_outs(
    stage: &Stage,
    dep: &Dep,
    path: &RelPath,
    (writer, out): OutId,
    stages: &[Stage],
) -> Diagnostic {
    let writer = &stages[writer.index()];
    let out = &writer.outs[out];
    Diagnostic::new(
        dep.location,
        format!(
            "stage `{}` reads the folder `{path}`, in which stages write",
            stage.name
        ),
        "which of its files, and when?",
    )
    .note_at(
        format!("`{}` writes `{}`", writer.name, out.path),
        out.location,
    )
    .hint(format!(
        "name the files that are read, or use a pattern such as \"{path}/*\""
    ))
}

/// A pattern below a folder that a stage writes as a whole.
pub(super) fn pattern_inside_out(
    stage: &Stage,
    dep: &Dep,
    glob: &Glob,
    (writer, out): OutId,
    stages: &[Stage],
) -> Diagnostic {
    let writer = &stages[writer.index()];
    let out = &writer.outs[out];
    Diagnostic::new(
        dep.location,
        format!(
            "stage `{}` reads `{glob}`, a pattern inside an output of `{}`",
            stage.name, writer.name
        ),
        "its matches are not known before that stage has run",
    )
    .note_at(
        format!("`{}` writes `{}`", writer.name, out.path),
        out.location,
    )
    .hint(format!(
        "read the whole folder, `{}`, or a file in it by name",
        out.path
    ))
}
