//! A page about results: plain data in, one HTML document out that loads nothing from the network.
//! It must not know the pipeline, the store or the disk (docs/adr/0012).
//!
//! maud escapes whatever it is given; only our own style sheet and script go in unescaped. The
//! page's Content-Security-Policy names both by their digests and allows nothing else.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod claims;
pub mod export;
mod items;
mod number;
mod page;
mod runs;
#[cfg(test)]
mod tests;

pub use page::html;

/// All that a page shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// At the top.
    pub title: String,
    /// Paragraphs below the title.
    pub text: Vec<String>,
    /// Short facts: the profile, the machine, the time it took.
    pub facts: Vec<Fact>,
    /// What a reader must know before reading on.
    pub notices: Vec<String>,
    /// What the paper says, and the verdicts on it.
    pub claims: Vec<Claim>,
    /// Tables and figures.
    pub sections: Vec<Section>,
    /// The runs behind them, each after the runs whose outs it read.
    pub runs: Vec<Run>,
    /// What the runs read that no stage wrote.
    pub sources: Vec<Source>,
    /// Which program made the page; at its end.
    pub made_by: String,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// `Profile`.
    pub name: String,
    /// For people.
    pub value: String,
    /// The whole value if the one above was shortened.
    pub full: Option<String>,
}

/// Something that the paper says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub id: String,
    /// The paper's words.
    pub says: String,
    /// Where it says so.
    pub section: Option<String>,
    /// Its value, with its unit; empty if it has none.
    pub paper: String,
    /// Ours, likewise.
    pub ours: String,
    /// How good the verdict is.
    pub mark: Mark,
    /// The verdict in words.
    pub verdict: String,
    /// Why nothing was measured.
    pub reason: Option<String>,
}

/// How good a verdict is: a sign and a colour next to its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As the paper says.
    Good,
    /// Partly.
    Half,
    /// Not as the paper says.
    Bad,
    /// Not known.
    Open,
}

/// Tables and figures under a heading.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// Paragraphs below it.
    pub text: Vec<String>,
    /// Tables and figures.
    pub items: Vec<Item>,
}

/// Files that are shown together.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Tables of one kind.
    Tables {
        /// Their caption.
        caption: Option<String>,
        /// Whether they are closed until asked for.
        folded: bool,
        /// At least one.
        tables: Vec<Table>,
    },
    /// Pictures of one kind.
    Figures {
        /// Their caption.
        caption: Option<String>,
        /// At least one.
        figures: Vec<Figure>,
    },
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What distinguishes it from the others of its item.
    pub title: Option<String>,
    /// One per column.
    pub headings: Vec<String>,
    /// Texts as in the file, one per heading.
    pub rows: Vec<Vec<String>>,
    /// Cells that are the best of their column: row and column, from 0.
    pub best: Vec<(usize, usize)>,
    /// Where it comes from: one file, or each of several.
    pub origins: Vec<Origin>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What distinguishes it from the others of its item.
    pub title: Option<String>,
    /// What it shows, for those who can't see it.
    pub alt: String,
    /// `image/svg+xml`.
    pub media: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: String,
    /// Digest of its current content.
    pub digest: String,
    /// How that compares with its record, in words; a warning if `sound` is false.
    pub standing: String,
    /// Whether it is what its run or source produced.
    pub sound: bool,
    /// The run that wrote it: its index in [`Page::runs`].
    pub run: Option<usize>,
    /// The runs that it depends on, that one included, in order.
    pub chain: Vec<usize>,
}

/// One run of one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// The stage.
    pub stage: String,
    /// When it started, for people and in full (RFC 3339).
    pub started: (String, String),
    /// How long it took, for people and in seconds.
    pub took: (String, String),
    /// Its peak memory, for people and in bytes.
    pub memory: Option<(String, String)>,
    /// The machine.
    pub host: String,
    /// How it was kept apart from the rest of that machine, if that is known.
    pub apart: Option<String>,
    /// Its key.
    pub key: String,
    /// What it ran: names and texts.
    pub command: Vec<(String, String)>,
    /// Its parameters, environment, tools and machine facts: names and values.
    pub given: Vec<(String, String)>,
    /// What it read: path, digest (or why there is none), and the run that wrote it.
    pub reads: Vec<(String, String, Option<usize>)>,
    /// What it wrote: path and digest.
    pub wrote: Vec<(String, String)>,
    /// What a reader should know about it: that it is out of date, or not deterministic.
    pub remarks: Vec<String>,
}

/// A file that no stage wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: String,
    /// What was read there.
    pub digest: String,
    /// Whether that is still there, and in git.
    pub about: String,
}
