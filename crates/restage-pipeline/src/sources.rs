//! The files that a pipeline consists of: its own, and those that it names.
//! They are opened by whoever loads it, so that reading a pipeline needs no disk.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;

/// A file that a pipeline names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As shown in messages.
    pub name: String,
    /// Relative to the pipeline's folder.
    pub path: RelPath,
    /// Its text.
    pub text: Arc<str>,
}

impl Source {
    /// The one of a pipeline's `sources` that a location is in; `None` for the pipeline file itself.
    pub fn at(sources: &[Self], location: Location) -> Option<&Self> {
        sources.get((location.file as usize).checked_sub(1)?)
    }
}

/// A file's bytes, `None` where there is none, or why it can't be read.
type Opened = Result<Option<Vec<u8>>, String>;

/// Opens the files that a pipeline names, by their paths below its folder.
#[derive(Clone)]
pub struct OpenFile(Arc<dyn Fn(&RelPath) -> Opened + Send + Sync>);

impl OpenFile {
    /// By a function.
    pub fn by(open: impl Fn(&RelPath) -> Opened + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }
}

impl Default for OpenFile {
    /// There are no files.
    fn default() -> Self {
        Self::by(|_| Ok(None))
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenFile")
    }
}

/// A file's text, and its number in locations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileText<'a> {
    pub(crate) number: u32,
    pub(crate) text: &'a str,
}

/// Why a named file gives no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoText {
    Missing,
    /// Not UTF-8 in this line.
    NotText(usize),
    Unreadable(String),
}

/// A file that is named, by whom, and what is wrong if nobody writes it.
#[derive(Debug, Clone)]
pub(crate) struct Mention {
    pub(crate) path: RelPath,
    pub(crate) at: Location,
    /// What it is there for: "a table of instances".
    pub(crate) what: &'static str,
    /// To be reported unless a stage writes the file, which says more.
    pub(crate) missing: Option<Diagnostic>,
}

/// The files that are named while a pipeline is read.
#[derive(Debug)]
pub(crate) struct Named {
    open: OpenFile,
    /// Before the names of files in messages: `../` where the pipeline is in the folder above.
    shown_below: String,
    sources: RefCell<Vec<Source>>,
    mentions: RefCell<Vec<Mention>>,
}

impl Named {
    /// For the pipeline file of this name.
    pub(crate) fn of(file_name: &str, open: OpenFile) -> Self {
        let folder = file_name.rfind('/').map_or(0, |at| at + 1);
        Self {
            open,
            shown_below: file_name[..folder].to_owned(),
            sources: RefCell::default(),
            mentions: RefCell::default(),
        }
    }

    /// A file's number in locations, and its text. It is read once.
    pub(crate) fn open(&self, path: &RelPath) -> Result<(u32, Arc<str>), NoText> {
        let mut sources = self.sources.borrow_mut();
        let number = |at: usize| u32::try_from(at + 1).unwrap_or(u32::MAX);
        if let Some(at) = sources.iter().position(|source| source.path == *path) {
            return Ok((number(at), sources[at].text.clone()));
        }
        let bytes = (self.open.0)(path).map_err(NoText::Unreadable)?;
        let bytes = bytes.ok_or(NoText::Missing)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            NoText::NotText(1 + before.iter().filter(|byte| **byte == b'\n').count())
        })?;
        let text: Arc<str> = text.into();
        sources.push(Source {
            name: format!("{}{path}", self.shown_below),
            path: path.clone(),
            text: text.clone(),
        });
        Ok((number(sources.len() - 1), text))
    }

    /// Notes that a file is named, for the time when all stages are known.
    pub(crate) fn mention(&self, mention: Mention) {
        self.mentions.borrow_mut().push(mention);
    }

    /// All mentions so far.
    pub(crate) fn mentions(&self) -> Vec<Mention> {
        self.mentions.borrow().clone()
    }

    /// The files that were read, in the order of their numbers.
    pub(crate) fn sources(&self) -> Vec<Source> {
        self.sources.borrow().clone()
    }
}
