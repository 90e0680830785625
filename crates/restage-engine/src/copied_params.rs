//! Finds params files that were edited after their values were copied into the pipeline: scripts
//! may still read them, but an edit changes no parameter.

use std::collections::BTreeMap;
use std::path::Path;

use restage_core::digest::Digest;
use restage_core::fs::{self, FsError};
use restage_core::rel_path::RelPath;

/// Which of `copied` (`copied_params`: digests by file) are there with other bytes.
pub fn edited_since_copied<'a>(
    root: &Path,
    copied: &'a BTreeMap<String, String>,
) -> Result<Vec<&'a str>, FsError> {
    let mut edited = Vec::new();
    for (name, digest) in copied {
        let Ok(path) = RelPath::new(name) else {
            continue;
        };
        let bytes = fs::read_if_exists(&path.under(root))?;
        if bytes.is_some_and(|bytes| Digest::of(&bytes).to_string() != *digest) {
            edited.push(name.as_str());
        }
    }
    Ok(edited)
}
