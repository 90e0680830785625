//! Which files of a crate's folder its binary may be built from.
//!
//! `include_str!` and build scripts read from anywhere in the folder, so everything counts except:
//! - at its top: `tests/`, `benches/`, `examples/`, `fuzz/`, `target/`, `proptest-regressions/`,
//!   licences, and Cargo.toml and Cargo.lock, which count by their content;
//! - outside `src/`: Markdown;
//! - anywhere: hidden files and folders, `snapshots/` folders and `*.snap` files, editors' backups
//!   (`*~`, `#*#`), and folders that are packages themselves.

use std::collections::BTreeSet;
use std::path::Path;

use super::CodeError;
use super::manifest::Member;
use super::paths::join;
use restage_core::fs;
use restage_core::rel_path::RelPath;

const NOT_AT_TOP: [&str; 8] = [
    "tests",
    "benches",
    "examples",
    "fuzz",
    "target",
    "proptest-regressions",
    "Cargo.toml",
    "Cargo.lock",
];

/// The crate's files, relative to the workspace. `packages` are the folders of all crates.
pub(super) fn of(
    root: &Path,
    member: &Member,
    packages: &BTreeSet<&str>,
) -> Result<Vec<RelPath>, CodeError> {
    let mut walk = Walk {
        root,
        member,
        packages,
        found: Vec::new(),
    };
    if member.folder.is_empty() {
        walk.folder("src", true)?;
        walk.file("build.rs")?;
        for target in &member.targets {
            // A target's modules are in its folder; those of a target at the top are not looked for.
            match target.rsplit_once('/') {
                Some((folder, _)) => walk.folder(folder, true)?,
                None => walk.file(target)?,
            }
        }
    } else {
        walk.folder(&member.folder, false)?;
    }
    walk.found.sort();
    walk.found.dedup();
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Path,
    member: &'a Member,
    packages: &'a BTreeSet<&'a str>,
    found: Vec<RelPath>,
}

impl Walk<'_> {
    fn file(&mut self, relative: &str) -> Result<(), CodeError> {
        if fs::exists(&self.root.join(relative))? {
            self.add(relative)?;
        }
        Ok(())
    }

    fn add(&mut self, relative: &str) -> Result<(), CodeError> {
        let name = RelPath::new(relative).map_err(|source| CodeError::Name {
            path: self.root.join(relative),
            source,
        })?;
        self.found.push(name);
        Ok(())
    }

    fn folder(&mut self, folder: &str, in_source: bool) -> Result<(), CodeError> {
        let at_top = folder == self.member.folder;
        for name in fs::read_dir_if_exists(&self.root.join(folder))? {
            let path = self.root.join(folder).join(&name);
            let Some(text) = name.to_str() else {
                if name.as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let message = "its name is not UTF-8".to_owned();
                return Err(CodeError::Malformed { path, message });
            };
            if left_out(text, at_top, in_source) {
                continue;
            }
            let relative = join(folder, text);
            // Links are followed, as the compiler does; a dangling one does not count.
            let Some(metadata) = fs::metadata_if_exists(&path)? else {
                continue;
            };
            if !metadata.is_dir() {
                self.add(&relative)?;
            } else if !self.packages.contains(relative.as_str())
                && !fs::exists(&path.join("Cargo.toml"))?
            {
                self.folder(&relative, in_source || (at_top && text == "src"))?;
            }
        }
        Ok(())
    }
}

fn left_out(name: &str, at_top: bool, in_source: bool) -> bool {
    let top = at_top && (NOT_AT_TOP.contains(&name) || name.starts_with("LICENSE"));
    let prose = !in_source && name.to_ascii_lowercase().ends_with(".md");
    let backup = name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'));
    let snapshot = name == "snapshots"
        || [".snap", ".snap.new", ".pending-snap"]
            .iter()
            .any(|end| name.ends_with(end));
    name.starts_with('.') || top || prose || backup || snapshot
}
