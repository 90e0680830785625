//! Names of files: relative to the workspace, and to the pipeline's folder.

use std::path::Path;

use super::CodeError;
use restage_core::rel_path::RelPath;

/// A file of the workspace, relative to the pipeline's folder.
pub(super) fn within(root: &Path, workspace: &str, path: &RelPath) -> Result<RelPath, CodeError> {
    let name = join(workspace, path.as_str());
    RelPath::new(&name).map_err(|source| CodeError::Name {
        path: root.join(&name),
        source,
    })
}

/// `folder/name`, or `name` in the workspace's own folder.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}
