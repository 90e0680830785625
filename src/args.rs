//! The command line: its doc comments are the help.
//! It must not know what a verb does.

mod compare;
mod export;
mod report;
mod trace;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use compare::Compare;
pub(crate) use export::{Export, RoCrate, Tensorboard};
pub(crate) use report::Report;
pub(crate) use trace::Trace;

/// Run a declared experiment: only what is stale, every output cached by content.
#[derive(Debug, Parser)]
#[command(name = "restage", version, max_term_width = 90)]
#[command(after_help = "\
Exit codes: 0 done, 1 a stage failed, 2 wrong pipeline or command line,
3 stale or different, 4 the machine failed, 70 a bug in restage, 130 interrupted.")]
pub(crate) struct Cli {
    /// Work in this folder instead of the current one.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Share results with other workspaces in this folder, made if need be [default: RESTAGE_STORE
    /// in the environment, else each workspace keeps its own in .restage].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// When to use colour: auto, always or never.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    #[arg(hide_possible_values = true)]
    pub(crate) color: Colour,

    /// Write machine-readable JSON lines to stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run what is stale, restore what is cached, leave the rest alone.
    #[command(visible_aliases = ["repro", "run"])]
    Reproduce(Reproduce),
    /// Say what is fresh and what would run, without running anything.
    Status(Status),
    /// Say why a stage would run, or on what its result rests.
    Why(Why),
    /// Draw the stages and what they read from each other.
    Dag(Dag),
    /// Compare result tables with committed ones; exit 3 where they differ.
    ///
    /// `compare:` in pipeline.yaml says which tables, and how closely each column must match.
    #[command(after_long_help = compare::DIFFERENCES)]
    Compare(Compare),
    /// Say which claims of the paper the results reproduce; exit 3 if one got worse.
    ///
    /// `claims:` in pipeline.yaml says what the paper claims, and what counts as reproduced. A
    /// verdict is held against the committed one in results/PROFILE/claims.csv, which --write
    /// makes; a claim on times (`volatile: true`) is only shown. A value of several runs (`samples`)
    /// is their mean and half the width of its 95 % t-interval, of which the whole must lie where
    /// `direction` says; one run has no interval.
    Claims(Claims),
    /// Write results in forms that other tools read.
    #[command(subcommand)]
    Export(Export),
    /// Write a page with the results, the claims and how all of it was made.
    ///
    /// `report:` in pipeline.yaml says which tables and figures it has. It is one file that a
    /// browser shows offline, with light and dark colours; below each table and figure it says
    /// which runs made it.
    Report(Report),
    /// Say where a file, or a number in a table, comes from: every run down to the sources.
    ///
    /// It is about the bytes that stand there: they belong to the run whose record has exactly
    /// them, even if the pipeline was changed since. Exit 3 where no record does: the file was
    /// edited, or made elsewhere. Without --profile it is looked for under each.
    Trace(Trace),
    /// Run fresh stages again and hold what they write against the record; exit 3 on a difference.
    ///
    /// Each stage runs from exactly the inputs that its record names, in a folder of its own that
    /// is removed afterwards: outs, history and pipeline.lock stay as they are. `within` means
    /// that bytes differ, but no further than `compare:` allows; volatile outs never count. A
    /// stage that differs is marked nondeterministic in its record, and both results are kept.
    Verify(Verify),
    /// Show what a stage printed.
    Logs(Logs),
    /// Remove from .restage what nothing needs any more.
    ///
    /// What stays: all that pipeline.lock names, what stands in the workspace, what the pipeline
    /// would use as it is now under any profile, and the last results of each stage, so that a
    /// recent edit that is taken back is restored without running. Anything else costs a run to
    /// get back. Checkpoints stay for stages that would run next.
    ///
    /// In a shared store (`--store`) the same stays for every other workspace that used it, until
    /// its folder is removed. Where one can't be seen from here (on another machine, in a
    /// container) all stays that it ever had, unless --forget-unseen is given.
    Gc(Gc),
    /// Check every stored byte, mend what can be mended; exit 3 if anything was wrong.
    ///
    /// Damaged objects are moved to .restage/quarantine and made anew from the workspace where it
    /// has an intact copy, or another one does that shares the store; what stays lost is made by
    /// the next `restage reproduce`.
    Fsck(Fsck),
    /// Write a small working pipeline.yaml into an empty folder, or import a DVC pipeline.
    ///
    /// `--from dvc.yaml` imports its stages (cmd, wdir, deps, outs, metrics, plots, params, foreach,
    /// matrix, vars) and lists what has no like here, with its line and what to do instead. Values
    /// of params files move under `params:`; a stage finds those that it declares in a params file
    /// that its command makes. The project's own files are not touched.
    Init(Init),
    /// Merge two versions of pipeline.lock, stage by stage; git calls it.
    ///
    /// What one side changed is taken. A stage of which the sides have different results, or one
    /// a result and the other none any more, is left out: it counts as not reproduced until the
    /// next `restage reproduce`. There are never conflict markers. The result is written to OURS.
    #[command(after_help = "\
To have git call it, commit this line in .gitattributes:
  pipeline.lock merge=restage
and in each clone run once:
  git config merge.restage.driver 'restage merge-lock %O %A %B'
Without it git merges the text. Should it leave conflict markers, run
`restage reproduce`: it sets the file aside and makes it anew.")]
    MergeLock(MergeLock),
    /// Print the JSON Schema of pipeline.yaml, for editors.
    Schema,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Which pipeline, under which parameters.
#[derive(Debug, Clone, Args)]
pub(crate) struct PipelineArgs {
    /// Profile to merge over the parameters [default: the file's `default_profile`].
    #[arg(short = 'p', long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Override a parameter, such as `-S train.epochs=5`. May be repeated.
    #[arg(short = 'S', long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,

