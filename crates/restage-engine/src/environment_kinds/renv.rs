//! An R project: what `renv.lock` installs, by renv itself, for the R that is found.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::interpreters::{Question, interpreter};
use super::named::{Found, Named, Source};
use super::{Asking, Entry, Kind, Making, Recipe};
use restage_core::digest::KeyEnvironment;
use restage_core::fs::FsError;
use restage_environments::{
    EnvironmentError, Interpreter, check_library, r_library, renv_packages,
};
use restage_pipeline::Renv;

/// Prints what R is, as JSON.
const QUESTION: &str = r#"
text <- function(x) encodeString(x, quote = '"')
binary <- file.path(R.home("bin"), "exec", "R")
if (!file.exists(binary)) binary <- file.path(R.home("bin"), "R")
cat('{"executable":', text(normalizePath(binary)), ',"prefix":', text(normalizePath(R.home())),
    ',"version":', text(as.character(getRversion())), ',"abi":', text(R.version$platform),
    ',"variables":{"library":', text(normalizePath(.Library)), '}}\n', sep = "")
"#;
/// Installs into a library. Packages are copied: links to renv's cache would change with it.
const RESTORE: &str = r#"
at <- commandArgs(TRUE)
dir.create(at[3], recursive = TRUE, showWarnings = FALSE)
options(renv.consent = TRUE, renv.config.cache.symlinks = FALSE)
renv::restore(project = at[1], lockfile = at[2], library = at[3], prompt = FALSE)
"#;
/// They would make another project's library.
const OF_OTHERS: [&str; 4] = [
    "RENV_PROJECT",
    "RENV_PATHS_LIBRARY",
    "RENV_PATHS_LOCKFILE",
    "RENV_PROFILE",
];

impl Kind for Renv {
    fn name(&self, asking: &Asking<'_>) -> Result<Named, EnvironmentError> {
        let file = &self.lock;
        let text = asking.read(file, "`renv::snapshot()` writes it")?;
        let resolved = renv_packages(file.as_str(), &text)?;
        let folder = asking.folder_of(file);
        let mut found = Found::of([file]);
        let question = Question {
            kind: "renv",
            asked: &[],
            folder: &folder,
        };
        let look = || r(asking, &folder);
        let r = interpreter(asking, &question, &mut found, &look)?;
        let mut facts = BTreeMap::from([
            ("r".to_owned(), r.version.clone()),
            ("platform".to_owned(), r.abi.clone()),
        ]);
        // R always looks into its own library, too, and people install into it.
        if let Some(library) = r.variables.get("library") {
            let (others, files) = r_library(Path::new(library))?;
            files.iter().for_each(|file| found.add(file, true));
            found.folders.insert(library.clone());
            if !others.is_empty() {
                facts.insert("library".to_owned(), others);
            }
        }
        let key = KeyEnvironment {
            kind: "renv".to_owned(),
            facts,
            packages: resolved.packages.clone(),
        };
        let mut source = Source::new((file, &text), folder, resolved, Some(r));
        source.texts.insert("lock", text);
        Ok(Named::new(key, source, found))
    }

    fn recipe(&self, making: &Making<'_>) -> Recipe {
        let Some(r) = &making.source.interpreter else {
            return Recipe::default();
        };
        let (at, programs) = (making.at, r.prefix.join("bin"));
        let lock = at.join("renv.lock");
        let mut step = making.step("renv::restore");
        for name in OF_OTHERS {
            step.env.remove(&OsString::from(name));
        }
        let copied = "RENV_CONFIG_CACHE_SYMLINKS".into();
        step.env.insert(copied, "FALSE".into());
        step.folder = at.to_owned();
        step.argv.push(programs.join("Rscript").into());
        step.words(&["--vanilla", "-e", RESTORE]);
        step.argv.push(at.into());
        step.argv.push(lock.clone().into());
        step.argv.push(at.join("library").into());
        let link = |name: &str| (at.join("bin").join(name), programs.join(name));
        Recipe {
            files: vec![(lock, making.source.texts["lock"].clone())],
            // Stages run the R that the key has, not another one of `PATH`.
            links: ["R", "Rscript"].map(link).into(),
            steps: vec![step],
        }
    }

    fn check(&self, source: &Source, at: &Path) -> Result<(), EnvironmentError> {
        let file = source.lock.0.as_str();
        check_library(file, &source.resolved, &at.join("library"))
    }

    fn entry(&self, at: &Path) -> Result<Entry, FsError> {
        let mut entry = Entry {
            programs: Some(at.join("bin")),
            ..Entry::default()
        };
        entry.set("R_LIBS", at.join("library"));
        // What the user and the machine have installed besides R itself is in no key.
        entry.set("R_LIBS_USER", "NULL");
        entry.set("R_LIBS_SITE", "NULL");
        // A project's `.Rprofile` would look for a library of its own.
        entry.set("RENV_CONFIG_AUTOLOADER_ENABLED", "FALSE");
        Ok(entry)
    }
}

/// The R of `PATH`.
fn r(asking: &Asking<'_>, folder: &Path) -> Result<Interpreter, EnvironmentError> {
    let argv = ["Rscript", "--vanilla", "-e", QUESTION].map(ToOwned::to_owned);
    let answer = asking.ask(&argv, folder);
    let found = answer.and_then(|answer| {
        Interpreter::from_answer("Rscript", &answer).map_err(|error| error.to_string())
    });
    found.map_err(|tried| EnvironmentError::NoInterpreter {
        wanted: "R".to_owned(),
        hint: format!("{tried}\n  install it, or put it on `PATH`"),
    })
}
