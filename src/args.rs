//! The command line: the doc comments here are the help texts.

mod compare;
mod export;
mod pipeline;
#[cfg(test)]
mod reference;
mod remote;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use compare::Compare;
pub(crate) use export::{Export, RoCrate, Tensorboard};
pub(crate) use pipeline::PipelineArgs;
pub(crate) use remote::{Pull, Push, Remote, RemoteTargets};

/// Run the stages of an experiment that are out of date, and cache every result by content.
#[derive(Debug, Parser)]
#[command(name = "restage", version, max_term_width = 90)]
#[command(after_help = "\
Exit codes: 0 success, 1 a stage failed, 2 invalid pipeline or command line,
3 stale or different, 4 machine error (disk, memory, processes), 70 a bug in
restage, 130 interrupted.")]
pub(crate) struct Cli {
    /// Run as if started in DIR.
    #[arg(short = 'C', long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(crate) directory: Option<PathBuf>,

    /// Store results in DIR, shared with other workspaces (created if missing) [default:
    /// $RESTAGE_STORE, else .restage in each workspace].
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(crate) store: Option<PathBuf>,

    /// When to use colour: auto, always or never.
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    #[arg(hide_possible_values = true, help_heading = GLOBAL)]
    pub(crate) color: Colour,

    /// Print JSON lines instead of text.
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const GLOBAL: &str = "Global options";

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

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(visible_aliases = ["repro", "run"])]
    Reproduce(Reproduce),
    Status(Status),
    Why(Why),
    Dag(Dag),
    Data(Data),
    Compare(Compare),
    Claims(Claims),
    /// Export results for other tools: TensorBoard, or an RO-Crate.
    #[command(subcommand)]
    Export(Export),
    Report(Report),
    Trace(Trace),
    Verify(Verify),
    Logs(Logs),
    Adopt(Adopt),
    Push(Push),
    Pull(Pull),
    #[command(subcommand)]
    Remote(Remote),
    Clean(Clean),
    Gc(Gc),
    Fsck(Fsck),
    Init(Init),
    MergeLock(MergeLock),
    Schema(Schema),
    #[command(hide = true)]
    HandOver(HandOver),
    #[command(hide = true)]
    Worker(Worker),
    /// Print a shell completion script.
    ///
    /// The script asks restage for the names of stages, claims, profiles and parameters. For bash, put
    /// `source <(restage completions bash)` into ~/.bashrc.
    Completions {
        /// The shell to print it for.
        shell: clap_complete::Shell,
    },
}

/// Put stages that would run, and all that they read, into the store as a batch of jobs for `restage
/// worker`, and print its folder.
///
/// Only stages whose inputs are known by now are handed over.
#[derive(Debug, Args)]
pub(crate) struct HandOver {
    /// Stages, groups or outs [default: all stages].
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

/// Run a job of a batch, on any machine that sees its store.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// The batch's folder.
    pub(crate) batch: PathBuf,

    /// Which of its jobs, from 0.
    pub(crate) job: u32,

    /// Look every so many seconds whether another worker has taken over. A worker that can't look for twice as
    /// long ends its stage; one that does not show that it lives for four times as long is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) look: u64,

    /// Where stages run and write [default: $SLURM_TMPDIR, else $TMPDIR, else /tmp].
    #[arg(long, value_name = "DIR")]
    pub(crate) work: Option<PathBuf>,
}

/// Print the JSON Schema of pipeline.yaml, for editors.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Write it beside the pipeline file, as pipeline.schema.json, where the first line that
    /// `restage init` writes looks for it.
    #[arg(long)]
    pub(crate) write: bool,

    /// The pipeline file [default: pipeline.yaml, here or in the nearest folder above].
    #[arg(long, value_name = "FILE", requires = "write")]
    pub(crate) file: Option<PathBuf>,
}

