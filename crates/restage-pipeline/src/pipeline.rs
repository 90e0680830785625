//! The validated pipeline: one profile chosen, matrices expanded, templates filled in.
//! It knows neither YAML nor the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::copied_params::EditedCopy;
use super::data_path::{Data, Fetch};
use super::environment::{Environment, Tool};
use super::expression::Expression;
use super::resources::Resources;
use super::script::{Script, Shell};
use super::sources::Source;
use super::yaml_1_1::OtherReading;

use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;

/// An experiment, ready to be made into a graph.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pipeline {
    /// The experiment's name.
    pub name: String,
    /// The profile that the parameters were resolved for.
    pub profile: String,
    /// Every profile that there is, in declared order.
    pub profiles: Vec<String>,
    /// Every parameter after profile and overrides were merged in.
    pub params: Value,
    /// Files whose values were copied into the parameters, with the blake3 of each then.
    pub copied_params: BTreeMap<String, String>,
    /// Values that are written into it and are others now where they come from.
    pub edited_copies: Vec<EditedCopy>,
    /// The folder of the cargo workspace that `program:` packages belong to, relative to the
    /// pipeline's; empty where it is that folder itself.
    pub programs: String,
    /// How far stages are kept apart that don't say it themselves.
    pub isolation: IsolationRule,
    /// What reads the commands of stages that say nothing of it.
    pub shell: Shell,
    /// The caller's variables that every stage is given; part of no key.
    pub pass_env: BTreeSet<String>,
    /// Files and folders outside the pipeline's folder that stages read.
    pub data: Vec<Data>,
    /// The software that stages run in, by name.
    pub environments: BTreeMap<String, Arc<Environment>>,
    /// Of stages with a command that say nothing of it.
    pub default_environment: Option<Arc<Environment>>,
    /// Stage instances in the order in which the file declares them.
    pub stages: Vec<Stage>,
    /// How tables are written that are not what their names say, in order; a later item wins.
    pub tables: Vec<TableFormat>,
    /// How result tables are compared, in order; a later rule wins.
    pub compare: Vec<CompareRule>,
    /// What the paper says, to be compared with results.
    pub claims: Vec<Claim>,
    /// What other tools are shown of the results.
    pub export: Export,
    /// The page that shows results.
    pub report: Option<Report>,
    /// Parameters that scripts which read YAML themselves see otherwise.
    pub other_readings: Vec<OtherReading>,
    /// The files that it names and that were read with it; their order is that of
    /// [`Location::file`].
    pub sources: Vec<Source>,
}

/// One stage instance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stage {
    /// `train@resnet18+43`: the group's name, `@` and the key where there is `foreach` or `matrix`,
    /// `+` and the seed where there are `seeds`.
    pub name: String,
    /// The name under `stages:`, with its file's namespace before it if that is included.
    pub group: String,
    /// The name under `stages:` as its own file has it.
    pub key: String,
    /// The included file that declares it, as shown in messages; `None`: the pipeline file itself.
    pub file: Option<String>,
    /// The folder of the included file, in which it runs; empty for the pipeline's own.
    pub folder: String,
    /// For people; never part of a key.
    pub desc: Option<String>,
    /// What is run.
    pub action: Action,
    /// The notebook that its command runs.
    pub notebook: Option<Notebook>,
    /// What is read, in declared order.
    pub deps: Vec<Dep>,
    /// Declared parameters: dotted path and value, sorted by path.
    pub params: BTreeMap<String, Value>,
    /// What is written, in declared order.
    pub outs: Vec<Out>,
    /// Environment: a value sets it, `None` passes the caller's value on. Both enter the key.
    pub env: BTreeMap<String, Option<String>>,
    /// Variables of the caller's that it is given; neither names nor values enter the key.
    pub pass_env: BTreeSet<String>,
    /// Variables whose values are the caller's and never shown; only their names enter the key.
    pub secrets: Vec<Secret>,
    /// Commands whose output is an input.
    pub tools: Vec<Tool>,
    /// The software that it runs in, if restage makes or runs that.
    pub environment: Option<Arc<Environment>>,
    /// What is reserved, and the memory that is enforced; never part of a key.
    pub resources: Resources,
    /// Without what it is skipped; never part of a key.
    pub requires: Requires,
    /// How far it is kept apart; `None`: as the pipeline says. Never part of a key.
    pub isolation: Option<IsolationRule>,
    /// It shall have no network; never part of a key.
    pub offline: bool,
    /// Wall time after which an attempt is stopped.
    pub timeout: Option<Duration>,
    /// Attempts after the first one.
    pub retries: u32,
    /// Where the stage's name stands in the file.
    pub location: Location,
}