    /// The pipeline file.
    #[arg(long, value_name = "FILE", default_value = "pipeline.yaml")]
    pub(crate) file: PathBuf,
}

/// Run what is stale, restore what is cached, leave the rest alone.
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// Stages (`train@resnet18`), groups (`train`) or outs; everything by default.
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Only say what would run.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,

    /// Run the targets (or everything) even where they are fresh.
    #[arg(short = 'f', long)]
    pub(crate) force: bool,

    /// Also run what depends on the targets.
    #[arg(long)]
    pub(crate) downstream: bool,

    /// Stages at once, at most [default: the number of cores].
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,

    /// Go on with stages that don't depend on a failed one.
    #[arg(short = 'k', long)]
    pub(crate) keep_going: bool,

    /// Trace each stage that runs; report files that it uses without declaring them.
    ///
    /// Results and records are the same with and without. What counts is the workspace, your
    /// home, and all else but the system's folders (/usr, /etc, /opt, ...), temporary folders, and
    /// programs with their installations. Needs Linux 5.5 or later.
    #[arg(long)]
    pub(crate) audit: bool,

    /// Like --audit, and fail a stage that uses what it does not declare: nothing is recorded.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Print only failures.
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
}

/// Say what is fresh and what would run, without running anything.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Stages, groups or outs; everything by default.
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Exit with 3 if anything is stale.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Say why a stage would run, or on what its result rests.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// A stage, a group or an out.
    pub(crate) stage: String,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Compare with this earlier result: the start of its key, or a date such as 2026-11-20 for
    /// the last one that began before it [default: the last one, or the one before if that
    /// stands].
    #[arg(long, value_name = "KEY|DATE")]
    pub(crate) since: Option<String>,
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DagFormat {
    /// For the terminal.
    Text,
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
}

/// Draw the stages and what they read from each other.
#[derive(Debug, Args)]
pub(crate) struct Dag {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// How.
    #[arg(long, value_enum, default_value_t = DagFormat::Text)]
    pub(crate) format: DagFormat,

    /// Draw the graph alone: don't look at what is fresh, nor open .restage.
    #[arg(long)]
    pub(crate) no_status: bool,
}

/// Say which claims of the paper the results reproduce; exit 3 if one got worse.
#[derive(Debug, Args)]
pub(crate) struct Claims {
    /// Claims (`accuracy@resnet18`) or groups (`accuracy`), with the paper's words; all by default.
    pub(crate) ids: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// A Markdown table, for a comment.
    #[arg(long, conflicts_with = "junit")]
    pub(crate) md: bool,

    /// JUnit XML: a claim that got worse failed, one that is not measured was skipped.
    #[arg(long)]
    pub(crate) junit: bool,

    /// Make these verdicts the ones to commit.
    #[arg(long, conflicts_with = "ids")]
    pub(crate) write: bool,
}

/// Run fresh stages again and hold what they write against the record; exit 3 on a difference.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Stages, groups or outs; everything by default.
    pub(crate) stages: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Reruns of each stage.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) times: u16,

    /// Stages at once, at most [default: the number of cores].
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,

    /// Go on with the other stages after a rerun failed.
    #[arg(short = 'k', long)]
    pub(crate) keep_going: bool,

    /// Print only failures and what was found.
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
}

/// Show what a stage printed.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// A stage.
    pub(crate) stage: String,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

/// Remove from .restage what nothing needs any more.
#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Different results of each stage to keep, and attempts whose logs.
    #[arg(long, value_name = "K", default_value_t = 3)]
    pub(crate) keep_runs: usize,

    /// Only say what would be removed.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,

    /// Of a shared store: keep nothing for workspaces that can't be seen from here.
    #[arg(long)]
    pub(crate) forget_unseen: bool,

    /// The pipeline file.
    #[arg(long, value_name = "FILE", default_value = "pipeline.yaml")]
    pub(crate) file: PathBuf,
}

/// Check every stored byte, mend what can be mended; exit 3 if anything was wrong.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// The pipeline file.
    #[arg(long, value_name = "FILE", default_value = "pipeline.yaml")]
    pub(crate) file: PathBuf,
}

/// Write a small working pipeline.yaml into an empty folder, or import one.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder; it may not exist yet.
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,

    /// Import this dvc.yaml: pipeline.yaml is written beside it.
    #[arg(long, value_name = "dvc.yaml", conflicts_with = "folder")]
    pub(crate) from: Option<PathBuf>,
}

/// Merge two versions of pipeline.lock, stage by stage; git calls it.
#[derive(Debug, Args)]
pub(crate) struct MergeLock {
    /// What both sides started from; an empty file where they have nothing in common.
    pub(crate) base: PathBuf,

    /// Our version, which the result replaces.
    pub(crate) ours: PathBuf,

    /// Their version.
    pub(crate) theirs: PathBuf,
}