/// Run stages that are out of date, restore cached results, skip the rest.
///
/// A stage runs if no result is recorded for its key: a digest of its command or code, inputs, declared parameters
/// and environment. What it leaves at its outs is stored, recorded and put into the workspace. If its outs
/// are unchanged, nothing downstream runs. Ctrl-C asks running stages to stop, and kills them after ten seconds or
/// at a second Ctrl-C; finished results and checkpoints stay.
#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    /// Stages (`train@resnet18`), groups (`train`) or outs [default: all stages].
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Print what would run, and run nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,

    /// Run the targets (or all stages) even if they are up to date.
    #[arg(short = 'f', long)]
    pub(crate) force: bool,

    /// Also run the stages that depend on the targets.
    #[arg(long)]
    pub(crate) downstream: bool,

    /// Run at most N stages at once [default: the number of cores]. Each also needs its
    /// `resources.cpu`, which is one core unless it says less.
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,

    /// After a failure, keep running stages that don't depend on the failed one.
    #[arg(short = 'k', long)]
    pub(crate) keep_going: bool,

    /// Trace the stages that run and report files that they use without declaring them.
    ///
    /// Results and records are the same with and without it. Files in the workspace, your home and
    /// elsewhere are reported, but not system folders (/usr, /etc, /opt, ...), temporary folders,
    /// or installed programs. Needs Linux 5.5 or later.
    #[arg(long)]
    pub(crate) audit: bool,

    /// Like --audit, but fail a stage that uses an undeclared file; its results are not recorded.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Move files that no run wrote, and that stand where outs go, to restage-set-aside/.
    ///
    /// Without this, or --replace, nothing runs if there are such files. What a run wrote and was
    /// edited since is always moved there, and named.
    #[arg(long, conflicts_with = "replace")]
    pub(crate) set_aside: bool,

    /// Replace files that stand where outs go and that the store does not have: they are lost.
    #[arg(long)]
    pub(crate) replace: bool,

    /// Use results that a remote has, signed by somebody whom restage.toml trusts. If it can't be reached, a warning
    /// says so, and stages run.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) pull: bool,

    /// Push the results of the targets to a remote afterwards. What can't be pushed costs a warning.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) push: bool,

    /// The remote [default: the only one in restage.toml].
    #[arg(long, value_name = "NAME")]
    pub(crate) remote: Option<String>,

    /// Run nothing if the remote can't be reached.
    #[arg(long, requires = "pull")]
    pub(crate) remote_required: bool,

    /// Print only failures.
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
}

/// Show which stages are up to date and which would run.
///
/// A stage is fresh, would be restored from the store, is stale (with what changed), waits for a stage that
/// would run first, is gated (this machine lacks what it requires), or is blocked. Nothing is run or written.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Stages, groups or outs [default: all stages].
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Exit with 3 if anything is stale.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Explain why a stage would run, or what its current result was made from.
///
/// Shows every ingredient of the key, such as the command, parameters and digests of inputs, and what
/// changed since an earlier result.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// A stage, a group or an out.
    pub(crate) stage: String,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Compare with this earlier result: the start of its key, or a date such as 2026-11-20 for the
    /// last result before it [default: the last result, or the one before it if the stage is up to
    /// date].
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

/// Show the stages and their dependencies.
///
/// The text lists each stage with what it reads and writes. `--format dot | dot -Tsvg` draws it with Graphviz;
/// GitHub draws a block of `mermaid` by itself.
#[derive(Debug, Args)]
pub(crate) struct Dag {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// How it is printed.
    #[arg(long, value_enum, default_value_t = DagFormat::Text)]
    pub(crate) format: DagFormat,

    /// Don't check what is up to date; .restage is not opened.
    #[arg(long)]
    pub(crate) no_status: bool,
}

/// List data from outside the pipeline's folder, and say whether it is what it was.
///
/// What `data:` in pipeline.yaml names is pinned in pipeline.lock when it is first read. If it changes, the
/// stages that read it stop, until `restage data update NAME` accepts it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Data {
    #[command(subcommand)]
    pub(crate) command: Option<DataCommand>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

/// What to do about data.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Accept data as it is now: stages that read it run again if it has changed.
    Update(DataUpdate),
}

