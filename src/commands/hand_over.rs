//! `restage hand-over`: makes a batch of stages that would run (docs/adr/0037).

use crate::args::HandOver;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::session::{PipelineFile, Session};
use crate::settings::Settings;
use restage_engine::{HandedOver, Observer, hand_over as hand};

pub(crate) fn hand_over(
    settings: &Settings,
    args: &HandOver,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let file = PipelineFile::read(settings, &args.pipeline)?;
    let loaded = file.parse(&args.pipeline)?;
    let session = Session::open(settings, &loaded)?;
    let selected = loaded.select(&args.targets, false)?;
    let (workspace, graph) = (&session.workspace, &loaded.graph);
    let of = workspace.root.display().to_string();
    let mut go = |observer: &mut dyn Observer| hand(workspace, graph, &selected, &of, observer);
    let cores = settings.capacity(None).cpu;
    let handed = session.observed(false, cores, &mut go);
    workspace.save_cache();
    let HandedOver {
        batch,
        stages,
        stay,
    } = handed.map_err(|error| loaded.error(error))?;
    let folder = batch.map(|batch| batch.dir().display().to_string());
    if settings.json {
        let stay = stay.iter().map(|(stage, why)| (stage, why.to_string()));
        let stay: std::collections::BTreeMap<_, _> = stay.collect();
        let line = serde_json::json!({"batch": folder, "jobs": stages, "stay": stay});
        out.data(&format!("{line}\n"))?;
        return Ok(Exit::Ok);
    }
    for (stage, why) in &stay {
        out.note(&format!("{stage} has to run here: {why}\n"));
    }
    match folder {
        Some(folder) => out.data(&format!("{folder}\n"))?,
        None => out.note("nothing to hand over\n"),
    }
    Ok(Exit::Ok)
}
