//! Paths of a `dvc.yaml`, which start at a stage's `wdir`.

use restage_core::rel_path::{RelPath, RelPathError};

/// A path below a folder (`""`: the pipeline's own), normalised; `""` for that folder itself.
pub(super) fn join(folder: &str, path: &str) -> Result<String, String> {
    if path.contains("://") {
        return Err(format!("`{path}` is not a file here"));
    }
    if path.starts_with('/') {
        return Err(format!("`{path}` is absolute"));
    }
    match RelPath::new(format!("{folder}/{path}").trim_start_matches('/')) {
        Ok(path) => Ok(path.as_str().to_owned()),
        Err(RelPathError::Empty) => Ok(String::new()),
        Err(RelPathError::Outside) => Err(format!("`{path}` lies outside of this folder")),
        Err(error) => Err(format!("`{}`: {error}", path.escape_debug())),
    }
}

/// Whether a path climbs out of the pipeline's folder.
pub(super) fn is_outside(folder: &str, path: &str) -> bool {
    let joined = format!("{folder}/{path}");
    let relative = !path.starts_with('/') && !path.contains("://");
    relative
        && matches!(
            RelPath::new(joined.trim_start_matches('/')),
            Err(RelPathError::Outside)
        )
}

/// Whether a path lies in a folder, or is it.
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path from a folder, with `..` where needed.
pub(super) fn from_folder(path: &str, folder: &str) -> String {
    let folders: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let parts: Vec<&str> = path.split('/').collect();
    let shared = folders
        .iter()
        .zip(&parts)
        .take_while(|(a, b)| a == b)
        .count();
    let shared = shared.min(parts.len() - 1);
    let mut steps = vec![".."; folders.len() - shared];
    steps.extend(&parts[shared..]);
    steps.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_folder_of_the_stage() {
        assert_eq!(join("src", "../data/a.csv").as_deref(), Ok("data/a.csv"));
        assert_eq!(join("", "./a/").as_deref(), Ok("a"));
        assert_eq!(join("src", "..").as_deref(), Ok(""));
        for outside in ["../../a", "/a", "s3://bucket/a"] {
            assert!(join("src", outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn a_path_from_a_folder_climbs_where_it_must() {
        assert_eq!(from_folder("src/a", "src"), "a");
        assert_eq!(from_folder("params.yaml", "src/x"), "../../params.yaml");
        assert_eq!(from_folder("a", ""), "a");
    }
}
