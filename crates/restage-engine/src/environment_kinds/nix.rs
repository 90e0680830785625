//! A shell of a Nix flake: what `nix develop` would start, entered without Nix.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::named::{Found, Named, Source};
use super::{Asking, Entry, Kind, Making, Recipe};
use restage_core::digest::{Digest, KeyEnvironment};
use restage_core::fs::{self, FsError};
use restage_environments::{EnvironmentError, flake_inputs};
use restage_pipeline::Nix;

/// What Nix prints, a script for bash that sets what the shell has.
const PRINTED: &str = "dev-env.sh";
/// Where Nix keeps a link to it, so that its garbage collector leaves it alone.
const PROFILE: &str = "profile";
/// What a stage enters by. The printed script makes a temporary folder for each entry and makes that the
/// place of temporary files.
const ENTER: &str = r#"restage_tmpdir=${TMPDIR-}
. "${BASH_SOURCE%/*}/dev-env.sh"
[ -z "${NIX_BUILD_TOP-}" ] || rmdir "$NIX_BUILD_TOP" 2>/dev/null
unset NIX_BUILD_TOP TMP TMPDIR TEMP TEMPDIR
[ -z "$restage_tmpdir" ] || export TMPDIR="$restage_tmpdir"
unset restage_tmpdir
"#;

impl Kind for Nix {
    fn name(&self, asking: &Asking<'_>) -> Result<Named, EnvironmentError> {
        let flake = &self.flake;
        let lock = self.lock_file().ok_or_else(|| EnvironmentError::NoLock {
            file: flake.to_string(),
            hint: "name the project's `flake.nix`".to_owned(),
        })?;
        let text = asking.read(&lock, "`nix flake lock` writes it")?;
        let expression = asking.read(flake, "it says what `flake.lock` was made from")?;
        let (resolved, inputs) = flake_inputs(lock.as_str(), &text)?;
        let system = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let facts = [
            ("flake", Digest::of(expression.as_bytes()).to_string()),
            ("inputs", inputs),
            ("shell", self.shell.clone()),
            ("system", format!("{}-{system}", std::env::consts::ARCH)),
        ];
        let key = KeyEnvironment {
            kind: "nix".to_owned(),
            facts: facts.map(|(name, fact)| (name.to_owned(), fact)).into(),
            packages: resolved.packages.clone(),
        };
        let mut source = Source::new((&lock, &text), asking.folder_of(&lock), resolved, None);
        source.texts = BTreeMap::from([("flake", expression), ("lock", text)]);
        Ok(Named::new(key, source, Found::of([&lock, flake])))
    }

    /// From a copy of the flake alone: what it reads besides, such as another file of the workspace, would
    /// not be in the key, and is not there.
    fn recipe(&self, making: &Making<'_>) -> Recipe {
        let (at, texts) = (making.at, &making.source.texts);
        let flake = at.join("flake");
        let mut step = making.step("nix print-dev-env");
        step.folder = at.to_owned();
        step.words(&["nix", "--extra-experimental-features"]);
        step.words(&["nix-command flakes", "print-dev-env"]);
        step.words(&["--no-update-lock-file", "--profile"]);
        step.argv.push(at.join(PROFILE).into());
        let mut installable = OsString::from("path:");
        installable.push(&flake);
        installable.push(format!("#{}", self.shell));
        step.argv.push(installable);
        step.printed = Some(at.join(PRINTED));
        Recipe {
            files: vec![
                (flake.join("flake.nix"), texts["flake"].clone()),
                (flake.join("flake.lock"), texts["lock"].clone()),
                (at.join("enter.sh"), ENTER.to_owned()),
            ],
            steps: vec![step],
            ..Recipe::default()
        }
    }

    fn check(&self, source: &Source, at: &Path) -> Result<(), EnvironmentError> {
        if self.is_usable(at)? {
            return Ok(());
        }
        Err(EnvironmentError::OtherPackages {
            file: source.lock.0.to_string(),
            what: "Nix has left nothing to enter it by".to_owned(),
        })
    }

    /// Its content lies in Nix's store, which a machine that shares ours need not have.
    fn is_usable(&self, at: &Path) -> Result<bool, FsError> {
        let printed = fs::metadata_if_exists(&at.join(PRINTED))?;
        // The link stays when what it leads to is gone.
        let profile = fs::metadata_if_exists(&at.join(PROFILE))?;
        Ok(printed.is_some_and(|it| it.len() > 0) && profile.is_some())
    }

    fn entry(&self, at: &Path) -> Result<Entry, FsError> {
        Ok(Entry {
            scripts: vec![at.join("enter.sh")],
            ..Entry::default()
        })
    }
}