/// Which data.
#[derive(Debug, Args)]
pub(crate) struct DataUpdate {
    /// Names under `data:`.
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

/// Check which claims of the paper the results reproduce; exit 3 if one got worse.
///
/// `claims:` in pipeline.yaml says what the paper claims and what counts as reproduced. Verdicts are
/// compared with the committed results/PROFILE/claims.csv, which --write creates. A claim about
/// times (`volatile: true`) is shown but never compared. The value of several runs (`samples`) is
/// their mean, plus or minus half the width of its 95 % t-interval; the whole interval must satisfy
/// `direction`. A single run has no interval.
#[derive(Debug, Args)]
pub(crate) struct Claims {
    /// Claims (`accuracy@resnet18`) or groups (`accuracy`), shown with the paper's words [default:
    /// all].
    pub(crate) ids: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Print a Markdown table, for a comment.
    #[arg(long, conflicts_with = "junit")]
    pub(crate) md: bool,

    /// Print JUnit XML: a claim that got worse is a failure, an unmeasured one is skipped.
    #[arg(long)]
    pub(crate) junit: bool,

    /// Write these verdicts to results/PROFILE/claims.csv, to be committed.
    #[arg(long, conflicts_with = "ids")]
    pub(crate) write: bool,
}

/// Write a web page with the results, the claims and their provenance.
///
/// `report:` in pipeline.yaml says which tables and figures it shows. The page is a single file that
/// works offline, in light and dark mode. Below each table and figure it says which runs made it.
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The file to write [default: `path` of `report:`].
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Trace a file, or a number in a table, back through every run to its sources.
///
/// What is traced are the bytes in the workspace now: they belong to the run that recorded exactly
/// them, even if the pipeline has changed since. If no record has them, because the file was edited
/// or made elsewhere, the exit code is 3. Without --profile, the file is looked up in every profile.
#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// A result or a source, relative to the pipeline's folder.
    #[arg(value_name = "FILE")]
    pub(crate) path: String,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The number's row: a value of the first column, `column=value`, or a row number from 1 (-1 is
    /// the last).
    #[arg(
        long,
        value_name = "ROW",
        requires = "column",
        allow_hyphen_values = true
    )]
    pub(crate) row: Option<String>,

    /// The number's column.
    #[arg(long, value_name = "NAME", requires = "row")]
    pub(crate) column: Option<String>,

    /// The number's JSON pointer, such as `/accuracy`, in a JSON, YAML or TOML file.
    #[arg(long, value_name = "POINTER", conflicts_with_all = ["row", "column"])]
    pub(crate) at: Option<String>,
}

/// Rerun up-to-date stages and compare their outputs with the recorded ones; exit 3 if they differ.
///
/// Each stage runs with exactly its recorded inputs, in a temporary folder: outs, history and
/// pipeline.lock are left alone. `within` means that the bytes differ, but by no more than `compare:`
/// allows. Volatile outs are not compared. A stage whose outputs differ is marked nondeterministic
/// in its record, and both results are kept. Without namespaces, a rerun has its work folder at another
/// path; where an output contains that, and where either run was not kept apart, it is said.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Stages, groups or outs [default: all stages].
    pub(crate) stages: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Rerun each stage N times.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) times: u16,

    /// Run at most N stages at once [default: the number of cores]. Each also needs its
    /// `resources.cpu`, which is one core unless it says less.
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,

    /// After a failed rerun, keep going with the other stages.
    #[arg(short = 'k', long)]
    pub(crate) keep_going: bool,

    /// Print only failures and verdicts.
    #[arg(short = 'q', long)]
    pub(crate) quiet: bool,
}

/// Show the output of a stage's last run.
///
/// Both standard output and standard error are shown, of the last attempt whether or not it succeeded, or while
/// it runs. Older ones are in .restage/logs until `restage gc`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// A stage, such as `train@small`.
    pub(crate) stage: String,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