impl Stage {
    /// The name without the seed, which all seeds of one variant share: `train@resnet18`.
    #[must_use]
    pub fn variant(&self) -> &str {
        // Neither groups nor keys can have a `+`.
        self.name.split('+').next().unwrap_or_default()
    }

    /// Whether it is given this variable as a secret.
    pub(crate) fn has_secret(&self, name: &str) -> bool {
        self.secrets.iter().any(|secret| secret.name == name)
    }

    /// Where it is declared, for people: ``"`train:` (line 7 of the pipeline)"``.
    #[must_use]
    pub fn declared_at(&self) -> String {
        let (key, line) = (&self.key, self.location.line);
        match &self.file {
            None => format!("`{key}:` (line {line} of the pipeline)"),
            Some(file) => format!("`{key}:` (line {line} of `{file}`)"),
        }
    }

    /// A path below the pipeline's folder as the stage's own file writes it.
    #[must_use]
    pub fn written(&self, path: &str) -> String {
        let folder = self.folder.split('/').filter(|name| !name.is_empty());
        let folder: Vec<&str> = folder.collect();
        let names: Vec<&str> = path.split('/').collect();
        let both = folder.iter().zip(&names).take_while(|(a, b)| a == b);
        let same = both.count().min(names.len() - 1);
        let up = std::iter::repeat_n("..", folder.len() - same);
        let names: Vec<&str> = up.chain(names[same..].iter().copied()).collect();
        names.join("/")
    }

    /// Words that run others in the stage's folder; none where that is the pipeline's own.
    #[must_use]
    pub fn in_folder(&self, words: Vec<String>) -> Vec<String> {
        if self.folder.is_empty() {
            return words;
        }
        let enter = ["/bin/sh", "-c", "cd -- \"$0\" && exec \"$@\"", &self.folder];
        let enter = enter.into_iter().map(str::to_owned);
        enter.chain(words).collect()
    }

    /// What reads its `tools`: what reads its command, or `sh` if that is no shell.
    #[must_use]
    pub fn tool_shell(&self) -> Shell {
        match &self.action {
            Action::Command(script) if script.shell.is_sh() => script.shell.clone(),
            Action::Command(_) | Action::Program { .. } | Action::Fetch(_) => Shell::Sh,
        }
    }
}

/// What a stage runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A workspace crate under `stages/`, built by cargo; its code is part of the key.
    Program {
        /// The package's name.
        package: String,
        /// Its arguments, templates filled in.
        args: Vec<String>,
    },
    /// A command.
    Command(Script),
    /// A download, by restage itself: of `data:` with a `url`.
    Fetch(Fetch),
}

impl Default for Action {
    /// A command that does nothing.
    fn default() -> Self {
        Self::Command(Script::default())
    }
}

impl Action {
    /// One text for the default shell.
    #[must_use]
    pub fn command(text: &str) -> Self {
        Self::Command(Script {
            texts: vec![text.to_owned()],
            ..Script::default()
        })
    }
}

/// A notebook, of which only the cells and the kernel count.
#[derive(Debug, Clone, PartialEq)]
pub struct Notebook {
    /// The file.
    pub path: RelPath,
    /// Where it stands in the pipeline.
    pub location: Location,
}

