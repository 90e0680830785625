//! Downloads a file, checks it, and unpacks it. It knows nothing of pipelines and stores.
//!
//! Nobody vouches for a server, nor for what is in an archive: bytes count once their SHA-256 is the one
//! that was asked for, and names, kinds and sizes of what is unpacked are checked before anything is written
//! (docs/adr/0025).

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod client;
mod error;
mod http;
mod partial;
mod retry;
mod streams;
#[cfg(test)]
mod tests;
mod tls;
mod unpack;
mod zip;

use std::io::Read;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use restage_core::digest::{Touch, Witness, nothing};
use restage_core::fs::{self, Context};

pub use client::{Patience, client, is_https};
pub use error::{FetchError, UnpackError};
use partial::Partial;
pub use retry::{Policy, retry_after};
pub use unpack::{Limits, Unpack};

/// What to fetch.
#[derive(Debug, Clone)]
pub struct Order {
    /// `https://`, `http://` or `file://`.
    pub url: String,
    /// Of the file, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What it is packed by; `None`: it is kept as it is.
    pub unpack: Option<Unpack>,
    /// The file or folder to make; nothing is there.
    pub out: PathBuf,
}

/// Is told how far it is.
pub trait Watch {
    /// So many bytes of so many, 0 where that is unknown.
    fn bytes(&mut self, done: u64, total: u64);
    /// Something worth reading.
    fn message(&mut self, text: &str);
}

/// Fetches, checks and unpacks. What was fetched so far stays in `scratch`, to be continued by the next call.
///
/// # Errors
/// The file can't be had, is another one, or is an archive that must not be unpacked.
pub fn fetch(
    order: &Order,
    scratch: &Path,
    policy: &Policy,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<(), FetchError> {
    if let Some(path) = local(&order.url)? {
        return fetch_local(order, &path, limits, watch);
    }
    let partial = Partial::new(scratch);
    let continued = partial.len()? > 0;
    http::fetch(&order.url, &partial, policy, watch)?;
    let mut found = sha256(partial.path(), watch)?;
    if continued && check(order, &found).is_err() {
        // The bytes of an earlier call may be what is wrong.
        watch.message("what was continued has a wrong SHA-256; all of it is fetched again");
        partial.remove()?;
        http::fetch(&order.url, &partial, policy, watch)?;
        found = sha256(partial.path(), watch)?;
    }
    if let Err(error) = check(order, &found) {
        partial.remove()?;
        return Err(error);
    }
    unpack_to(order, partial.path(), true, limits)?;
    Ok(partial.remove()?)
}

/// A file of this machine, which others may write to: what was read last must be what was checked.
fn fetch_local(
    order: &Order,
    path: &Path,
    limits: &Limits,
    watch: &mut dyn Watch,
) -> Result<(), FetchError> {
    let url = || order.url.clone();
    let local = |source| FetchError::Local { url: url(), source };
    if fs::metadata(path).map_err(local)?.is_dir() {
        return Err(FetchError::Folder { url: url() });
    }
    let seen = || Witness::of(path, &nothing).map_err(local);
    let mut digest = || {
        sha256(path, watch).map_err(|error| match error {
            FetchError::Fs(source) => local(source),
            error => error,
        })
    };
    let before = seen()?;
    before.settle();
    check(order, &digest()?)?;
    unpack_to(order, path, false, limits)?;
    let same = match before.until(&seen()?) {
        Touch::None => true,
        Touch::Written => false,
        // A new name, or times that were put back.
        Touch::Perhaps => check(order, &digest()?).is_ok(),
    };
    match same {
        true => Ok(()),
        false => Err(FetchError::Changed { url: url() }),
    }
}

/// The path of a `file://` address; `None` for an address of the web.
fn local(url: &str) -> Result<Option<PathBuf>, FetchError> {
    let unknown = || FetchError::Address {
        url: url.to_owned(),
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => Ok(None),
        "file" => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(unknown());
            }
            let bytes: Vec<u8> = percent_decode_str(path).collect();
            Ok(Some(PathBuf::from(std::ffi::OsString::from(
                String::from_utf8(bytes).map_err(|_| unknown())?,
            ))))
        }
        _ => Err(unknown()),
    }
}

fn check(order: &Order, found: &str) -> Result<(), FetchError> {
    match order.sha256 == found {
        true => Ok(()),
        false => Err(FetchError::Mismatch {
            url: order.url.clone(),
            expected: order.sha256.clone(),
            found: found.to_owned(),
        }),
    }
}

/// The SHA-256 of a file, in hexadecimal digits.
fn sha256(path: &Path, watch: &mut dyn Watch) -> Result<String, FetchError> {
    let mut file = fs::open(path)?;
    let total = fs::metadata(path)?.len();
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut done = 0;
    loop {
        let count = file.read(&mut buffer).at("read", path)?;
        if count == 0 {
            let digits = digest.finalize();
            return Ok(digits.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        digest.update(&buffer[..count]);
        done += count as u64;
        watch.bytes(done, total);
    }
}

/// Makes `out` of a file that was checked. `ours`: the file is not needed afterwards.
fn unpack_to(order: &Order, path: &Path, ours: bool, limits: &Limits) -> Result<(), FetchError> {
    if let Some(parent) = order.out.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent)?;
    }
    match order.unpack {
        Some(kind) => {
            fs::create_dir(&order.out)?;
            Ok(unpack::unpack(path, kind, &order.out, limits)?)
        }
        // Unless they lie on two file systems.
        None if ours && fs::rename(path, &order.out).is_ok() => Ok(()),
        None => {
            fs::copy(path, &order.out)?;
            Ok(fs::set_mode(&order.out, 0o644)?)
        }
    }
}
