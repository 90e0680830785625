//! Keeps compiled kernels on disk, by the digest of all that they are compiled from.
//! It must not know how they are compiled. What cannot be kept is compiled again.

use std::io::Write;
use std::path::Path;

use super::CompileError;

/// What is kept under the digest of `inputs`, or what `make` makes, which is then kept.
///
/// # Errors
/// Those of `make`: a folder that cannot be read or written costs time only.
pub(super) fn or_make(
    folder: Option<&Path>,
    inputs: &[&str],
    make: impl FnOnce() -> Result<Vec<u8>, CompileError>,
) -> Result<Vec<u8>, CompileError> {
    let Some(folder) = folder else { return make() };
    let mut hasher = blake3::Hasher::new();
    for input in inputs {
        hasher.update(&(input.len() as u64).to_le_bytes());
        hasher.update(input.as_bytes());
    }
    let path = folder.join(format!("{}.cubin", hasher.finalize().to_hex()));
    if let Some(code) = std::fs::read(&path).ok().and_then(|held| checked(&held)) {
        return Ok(code);
    }
    let code = make()?;
    // Another process may keep the same at this moment: whoever renames last wins.
    let _not_kept = keep(folder, &path, &code);
    Ok(code)
}

/// The code behind its own digest: a file cut short must not reach the driver.
fn checked(held: &[u8]) -> Option<Vec<u8>> {
    let (digest, code) = held.split_at_checked(blake3::OUT_LEN)?;
    (blake3::hash(code).as_bytes() == digest).then(|| code.to_vec())
}

fn keep(folder: &Path, path: &Path, code: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(blake3::hash(code).as_bytes())?;
    file.write_all(code)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path, input: &str, code: &[u8]) -> (Vec<u8>, bool) {
        let mut asked = false;
        let found = or_make(Some(folder), &[input], || {
            asked = true;
            Ok(code.to_vec())
        });
        (found.expect("code"), asked)
    }

    #[test]
    fn the_same_inputs_are_compiled_once_and_others_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("kernels");
        assert_eq!(made(&folder, "a", b"A"), (b"A".to_vec(), true));
        assert_eq!(made(&folder, "a", b"never"), (b"A".to_vec(), false));
        assert_eq!(made(&folder, "b", b"B"), (b"B".to_vec(), true));
    }

    #[test]
    fn a_damaged_file_is_compiled_again() {
        let folder = tempfile::tempdir().expect("a folder");
        made(folder.path(), "a", b"code");
        let entry = std::fs::read_dir(folder.path()).expect("a folder").next();
        let path = entry.expect("a file").expect("a file").path();
        for damage in [&b""[..], &b"short"[..], &[0; 40][..]] {
            std::fs::write(&path, damage).expect("a file");
            assert_eq!(made(folder.path(), "a", b"code"), (b"code".to_vec(), true));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_time_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(made(&file, "a", b"A"), (b"A".to_vec(), true));
        assert_eq!(or_make(None, &["a"], || Ok(vec![1])).expect("code"), [1]);
    }
}