/// A declared input.
#[derive(Debug, Clone, PartialEq)]
pub struct Dep {
    /// The path or pattern as declared, after templates.
    pub pattern: DepPattern,
    /// A pattern that may match nothing.
    pub optional: bool,
    /// Where it stands in the file.
    pub location: Location,
}

/// A file, folder or glob, relative to the pipeline's folder.
#[derive(Debug, Clone, PartialEq)]
pub enum DepPattern {
    /// Exactly this file or folder.
    Path(RelPath),
    /// Every match of `*`, `?`, `[..]`, `{a,b}` and `**`, among the declared outs of other stages
    /// and the files on disk that no stage wrote ([`crate::OtherSeeds`]). The matched set is
    /// part of the key.
    Glob(String),
}

/// A variable of the caller's whose value is shown nowhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Secret {
    /// The variable's name.
    pub name: String,
    /// Where it stands in the file.
    pub location: Location,
}

/// A declared output.
#[derive(Debug, Clone, PartialEq)]
pub struct Out {
    /// A file or folder.
    pub path: RelPath,
    /// Its bytes enter no key (times, memory).
    pub volatile: bool,
    /// How it gets from the store into the workspace; never part of a key.
    pub place: Place,
    /// It is kept until all stages that read it have a record; never part of a key.
    pub temporary: bool,
    /// The path with `*` for the seed, where the stage has `seeds`.
    pub any_seed: Option<String>,
    /// Where it stands in the file.
    pub location: Location,
}

/// How an output gets from the store into the workspace (`docs/adr/0015`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Place {
    /// A separate file, which people may edit.
    #[default]
    Copy,
    /// Read-only, a second name of what the store has: costs no space.
    Link,
}

/// How far a stage is kept apart from the rest of the machine (`docs/adr/0017`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IsolationRule {
    /// As far as the machine allows.
    #[default]
    Auto,
    /// Wholly, or it does not run.
    Required,
    /// Not at all.
    None,
}

/// What a stage requires that not every machine has (`docs/adr/0030`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requires {
    /// The cards that it asks for, or at least one.
    pub gpu: bool,
    /// Variables of the caller's that are set.
    pub env: Vec<String>,
    /// Files that are there: absolute, relative to the pipeline's folder, or below `~/`.
    pub files: Vec<String>,
}

/// How some tables are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableFormat {
    /// Glob over paths relative to the pipeline's folder, after templates.
    pub files: String,
    /// What separates cells, if not what the file's name or header says.
    pub delimiter: Option<u8>,
    /// Whether `0,5` is a number, and `0.5` is none.
    pub decimal_comma: bool,
}

/// Which tables are compared, and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CompareRule {
    /// Glob over paths relative to the pipeline's folder, after templates.
    pub files: String,
    /// Key columns that name a row; empty: rows are compared in order.
    pub key: Vec<String>,
    /// Rule by column; `*` is every column that is not named.
    pub columns: BTreeMap<String, ColumnRule>,
}

/// How one column must match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColumnRule {
    /// The same text.
    Exact,
    /// Not compared.
    Ignore,
    /// Numbers that differ by at most `absolute` and the share `relative` of the expected one, added up.
    Within {
        /// In the numbers' unit.
        absolute: f64,
        /// Of the expected number's size.
        relative: f64,
    },
}

impl ColumnRule {
    /// Numbers that differ by at most this.
    #[must_use]
    pub fn absolute(absolute: f64) -> Self {
        Self::Within {
            absolute,
            relative: 0.0,
        }
    }

    /// Numbers that differ by at most this share of the expected one.
    #[must_use]
    pub fn relative(relative: f64) -> Self {
        Self::Within {
            absolute: 0.0,
            relative,
        }
    }
}

/// What other tools are shown of the results.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Export {
    /// Tables of what happened step by step.
    pub tensorboard: Vec<StepTables>,
    /// What people know of the experiment.
    pub ro_crate: RoCrate,
}

