//! A page about results: plain data in, one HTML document out, that asks nothing of the network.
//! It must not know the pipeline, the store, the disk, or how any of it was found out.
//!
//! maud escapes whatever it is given; only our own style sheet and script go in as they are. The
//! page allows itself nothing else: its Content-Security-Policy names both by their digests.

mod claims;
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
    /// What the paper says, and what became of it.
    pub claims: Vec<Claim>,
    /// Tables and figures.
    pub sections: Vec<Section>,
    /// The runs behind them, each after those whose outs it read.
    pub runs: Vec<Run>,
    /// What the runs read that no stage wrote.
    pub sources: Vec<Source>,
    /// Who made the page: at its end.
    pub made_by: String,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// `Profile`.
    pub name: String,
    /// As people read it.
    pub value: String,
    /// The whole value, where the one above was shortened.
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
    /// What became of it.
    pub mark: Mark,
    /// The verdict in words.
    pub verdict: String,
    /// Why there is none.
    pub reason: Option<String>,
}

/// How good a verdict is: a sign and a colour beside its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As the paper says.
    Good,
    /// Half of it.
    Half,
    /// Otherwise.
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
        /// Words beside them.
        caption: Option<String>,
        /// Whether they are closed until asked for.
        folded: bool,
        /// At least one.
        tables: Vec<Table>,
    },
    /// Pictures of one kind.
    Figures {
        /// Words beside them.
        caption: Option<String>,
        /// At least one.
        figures: Vec<Figure>,
    },
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What tells it from others of its kind.
    pub title: Option<String>,
    /// One a column.
    pub headings: Vec<String>,
    /// Texts as the file has them, one a heading.
    pub rows: Vec<Vec<String>>,
    /// Cells that are the best of their column: row and column, from 0.
    pub best: Vec<(usize, usize)>,
    /// Where it comes from.
    pub origin: Origin,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What tells it from others of its kind.
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
    /// Digest of what stands there.
    pub digest: String,
    /// How that relates to its record, in words; a warning where `sound` is false.
    pub standing: String,
    /// Whether it is what a run or a source gave.
    pub sound: bool,
    /// The run that wrote it: its place among [`Page::runs`].
    pub run: Option<usize>,
    /// Runs that it rests on, that one included, in order.
    pub chain: Vec<usize>,
}

/// One run of one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// The stage.
    pub stage: String,
    /// When it started, as people read it and in full (RFC 3339).
    pub started: (String, String),
    /// How long it took, as people read it and in seconds.
    pub took: (String, String),
    /// Most memory that it had, likewise in bytes.
    pub memory: Option<(String, String)>,
    /// The machine.
    pub host: String,
    /// Its key.
    pub key: String,
    /// What it ran: names and texts.
    pub command: Vec<(String, String)>,
    /// Its parameters, environment, tools and machine facts: names and values.
    pub given: Vec<(String, String)>,
    /// What it read: path, digest or what stands for one, and the run that wrote it.
    pub reads: Vec<(String, String, Option<usize>)>,
    /// What it wrote: path and digest.
    pub wrote: Vec<(String, String)>,
    /// What a reader should know of it: that it is out of date, or not deterministic.
    pub remarks: Vec<String>,
}

/// A file that no stage wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: String,
    /// What was read there.
    pub digest: String,
    /// Whether that still stands there, and in git.
    pub about: String,
}
