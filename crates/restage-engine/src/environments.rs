//! Which software stages run in: each environment's part of a key, from its lock file and its
//! interpreter, found once a call (docs/adr/0027). Nothing is made here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::host::HostEnv;
use restage_core::clock::WallTime;
use restage_core::digest::{Digest, Frame, KeyEnvironment, StatSnapshot, nothing};
use restage_core::fs;
use restage_core::process::host_name;
use restage_core::rel_path::RelPath;
use restage_environments::{
    EnvironmentError, Interpreter, PythonRequest, Resolved, UvLock, UvWanted, requirements,
};
use restage_pipeline::{Environment, Made};
use restage_store::{EnvironmentPlace, Store, StoreError};

/// Every plan may ask: an interpreter that takes longer to say what it is is of no use.
const LIMIT: Duration = Duration::from_secs(20);
/// By which uv and pyenv choose a version.
const VERSION_FILE: &str = ".python-version";
/// What an environment that the caller is in sets, and what would lead another Python astray.
const OF_OTHERS: [&str; 6] = [
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "__PYVENV_LAUNCHER__",
];

/// Why it is not known what a stage would run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// The environment's name.
    pub environment: String,
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// An environment as keys have it, and what it is made from.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) key: KeyEnvironment,
    pub(super) digest: Digest,
    /// What its lock file installs.
    pub(super) resolved: Resolved,
    /// The lock file with its digest.
    pub(super) lock: Option<(RelPath, Digest)>,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// Of an environment of Python.
    pub(super) interpreter: Option<Interpreter>,
    /// All that it was named from: a no-op compares them. Relative to the workspace, or absolute.
    pub(super) files: BTreeSet<String>,
    /// Names that were looked for and were not there.
    pub(super) absent: BTreeSet<String>,
}

type Answer = Result<Arc<Named>, Unnamed>;

/// The environments that were named so far.
#[derive(Debug, Default)]
pub(super) struct Environments {
    named: RefCell<BTreeMap<String, Answer>>,
    /// Interpreters that were found and are not noted yet, by what was asked for.
    new: RefCell<BTreeMap<Digest, String>>,
}

/// Where environments are named.
pub(super) struct Site<'a> {
    pub(super) root: &'a Path,
    pub(super) store: &'a Store,
    pub(super) env: &'a HostEnv,
}

impl Environments {
    pub(super) fn named(&self, site: &Site<'_>, environment: &Environment) -> Answer {
        if let Some(known) = self.named.borrow().get(&environment.name) {
            return known.clone();
        }
        let answer = self
            .name(site, environment)
            .map(Arc::new)
            .map_err(|error| Unnamed {
                environment: environment.name.clone(),
                hint: error.hint(),
                error: error.to_string(),
            });
        let mut named = self.named.borrow_mut();
        named.insert(environment.name.clone(), answer.clone());
        answer
    }

    /// Notes the interpreters that were found, so that the next call finds the same.
    pub(super) fn note_found(&self, store: &Store) -> Result<(), StoreError> {
        for (request, text) in std::mem::take(&mut *self.new.borrow_mut()) {
            store.environments().note_found(&request, &text)?;
        }
        Ok(())
    }

    fn name(&self, site: &Site<'_>, environment: &Environment) -> Result<Named, EnvironmentError> {
        match &environment.made {
            Made::Uv {
                project,
                groups,
                extras,
                python,
            } => {
                let wanted = UvWanted {
                    groups: groups.clone(),
                    extras: extras.clone(),
                };
                self.uv(site, environment, project, &wanted, python.as_deref())
            }
            Made::Venv {
                requirements,
                python,
            } => self.venv(site, requirements, python.as_deref()),
            Made::Image { image, .. } => Ok(Named::of_image(image)),
            Made::Tools(_) => unreachable!("stages have its tools instead"),
        }
    }

    fn uv(
        &self,
        site: &Site<'_>,
        environment: &Environment,
        project: &RelPath,
        wanted: &UvWanted,
        python: Option<&str>,
    ) -> Result<Named, EnvironmentError> {
        let lock = environment
            .lock_file()
            .ok_or_else(|| no_lock(project.as_str(), ""))?;
        let folder = folder_of(site.root, &lock);
        let hint = "`uv lock` writes it; of a workspace it lies at its root: name the root's `pyproject.toml`";
        let text = read(site, &lock, hint)?;
        read(site, project, "it says what `uv.lock` was made from")?;
        let parsed = UvLock::parse(lock.as_str(), &text)?;
        let mut found = Found::default();
        let request = PythonRequest::new(python);
        let asked = [python.unwrap_or(""), parsed.requires_python()];
        let question = Question {
            kind: "uv",
            request: &request,
            asked: &asked,
            folder: &folder,
        };
        let interpreter = self.interpreter(site, &question, &mut found)?;
        let resolved = parsed.resolve(wanted, &interpreter.variables, &|path| {
            let full = folder.join(path);
            let there = site.store.stat_cache().digest_at(&full)?;
            Ok(there.map(|there| there.content_id()))
        })?;
        for path in &resolved.files {
            let full = folder.join(path);
            let there = fs::exists(&full)?;
            found.add(&full, there);
        }
        found.files.extend([lock.to_string(), project.to_string()]);
        Ok(Named::of_python(
            "uv",
            (lock, &text),
            folder,
            resolved,
            interpreter,
            found,
        ))
    }