/// What an RO-Crate says in addition to what was recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoCrate {
    /// What the experiment is.
    pub description: Option<String>,
    /// Of all that is in the crate: an SPDX identifier, an address, or in words.
    pub license: Option<String>,
    /// Who ran it.
    pub agent: Option<Agent>,
    /// Globs over files that go along, after templates.
    pub also: Vec<String>,
}

/// A person or an organisation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its address, such as an ORCID's.
    pub id: Option<String>,
}

/// Tables with a row for each step of a training run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepTables {
    /// Path or glob, relative to the pipeline's folder, after templates.
    pub tables: String,
    /// The column that numbers the steps.
    pub step: String,
    /// Where `tables` stands in the file.
    pub location: Location,
}

/// Something that the paper says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Claim {
    /// Its name, `accuracy@resnet18` where it was expanded.
    pub id: String,
    /// What the paths in its expressions are relative to, below the pipeline's folder.
    pub folder: String,
    /// The paper's words.
    pub says: String,
    /// Where it says so.
    pub section: Option<String>,
    /// Its value, a number where there is a tolerance.
    pub paper: Option<PaperValue>,
    /// Of both values.
    pub unit: Option<String>,
    /// Our value.
    pub ours: Option<Expression>,
    /// What counts as reproduced.
    pub rule: ClaimRule,
    /// What counts as half of it.
    pub direction: Option<Direction>,
    /// Where this doesn't hold, nothing is measured.
    pub needs: Option<Expression>,
    /// The reason that is given then.
    pub otherwise: Option<String>,
    /// Differs from machine to machine: never compared with the committed verdict.
    pub volatile: bool,
}

/// A value in the paper.
#[derive(Debug, Clone, PartialEq)]
pub enum PaperValue {
    /// To compute with.
    Number(f64),
    /// To show.
    Text(String),
}

/// What counts as reproduced.
#[derive(Debug, Clone, PartialEq)]
pub enum ClaimRule {
    /// Ours and the paper's differ by at most this.
    Absolute(f64),
    /// They differ by at most this share of the paper's.
    Relative(f64),
    /// This holds.
    Holds(Expression),
}

impl Default for ClaimRule {
    /// Ours is exactly the paper's.
    fn default() -> Self {
        Self::Absolute(0.0)
    }
}

/// On which side of a bound our value must lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Direction {
    /// Greater than this.
    Above(f64),
    /// Less than this.
    Below(f64),
}

/// A page that shows results.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Where it is written; ends in `.html`.
    pub path: RelPath,
    /// At its top.
    pub title: String,
    /// Below the title; an empty line begins a paragraph.
    pub text: Option<String>,
    /// What its head says of the results, in order.
    pub facts: Vec<Fact>,
    /// Its sections, in order.
    pub sections: Vec<Section>,
    /// Where `report` stands in the file.
    pub location: Location,
}

/// A name for the text of a table's cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What the text says, such as `Data`.
    pub name: String,
    /// The table's file.
    pub table: RelPath,
    /// Its row, as `restage trace --row` takes it.
    pub row: String,
    /// Its column.
    pub column: String,
    /// Where it stands in the file.
    pub location: Location,
}

/// Tables and figures under a heading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// Below the heading; an empty line begins a paragraph.
    pub text: Option<String>,
    /// What is shown, in order.
    pub show: Vec<Show>,
}

/// A table or figure, or several of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Show {
    /// The file or files, templates filled in.
    pub files: Glob,
    /// As what.
    pub shown: Shown,
    /// Words next to it.
    pub caption: Option<String>,
    /// Where the file is named.
    pub location: Location,
}

/// How a file is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// As a table.
    Table {
        /// Columns with their headings, in order; empty: all, as the file has them.
        columns: Vec<(String, String)>,
        /// Columns whose best cell is bold.
        best: BTreeMap<String, Best>,
        /// Whether it is closed until it is asked for.
        folded: bool,
    },
    /// As a picture.
    Figure {
        /// What it shows, for those who can't see it.
        alt: String,
    },
}

/// Which cell of a column is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Best {
    /// The greatest.
    Max,
    /// The least.
    Min,
}
