//! What a fake job does.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use restage_exec::{Job, Outcome};

/// Files that a job writes: paths below its folder, and contents.
pub type Files = Vec<(PathBuf, Vec<u8>)>;

type Work = dyn Fn(&Job) -> Result<Files, String> + Send + Sync;

/// What a job does.
#[derive(Clone)]
pub struct Play {
    pub(super) seconds: f64,
    pub(super) end: End,
    pub(super) stubborn: bool,
    pub(super) first: Files,
    pub(super) work: Arc<Work>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) peak_memory: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    Of(Outcome),
    Never,
}

impl fmt::Debug for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, end, .. } = self;
        write!(f, "Play({end:?} after {seconds} s)")
    }
}

impl Play {
    fn ends(end: End) -> Self {
        Self {
            seconds: 1.0,
            end,
            stubborn: false,
            first: Files::new(),
            work: Arc::new(|_| Ok(Files::new())),
            stdout: String::new(),
            stderr: String::new(),
            peak_memory: None,
        }
    }

    /// Exits with 0 after a second and writes nothing: an out is missing.
    pub fn success() -> Self {
        Self::exits(0)
    }

    /// Exits with `code`.
    pub fn exits(code: i32) -> Self {
        Self::ends(End::Of(Outcome::Exited(code)))
    }

    /// Is killed by a signal from elsewhere.
    pub fn signaled(signal: i32) -> Self {
        Self::ends(End::Of(Outcome::Signaled(signal)))
    }

    /// Cannot be started.
    pub fn not_started(reason: &str) -> Self {
        Self::ends(End::Of(Outcome::NotStarted(reason.to_owned()))).seconds(0.0)
    }

    /// Runs until it is cancelled or its timeout is over.
    pub fn hangs() -> Self {
        Self::ends(End::Never)
    }

    /// Takes this long, in virtual seconds.
    pub fn seconds(self, seconds: f64) -> Self {
        Self { seconds, ..self }
    }

    /// Ignores TERM: stopping it takes its whole grace period.
    pub fn stubborn(self) -> Self {
        Self {
            stubborn: true,
            ..self
        }
    }

    /// Writes this when it starts: it stays even if the job is stopped.
    pub fn begins_by_writing(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.first.push((path.into(), bytes.into()));
        self
    }

    /// Writes this when it ends by itself.
    pub fn writes(self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let (path, bytes, before) = (PathBuf::from(path), bytes.into(), Arc::clone(&self.work));
        self.works(move |job| {
            let mut files = before(job)?;
            files.push((path.clone(), bytes.clone()));
            Ok(files)
        })
    }

    /// Computes what it writes when it ends by itself, for example from its inputs below
    /// `job.dir`. An error becomes exit code 1 with the text on standard error.
    pub fn works(
        mut self,
        work: impl Fn(&Job) -> Result<Files, String> + Send + Sync + 'static,
    ) -> Self {
        self.work = Arc::new(work);
        self
    }

    /// Prints this to standard output when it starts.
    pub fn prints(self, text: &str) -> Self {
        Self {
            stdout: text.to_owned(),
            ..self
        }
    }

    /// Prints this to standard error when it starts.
    pub fn complains(self, text: &str) -> Self {
        Self {
            stderr: text.to_owned(),
            ..self
        }
    }

    /// Peaks at this many bytes.
    pub fn peak_memory(self, bytes: u64) -> Self {
        Self {
            peak_memory: Some(bytes),
            ..self
        }
    }
}