    fn venv(
        &self,
        site: &Site<'_>,
        file: &RelPath,
        python: Option<&str>,
    ) -> Result<Named, EnvironmentError> {
        let text = read(
            site,
            file,
            "name the requirements file; `pip freeze > FILE` writes one",
        )?;
        let mut found = Found::default();
        let folder = folder_of(site.root, file);
        let question = Question {
            kind: "venv",
            request: &PythonRequest::new(python),
            asked: &[python.unwrap_or("")],
            folder: &folder,
        };
        let interpreter = self.interpreter(site, &question, &mut found)?;
        let resolved = requirements(file.as_str(), &text, &interpreter.variables)?;
        found.files.insert(file.to_string());
        Ok(Named::of_python(
            "venv",
            (file.clone(), &text),
            folder,
            resolved,
            interpreter,
            found,
        ))
    }

    /// The interpreter for a question: the one that it was answered with before, as long as that is
    /// unchanged. So another `PATH`, or a newer Python beside it, changes no environment.
    fn interpreter(
        &self,
        site: &Site<'_>,
        question: &Question<'_>,
        found: &mut Found,
    ) -> Result<Interpreter, EnvironmentError> {
        let request = question.digest(site, found)?;
        let noted = site.store.environments().found(&request);
        let noted = noted.map_err(|error| EnvironmentError::Fs(error.to_string()))?;
        let noted = noted.and_then(|text| serde_json::from_str::<Noted>(&text).ok());
        if let Some(noted) = noted.filter(|noted| noted.stat.holds(Path::new("/"))) {
            found.add(&noted.interpreter.executable, true);
            return Ok(noted.interpreter);
        }
        let interpreter = match question.kind {
            "uv" => by_uv(site, question)?,
            _ => by_path(site, question)?,
        };
        found.add(&interpreter.executable, true);
        if let Some(path) = interpreter.executable.to_str() {
            let now = WallTime::file_clock();
            let stat = StatSnapshot::take(Path::new("/"), [path.to_owned()], &nothing, [], now)?;
            if let Some(stat) = stat {
                let interpreter = interpreter.clone();
                let noted = serde_json::to_string(&Noted { interpreter, stat });
                let noted = noted.expect("texts and numbers");
                self.new.borrow_mut().insert(request, noted);
            }
        }
        Ok(interpreter)
    }
}

/// What a stage is given of its environment, and what it is made of.
impl Named {
    fn of_python(
        kind: &str,
        (lock, text): (RelPath, &str),
        folder: PathBuf,
        resolved: Resolved,
        interpreter: Interpreter,
        found: Found,
    ) -> Self {
        let mut facts = interpreter.facts();
        if !resolved.conditions.is_empty() {
            let all: Vec<&str> = resolved.conditions.iter().map(String::as_str).collect();
            facts.insert("conditions".to_owned(), all.join("; "));
        }
        let key = KeyEnvironment {
            kind: kind.to_owned(),
            facts,
            packages: resolved.packages.clone(),
        };
        Self {
            digest: key.digest(),
            key,
            resolved,
            lock: Some((lock, Digest::of(text.as_bytes()))),
            folder,
            interpreter: Some(interpreter),
            files: found.files,
            absent: found.absent,
        }
    }

    fn of_image(image: &str) -> Self {
        let digest = image.split_once('@').map_or(image, |(_, digest)| digest);
        let platform = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        let key = KeyEnvironment {
            kind: "image".to_owned(),
            facts: BTreeMap::from([
                ("image".to_owned(), digest.to_owned()),
                ("platform".to_owned(), platform),
            ]),
            packages: BTreeMap::new(),
        };
        Self {
            digest: key.digest(),
            key,
            resolved: Resolved::default(),
            lock: None,
            folder: PathBuf::new(),
            interpreter: None,
            files: BTreeSet::new(),
            absent: BTreeSet::new(),
        }
    }

    /// Where it is made, if restage makes it.
    pub(super) fn place(&self, store: &Store) -> Result<Option<EnvironmentPlace>, StoreError> {
        let Some(interpreter) = &self.interpreter else {
            return Ok(None);
        };
        let place = store
            .environments()
            .place(&self.digest, &interpreter.executable)?;
        Ok(Some(place))
    }
}

