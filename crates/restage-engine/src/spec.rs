//! A stage of the pipeline as plain data, for whatever runs it.

use restage_pipeline::{Action, Gpus, Stage, Tool};
use restage_worker::{Limits, OWN_NAME, Out, Runs, Spec, ToolQuestion};

/// The first argument of a restage that downloads data: the address, the SHA-256, what it is unpacked
/// from (or nothing) and the path to make follow.
pub const FETCH_ARGUMENT: &str = "__fetch";

/// What a stage runs, is given and writes. `cards` is how many graphics cards it is given, where it says
/// anything of them.
pub(super) fn of(stage: &Stage, cards: usize) -> Spec {
    Spec {
        name: stage.name.clone(),
        runs: runs(stage),
        folder: stage.folder.clone(),
        params: stage.params.clone(),
        env: stage.env.clone(),
        pass_env: stage.pass_env.clone(),
        secrets: stage.secrets.iter().map(|s| s.name.clone()).collect(),
        own_name: own_name(stage),
        outs: stage
            .outs
            .iter()
            .map(|out| Out {
                path: out.path.clone(),
                volatile: out.volatile,
            })
            .collect(),
        tools: stage
            .tools
            .iter()
            .map(|tool| question(stage, tool))
            .collect(),
        limits: Limits {
            threads: stage.resources.cpu.threads(),
            cards: (stage.resources.gpu != Gpus::Unstated)
                .then(|| u32::try_from(cards).unwrap_or(u32::MAX)),
            memory: stage.resources.mem,
            timeout: stage.timeout,
        },
    }
}

fn runs(stage: &Stage) -> Runs {
    match &stage.action {
        Action::Program { package, args } => Runs::Program {
            package: package.clone(),
            args: args.clone(),
        },
        Action::Command(script) => Runs::Words(stage.in_folder(script.argv())),
        Action::Fetch(fetch) => {
            let out = stage.outs.first().map(|out| out.path.as_str());
            let unpack = fetch.unpack.as_deref().unwrap_or_default();
            let words = [FETCH_ARGUMENT, &fetch.url, &fetch.sha256, unpack];
            Runs::Restage(words.into_iter().chain(out).map(str::to_owned).collect())
        }
    }
}

/// How a tool is asked.
pub(super) fn question(stage: &Stage, tool: &Tool) -> ToolQuestion {
    let mut argv = stage.tool_shell().words();
    argv.push(tool.line.clone());
    ToolQuestion {
        line: tool.line.clone(),
        argv: stage.in_folder(argv),
    }
}

/// The stage's name, if its command asks for it. It is part of the key then, and only then: a stage that
/// can't know its name keeps its result when it is renamed.
pub(super) fn own_name(stage: &Stage) -> Option<String> {
    let asks = match &stage.action {
        Action::Program { .. } | Action::Fetch(_) => false,
        Action::Command(script) => script.for_key().iter().any(|line| line.contains(OWN_NAME)),
    };
    asks.then(|| stage.name.clone())
}
