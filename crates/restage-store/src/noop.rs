//! Keeps what a run that had nothing to do depended on, one file per request: see
//! docs/adr/0005. Losing one costs the time of a plan.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::sealed::{seal, unseal};
use restage_core::digest::Digest;
use restage_core::fs::{self, StagedFile};

/// How many files are kept: requests differ by profile, overrides and targets.
const MOST: usize = 16;

fn path(dir: &Path, request: &Digest) -> PathBuf {
    dir.join("noop").join(request.to_string())
}

/// What was written for a request; `None` if that is damaged. `dir` is the workspace's own folder.
pub fn read(dir: &Path, request: &Digest) -> Result<Option<String>, StoreError> {
    let bytes = fs::read_own(&path(dir, request))?;
    let text = bytes.as_deref().and_then(|bytes| unseal(bytes).ok());
    Ok(text.map(str::to_owned))
}

/// Keeps a text for a request.
pub fn write(dir: &Path, request: &Digest, text: &str) -> Result<(), StoreError> {
    let path = path(dir, request);
    let folder = dir.join("noop");
    fs::create_dir_all(&folder)?;
    if fs::read_dir(&folder)?.len() >= MOST {
        forget(dir)?;
    }
    let mut staged = StagedFile::new_in(&dir.join("tmp"), &path)?;
    staged.write(seal(text).as_bytes())?;
    Ok(staged.commit()?)
}

/// Forgets what was kept for all requests.
pub fn forget(dir: &Path) -> Result<(), StoreError> {
    let folder = dir.join("noop");
    let ours = |name: &OsString| {
        let request = name
            .to_str()
            .is_some_and(|name| name.parse::<Digest>().is_ok());
        request || fs::is_temp_name(name)
    };
    for name in fs::read_dir_if_exists(&folder)?.into_iter().filter(ours) {
        fs::remove_below(dir, &folder.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_back_and_a_damaged_one_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(&dir.path().join("tmp")).unwrap();
        let request = Digest::of(b"request");
        assert_eq!(read(dir.path(), &request).unwrap(), None);
        write(dir.path(), &request, "text").unwrap();
        assert_eq!(read(dir.path(), &request).unwrap().unwrap(), "text");
        let whole = fs::read(&path(dir.path(), &request)).unwrap();
        for len in 0..whole.len() {
            std::fs::write(path(dir.path(), &request), &whole[..len]).unwrap();
            assert_eq!(read(dir.path(), &request).unwrap(), None);
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(path(dir.path(), &request), &bytes).unwrap();
            assert_eq!(read(dir.path(), &request).unwrap(), None);
        }
    }

    #[test]
    fn the_folder_does_not_grow_forever() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(&dir.path().join("tmp")).unwrap();
        for i in 0..100_u32 {
            let request = Digest::of(&i.to_le_bytes());
            write(dir.path(), &request, "text").unwrap();
            assert!(read(dir.path(), &request).unwrap().is_some());
        }
        let kept = fs::read_dir(&dir.path().join("noop")).unwrap();
        assert!(kept.len() <= MOST);
    }
}