/// What an environment's name was found from.
#[derive(Debug, Default)]
struct Found {
    files: BTreeSet<String>,
    absent: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, path: &Path, there: bool) {
        let Some(text) = path.to_str().map(str::to_owned) else {
            return;
        };
        match there {
            true => self.files.insert(text),
            false => self.absent.insert(text),
        };
    }
}

/// An interpreter that was found, and its program's `stat` then.
#[derive(Debug, Serialize, Deserialize)]
struct Noted {
    interpreter: Interpreter,
    stat: StatSnapshot,
}

/// Which interpreter is wanted.
struct Question<'a> {
    kind: &'static str,
    request: &'a PythonRequest,
    /// All texts that say so.
    asked: &'a [&'a str],
    /// The lock file's.
    folder: &'a Path,
}

impl Question<'_> {
    fn digest(&self, site: &Site<'_>, found: &mut Found) -> Result<Digest, EnvironmentError> {
        let mut frame = Frame::new("restage interpreter");
        // What an interpreter is at a path holds on one machine.
        frame.text(&host_name());
        frame.text(self.kind);
        for text in self.asked {
            frame.text(text);
        }
        let folders: BTreeSet<&Path> = BTreeSet::from([self.folder, site.root]);
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

/// The caller's whole environment, but for what belongs to an environment that the caller is in.
pub(super) fn installers_environment(env: &HostEnv) -> BTreeMap<OsString, OsString> {
    let mut all = env.all().clone();
    for name in OF_OTHERS {
        all.remove(&OsString::from(name));
    }
    all
}

fn ask(site: &Site<'_>, argv: &[String], folder: &Path) -> Result<String, String> {
    let env = installers_environment(site.env);
    let answer = restage_exec::capture(argv, folder, &env, LIMIT);
    answer.map_err(|error| match error.output().lines().last() {
        Some(line) => format!("`{}` {error}: {line}", argv[0]),
        None => format!("`{}` {error}", argv[0]),
    })
}

/// What a program says of itself as a Python.
fn asked(site: &Site<'_>, program: &str, folder: &Path) -> Result<Interpreter, String> {
    let mut argv = vec![program.to_owned()];
    argv.extend(Interpreter::question());
    let answer = ask(site, &argv, folder)?;
    Interpreter::from_answer(program, &answer).map_err(|error| error.to_string())
}

/// The interpreter that uv chooses for a project.
fn by_uv(site: &Site<'_>, question: &Question<'_>) -> Result<Interpreter, EnvironmentError> {
    let words = ["uv", "python", "find", "--no-python-downloads", "--system"];
    let mut argv = words.map(ToOwned::to_owned).to_vec();
    argv.extend(question.request.version().map(ToOwned::to_owned));
    let found = ask(site, &argv, question.folder);
    let found = found.and_then(|answer| {
        let program = answer.lines().last().unwrap_or_default().to_owned();
        asked(site, &program, question.folder)
    });
    found.map_err(|tried| match tried.contains("no program `uv`") {
        true => EnvironmentError::NoInterpreter {
            wanted: "`uv`".to_owned(),
            hint: "install it: `pip install uv`, or as https://docs.astral.sh/uv says".to_owned(),
        },
        false => EnvironmentError::NoInterpreter {
            wanted: question.request.to_string(),
            hint: format!("{tried}\n  `uv python install` gets one; restage downloads none"),
        },
    })
}

/// The first interpreter of `PATH` that is the one asked for.
fn by_path(site: &Site<'_>, question: &Question<'_>) -> Result<Interpreter, EnvironmentError> {
    let mut tried = Vec::new();
    for program in question.request.programs() {
        match asked(site, &program, question.folder) {
            Ok(interpreter) if interpreter.is(question.request) => return Ok(interpreter),
            Ok(other) => tried.push(format!("`{program}` is {}", other.version)),
            Err(error) => tried.push(error),
        }
    }
    let tried = tried.join("; ");
    Err(EnvironmentError::NoInterpreter {
        wanted: question.request.to_string(),
        hint: format!("{tried}\n  install it, or put it on `PATH`"),
    })
}

fn folder_of(root: &Path, file: &RelPath) -> PathBuf {
    let path = file.under(root);
    path.parent().map_or(root.to_owned(), Path::to_owned)
}

fn no_lock(file: &str, hint: &str) -> EnvironmentError {
    EnvironmentError::NoLock {
        file: file.to_owned(),
        hint: hint.to_owned(),
    }
}

fn read(site: &Site<'_>, file: &RelPath, hint: &str) -> Result<String, EnvironmentError> {
    let bytes = fs::read_if_exists(&file.under(site.root))?;
    let bytes = bytes.ok_or_else(|| no_lock(file.as_str(), hint))?;
    String::from_utf8(bytes).map_err(|_| EnvironmentError::Malformed {
        file: file.to_string(),
        message: "it is not UTF-8".to_owned(),
    })
}
