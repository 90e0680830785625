//! Interpreters: the one that answered a question first stays as long as it is unchanged.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::asking::Asking;
use super::named::Found;
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, Frame, StatSnapshot, nothing};
use restage_core::fs;
use restage_core::whereabouts::host_name;
use restage_environments::{EnvironmentError, Interpreter, PythonRequest};

/// By which uv and pyenv choose a version.
const VERSION_FILE: &str = ".python-version";

/// An interpreter that was found, and its program's `stat` then.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    interpreter: Interpreter,
    stat: StatSnapshot,
}

/// Which interpreter is wanted.
pub(super) struct Question<'a> {
    /// The kind of environment.
    pub(super) kind: &'static str,
    /// All texts that say which.
    pub(super) asked: &'a [&'a str],
    /// The lock file's.
    pub(super) folder: &'a Path,
}

impl Question<'_> {
    fn digest(&self, root: &Path, found: &mut Found) -> Result<Digest, EnvironmentError> {
        let mut frame = Frame::new("restage interpreter");
        // What an interpreter is at a path holds on one machine.
        frame.text(&host_name());
        frame.text(self.kind);
        for text in self.asked {
            frame.text(text);
        }
        let folders: BTreeSet<&Path> = BTreeSet::from([self.folder, root]);
        for folder in folders {
            let path = folder.join(VERSION_FILE);
            let text = fs::read_if_exists(&path)?;
            found.add(&path, text.is_some());
            frame.number(u64::from(text.is_some()));
            frame.digest(&Digest::of(&text.unwrap_or_default()));
        }
        Ok(frame.finish())
    }
}

/// The answer that a question had before, as long as that interpreter is unchanged; else what `look` finds
/// now. So another `PATH`, or a newer one beside it, changes no environment.
pub(super) fn interpreter(
    asking: &Asking<'_>,
    question: &Question<'_>,
    found: &mut Found,
    look: &dyn Fn() -> Result<Interpreter, EnvironmentError>,
) -> Result<Interpreter, EnvironmentError> {
    let request = question.digest(asking.site.root, found)?;
    let noted = asking.site.store.environments().found(&request);
    let noted = noted.map_err(|error| EnvironmentError::Fs(error.to_string()))?;
    let noted = noted.and_then(|text| serde_json::from_str::<Noted>(&text).ok());
    if let Some(noted) = noted.filter(|noted| noted.stat.holds(Path::new("/"))) {
        found.add(&noted.interpreter.executable, true);
        return Ok(noted.interpreter);
    }
    let interpreter = look()?;
    found.add(&interpreter.executable, true);
    if let Some(path) = interpreter.executable.to_str() {
        let now = WallTime::file_clock();
        let stat = StatSnapshot::take(Path::new("/"), [path.to_owned()], &nothing, [], now)?;
        if let Some(stat) = stat {
            let interpreter = interpreter.clone();
            let noted = serde_json::to_string(&Noted { interpreter, stat });
            let noted = noted.expect("texts and numbers");
            asking.new.borrow_mut().insert(request, noted);
        }
    }
    Ok(interpreter)
}

/// What a program says of itself as a Python.
fn python(asking: &Asking<'_>, program: &str, folder: &Path) -> Result<Interpreter, String> {
    let mut argv = vec![program.to_owned()];
    argv.extend(Interpreter::question());
    let answer = asking.ask(&argv, folder)?;
    Interpreter::from_answer(program, &answer).map_err(|error| error.to_string())
}

/// The Python that uv chooses for a project.
pub(super) fn python_by_uv(
    asking: &Asking<'_>,
    request: &PythonRequest,
    folder: &Path,
) -> Result<Interpreter, EnvironmentError> {
    let words = ["uv", "python", "find", "--no-python-downloads", "--system"];
    let mut argv = words.map(ToOwned::to_owned).to_vec();
    argv.extend(request.version().map(ToOwned::to_owned));
    let found = asking.ask(&argv, folder);
    let found = found.and_then(|answer| {
        let program = answer.lines().last().unwrap_or_default().to_owned();
        python(asking, &program, folder)
    });
    found.map_err(|tried| match tried.contains("no program `uv`") {
        true => EnvironmentError::NoInterpreter {
            wanted: "`uv`".to_owned(),
            hint: "install it: `pip install uv`, or as https://docs.astral.sh/uv says".to_owned(),
        },
        false => EnvironmentError::NoInterpreter {
            wanted: request.to_string(),
            hint: format!("{tried}\n  `uv python install` gets one; restage downloads none"),
        },
    })
}

/// The first Python of `PATH` that is the one asked for.
pub(super) fn python_by_path(
    asking: &Asking<'_>,
    request: &PythonRequest,
    folder: &Path,
) -> Result<Interpreter, EnvironmentError> {
    let mut tried = Vec::new();
    for program in request.programs() {
        match python(asking, &program, folder) {
            Ok(interpreter) if interpreter.is(request) => return Ok(interpreter),
            Ok(other) => tried.push(format!("`{program}` is {}", other.version)),
            Err(error) => tried.push(error),
        }
    }
    let tried = tried.join("; ");
    Err(EnvironmentError::NoInterpreter {
        wanted: request.to_string(),
        hint: format!("{tried}\n  install it, or put it on `PATH`"),
    })
}
