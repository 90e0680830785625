//! From an address to an archive whose digest is right, and to its files.
//! It must not know how bytes travel nor how they are packed.

use std::path::{Path, PathBuf};

use contract::{Stage, StageError, WithHint};
use percent_encoding::percent_decode_str;

use crate::archive;
use crate::fetch::partial::Partial;
use crate::fetch::{Policy, fetch};
use crate::params::DatasetParams;
use crate::unpack::{self, Limits};

/// The digest's and the unpacking's share of the stage's work, after fetching.
const FETCHED_SPANS: [(f64, f64); 2] = [(0.8, 0.9), (0.9, 1.0)];
/// The same for a local file.
const LOCAL_SPANS: [(f64, f64); 2] = [(0.0, 0.4), (0.4, 1.0)];

/// An archive with the right digest.
#[derive(Debug)]
pub(crate) struct Obtained {
    path: PathBuf,
    sha256: String,
    /// Where it was fetched to; none for a local file, which stays where it is.
    partial: Option<Partial>,
}

impl Obtained {
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Removes a fetched archive; only for when its files are safe.
    pub(crate) fn discard(self) -> Result<(), StageError> {
        match self.partial {
            Some(partial) => Ok(partial.remove()?),
            None => Ok(()),
        }
    }
}

/// An archive that is not the one that was asked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "the archive from `{url}` is not the expected one\n  expected SHA-256: {expected}\n  its SHA-256:      {found}"
)]
struct Mismatch {
    url: String,
    expected: String,
    found: String,
}

/// Where the archive is.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Local(PathBuf),
    Http,
}

/// Finds or fetches the archive and checks its digest.
pub(crate) fn obtain(
    stage: &Stage,
    params: &DatasetParams,
    policy: &Policy,
) -> Result<Obtained, StageError> {
    let url = params.url.as_str();
    if params.sha256.is_none() {
        stage.message("`dataset.sha256` is null: the archive is used unchecked");
    }
    match address(url)? {
        Address::Local(path) => {
            let sha256 = archive::sha256(stage, &path, LOCAL_SPANS[0])
                .with_hint("check `dataset.url`; it must name a readable file")?;
            check(params, &sha256).map_err(|mismatch| {
                StageError::from(mismatch).with_hint(
                    "if this is the archive that you want, set `dataset.sha256` to its SHA-256",
                )
            })?;
            Ok(Obtained {
                path,
                sha256,
                partial: None,
            })
        }
        Address::Http => {
            let partial = Partial::new(stage.scratch());
            let continued = partial.len()? > 0;
            let get = || {
                fetch(stage, url, &partial, policy).map_err(|error| {
                    let hint = error.hint();
                    StageError::from(error).with_hint(hint)
                })
            };
            get()?;
            let mut sha256 = archive::sha256(stage, partial.path(), FETCHED_SPANS[0])?;
            if continued && check(params, &sha256).is_err() {
                // The bytes of an earlier attempt may be what is wrong.
                stage
                    .message("the continued archive has a wrong SHA-256; fetching all of it again");
                partial.remove()?;
                get()?;
                sha256 = archive::sha256(stage, partial.path(), FETCHED_SPANS[0])?;
            }
            if let Err(mismatch) = check(params, &sha256) {
                partial.remove()?;
                return Err(StageError::from(mismatch).with_hint(
                    "the bytes were removed; check `dataset.url`, or set `dataset.sha256` to the SHA-256 above if you trust it",
                ));
            }
            Ok(Obtained {
                path: partial.path().to_owned(),
                sha256,
                partial: Some(partial),
            })
        }
    }
}

/// Takes the files out of the archive into an empty folder.
pub(crate) fn unpack(
    stage: &Stage,
    params: &DatasetParams,
    obtained: &Obtained,
    folder: &Path,
) -> Result<(), StageError> {
    let [_, span] = match obtained.partial {
        Some(_) => FETCHED_SPANS,
        None => LOCAL_SPANS,
    };
    unpack::unpack(stage, &obtained.path, folder, Limits::DEFAULT, span).map_err(|error| {
        let local = matches!(error, unpack::UnpackError::File(_));
        let error = StageError::from(error);
        if local {
            return error.with_hint("make room or fix the permissions, then run again");
        }
        error.with_hint(format!(
            "nothing of it was kept; `dataset.url` is `{}`, it must be CIFAR-10's binary archive",
            params.url
        ))
    })
}

fn check(params: &DatasetParams, found: &str) -> Result<(), Mismatch> {
    match &params.sha256 {
        Some(expected) if expected != found => Err(Mismatch {
            url: params.url.clone(),
            expected: expected.clone(),
            found: found.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn address(url: &str) -> Result<Address, StageError> {
    let refuse = |problem: &str| {
        StageError::usage_message(format!("parameter `dataset.url`: `{url}` {problem}")).with_hint(
            "it is `https://...`, `http://...`, or `file://` followed by an absolute path",
        )
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(refuse("is not an address"));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => Ok(Address::Http),
        "file" => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(refuse("has no absolute path after `file://`"));
            }
            match percent_decode_str(path).decode_utf8() {
                Ok(path) if !path.contains('\0') => {
                    Ok(Address::Local(PathBuf::from(path.as_ref())))
                }
                _ => Err(refuse("has a path that is not text")),
            }
        }
        _ => Err(refuse("has a scheme that is not supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        let local = |path: &str| Address::Local(PathBuf::from(path));
        assert_eq!(address("https://a/b").unwrap(), Address::Http);
        assert_eq!(address("file:///a/b%20c").unwrap(), local("/a/b c"));
        assert_eq!(address("file://localhost/a").unwrap(), local("/a"));
        let cases = ["/a/b", "file://a/b", "ftp://a/b", "file:///%ff"];
        let refusals = cases.map(|url| address(url).unwrap_err().to_string());
        insta::assert_snapshot!(refusals.join("\n"), @"
        parameter `dataset.url`: `/a/b` is not an address
        parameter `dataset.url`: `file://a/b` has no absolute path after `file://`
        parameter `dataset.url`: `ftp://a/b` has a scheme that is not supported
        parameter `dataset.url`: `file:///%ff` has a path that is not text
        ");
    }
}
