//! `restage adopt STAGE..`: makes files that are there the results of stages that did not run.

use serde_json::json;

use crate::args::Adopt;
use crate::error::CliError;
use crate::exit::Exit;
use crate::format::count;
use crate::output::Output;
use crate::session::{Loaded, Session};
use crate::settings::Settings;
use restage_engine::{AdoptError, Event, Observer, adopt as adopt_stages};

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
    let session = Session::open(settings, &loaded)?;
    let workspace = &session.workspace;
    let user = ["USER", "LOGNAME"].into_iter();
    let by = user.filter_map(|name| settings.env.text(name)).next();
    let by = by.unwrap_or_else(|| "an unnamed user".to_owned());
    let adopted = adopt_stages(workspace, &loaded.graph, &stages, &by, &mut Warnings(out));
    workspace.save_cache();
    let adopted = adopted.map_err(|error| match error {
        AdoptError::Run(error) => loaded.error(error),
        error => {
            let hint = error.hint();
            CliError::new(error, Exit::Usage).maybe_hint(hint)
        }
    })?;
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
