//! What a lock file installs on one platform.

use std::collections::{BTreeMap, BTreeSet};

use restage_core::digest::{Digest, Frame, KeyPackage};

/// The packages, and what is not sure about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// By name, as indexes spell it.
    pub packages: BTreeMap<String, KeyPackage>,
    /// Those that may not be installed, because what they depend on is not understood here. They are
    /// part of the key all the same: too many packages run a stage too often, too few not often enough.
    pub unsure: BTreeSet<String>,
    /// Those of which the lock file has no hash.
    pub unhashed: BTreeSet<String>,
    /// Conditions that are not understood, which then count as text.
    pub conditions: BTreeSet<String>,
    /// Files of packages that lie beside the lock file, relative to its folder or absolute.
    pub files: BTreeSet<String>,
}

impl Resolved {
    /// Adds a package; a name that is there already with other bytes gets a second entry.
    pub(crate) fn add(&mut self, name: &str, package: KeyPackage) {
        match self.packages.get(name) {
            Some(there) if *there != package => {
                self.unsure.insert(name.to_owned());
                let version = &package.version;
                self.packages.insert(format!("{name} {version}"), package);
            }
            _ => drop(self.packages.insert(name.to_owned(), package)),
        }
    }

    /// Whether the file that lies beside the lock file was found is part of its content.
    pub(crate) fn local(content: Option<Digest>) -> String {
        content.map_or_else(|| "missing".to_owned(), |digest| digest.to_string())
    }
}

/// The content of a package: where from, if that decides its bytes, and the hashes of its files.
pub(crate) fn content(source: &str, hashes: &BTreeSet<String>) -> Digest {
    let mut frame = Frame::new("package");
    frame.text(source);
    frame.number(hashes.len() as u64);
    for hash in hashes {
        frame.text(hash);
    }
    frame.finish()
}