/// Record files that are there as the results of stages, without running them.
///
/// All outs of a stage must be there. They become the result of its key as it is now, marked as
/// adopted, with your name and the time, in `restage why`, `restage trace`, on the report's page and in
/// exports.
/// The files stay as they are. `restage verify` runs such a stage and compares.
#[derive(Debug, Args)]
pub(crate) struct Adopt {
    /// Stages (`train@resnet18`), groups (`train`) or outs.
    #[arg(required = true)]
    pub(crate) stages: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

/// Remove outs of stages, items, names and profiles that the pipeline no longer declares.
///
/// Only files that are exactly what a run of restage wrote are removed; what was added or edited stays, and
/// so does what the pipeline reads by name.
#[derive(Debug, Args)]
pub(crate) struct Clean {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// Print what would be removed, and remove nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// Remove what nothing needs any more from .restage.
///
/// Kept are: everything in pipeline.lock (of other.yaml, other.yaml.lock), also as any branch, tag,
/// stash, worktree or remote-tracking branch of git has it, everything in the workspace, everything
/// the pipeline would use now under any profile, and the last few results of each stage, so that
/// undoing a recent edit restores its results without a run. Checkpoints are kept for stages that
/// would run next. Whatever is removed can be made again by running its stage. Adopted results, which
/// can't, are kept unless --drop-adopted names their stage.
///
/// In a shared store (`--store`) the same is kept for every other workspace that used it, until its
/// folder is removed. For a workspace that can't be seen from here (on another machine, in a
/// container) everything is kept, unless --forget-unseen is given.
#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Keep the last K different results of each stage, and the logs of its last K attempts.
    #[arg(long, value_name = "K", default_value_t = 3)]
    pub(crate) keep_runs: usize,

    /// Print what would be removed, and remove nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,

    /// Drop what this stage adopted, too, once nothing needs it; no run can make that again.
    #[arg(long, value_name = "PROFILE/STAGE")]
    pub(crate) drop_adopted: Vec<String>,

    /// In a shared store, keep nothing for workspaces that can't be seen from here.
    #[arg(long)]
    pub(crate) forget_unseen: bool,

    /// The pipeline file [default: pipeline.yaml, here or in the nearest folder above].
    #[arg(long, value_name = "FILE", help_heading = pipeline::HEADING)]
    pub(crate) file: Option<PathBuf>,
}

/// Check every stored file and repair what can be repaired; exit 3 if anything was damaged.
///
/// Damaged objects are moved to .restage/quarantine and restored from an intact copy in this
/// workspace, or in another one that shares the store. If there is none, the next `restage
/// reproduce` makes them again. Checked too are the lock files of all pipelines in the folder, and the
/// outs that they name.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// The pipeline file [default: pipeline.yaml, here or in the nearest folder above].
    #[arg(long, value_name = "FILE", help_heading = pipeline::HEADING)]
    pub(crate) file: Option<PathBuf>,
}

/// Create a small working pipeline, or import one from DVC.
///
/// `--from dvc.yaml` imports its stages (cmd, wdir, deps, outs, metrics, plots, params, foreach,
/// matrix, vars), with those of other dvc.yaml that they read from or write for. It lists what has no
/// equivalent here, with its line and what to do instead, and exits with 3 if a stage does not do here what it
/// did. Parameters stay in their files (`params: {from: [params.yaml]}`); an imported command first writes the ones
/// that its stage declares to a params file. Scripts that commands name, and modules that these import, become deps. The
/// project's own files are not changed.
///
/// Where a dvc.lock stands beside it, results are adopted: of each stage whose command, deps, outs and
/// parameters are those that DVC recorded, with the same MD5. The others run; both are listed.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder (created if missing). With `--from`: where pipeline.yaml goes, by default the nearest folder
    /// above dvc.yaml that has `.dvc` or `.git`.
    pub(crate) folder: Option<PathBuf>,

    /// Import this dvc.yaml, or all below this folder.
    #[arg(long, value_name = "dvc.yaml")]
    pub(crate) from: Option<PathBuf>,
}

/// Merge two versions of pipeline.lock, as a git merge driver.
///
/// Changes that only one side made are kept. A stage whose results differ between the sides, or that
/// one side changed and the other removed, is left out: it is not reproduced until the next `restage
/// reproduce`. There are never conflict markers. The result is written to OURS.
#[derive(Debug, Args)]
#[command(after_help = "\
To use it in git, commit this line in .gitattributes:
  pipeline.lock merge=restage
and run this once in each clone:
  git config merge.restage.driver 'restage merge-lock %O %A %B'
Without it git merges the file as text. If that leaves conflict markers, run
`restage reproduce`: it sets the file aside and writes a new one.")]
pub(crate) struct MergeLock {
    /// The common ancestor (empty if there is none).
    pub(crate) base: PathBuf,

    /// Our version, which is replaced by the result.
    pub(crate) ours: PathBuf,

    /// Their version.
    pub(crate) theirs: PathBuf,
}
