//! `restage adopt STAGE..`: makes files that are there the results of stages that did not run.

use std::collections::BTreeSet;

use serde_json::json;

use crate::args::Adopt;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::count;
use crate::output::Output;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_engine::{AdoptError, Adopted, Event, Observer, Word, adopt as adopt_stages};
use restage_pipeline::graph::StageId;

/// Shows warnings.
struct Warnings<'a>(&'a mut Output);

impl Observer for Warnings<'_> {
    fn event(&mut self, event: &Event<'_>) {
        if let Event::Warning { stage, text } = event {
            self.0.warning(&format!("`{stage}` {text}"));
        }
    }
}

pub(crate) fn adopt(settings: &Settings, args: &Adopt, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = Loaded::open(settings, &args.pipeline)?;
    let stages = loaded.named(&args.stages)?;
    let adopted = adopt_in(settings, &loaded, &stages, None, out)?;
    for stage in adopted {
        let name = &stage.stage;
        if settings.json {
            let value = json!({"stage": name, "adopted": stage.outs > 0, "outs": stage.outs});
            out.data(&format!("{value}\n"))?;
            continue;
        }
        out.data(&match stage.outs {
            0 => format!("{name} has this result already\n"),
            outs => format!("{name}: adopted {}\n", count(outs, "out")),
        })?;
    }
    Ok(Exit::Ok)
}

/// Adopts the outs of stages on the word of the user, and of the file `from` if one named them.
pub(super) fn adopt_in(
    settings: &Settings,
    loaded: &Loaded,
    stages: &BTreeSet<StageId>,
    from: Option<&str>,
    out: &mut Output,
) -> Result<Vec<Adopted>, CliError> {
    let session = Session::open(settings, loaded)?;
    let workspace = &session.workspace;
    let user = ["USER", "LOGNAME"].into_iter();
    let by = user.filter_map(|name| settings.env.text(name)).next();
    let by = by.as_deref().unwrap_or("an unnamed user");
    let word = Word { by, from };
    let adopted = adopt_stages(workspace, &loaded.graph, stages, &word, &mut Warnings(out));
    workspace.save_cache();
    adopted.map_err(|error| match error {
        AdoptError::Run(error) => loaded.error(error),
        error => {
            let hint = error.hint();
            CliError::new(error, Exit::Usage).maybe_hint(hint)
        }
    })
}
