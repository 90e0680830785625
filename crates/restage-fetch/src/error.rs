//! Why something could not be fetched or unpacked, and what to do.

use std::io;
use std::path::PathBuf;

use restage_core::fs::FsError;

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The disk.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The archive.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// No such address can be fetched.
    #[error("`{url}` is not an address that can be fetched")]
    Address {
        /// What was given.
        url: String,
    },
    /// The bytes are not those that were asked for.
    #[error(
        "what `{url}` gave is not what was asked for\n  expected SHA-256: {expected}\n  its SHA-256:      {found}"
    )]
    Mismatch {
        /// The address.
        url: String,
        /// What was asked for.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A file of this machine can't be read.
    #[error("cannot fetch `{url}`")]
    Local {
        /// The address.
        url: String,
        /// What was tried.
        source: FsError,
    },
    /// It is a folder of this machine.
    #[error("`{url}` is a folder, not a file")]
    Folder {
        /// The address.
        url: String,
    },
    /// A file of this machine changed meanwhile.
    #[error("`{url}` was changed while it was read")]
    Changed {
        /// The address.
        url: String,
    },
    /// The way to the server.
    #[error("cannot fetch `{url}`")]
    Transport {
        /// The address.
        url: String,
        /// What failed.
        source: Box<ureq::Error>,
    },
    /// A proxy that can't be used; its address may have a password in it.
    #[error("what `{name}` says {problem}")]
    Proxy {
        /// The variable.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The server does not give it.
    #[error("`{url}` answered {status} {reason}")]
    Status {
        /// The address.
        url: String,
        /// The code.
        status: u16,
        /// What the code means.
        reason: &'static str,
    },
    /// The server gave another part than was asked for.
    #[error("`{url}` answered with the range `{range}`, not from byte {have} to the end")]
    Range {
        /// The address.
        url: String,
        /// From where on it was asked for.
        have: u64,
        /// What it gave.
        range: String,
    },
    /// The server broke off.
    #[error(
        "the connection to `{url}` ended after {length} bytes{}",
        expected.map(|total| format!(" of {total}")).unwrap_or_default()
    )]
    Interrupted {
        /// The address.
        url: String,
        /// What is there.
        length: u64,
        /// What there should be.
        expected: Option<u64>,
        /// Why.
        source: Option<io::Error>,
    },
    /// It failed too often.
    #[error("gave up after {attempts} attempts without progress")]
    GaveUp {
        /// In a row.
        attempts: u32,
        /// The last failure.
        source: Box<FetchError>,
    },
    /// This machine can't.
    #[error("this CPU lacks {} for https", .0.join(", "))]
    NoTls(Vec<&'static str>),
    /// The file with certificates to trust has none.
    #[error("`{}` (SSL_CERT_FILE) has no certificate that can be read", .0.display())]
    Certificates(PathBuf),
}

impl FetchError {
    /// What the reader can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Fs(error) => error.hint().map_or_else(
                || "fix that, then run again; what was fetched is kept".to_owned(),
                str::to_owned,
            ),
            Self::Unpack(_) => "nothing of it was kept; check `url` and `unpack`".to_owned(),
            Self::Address { .. } => {
                "write `https://..`, `http://..` or `file:///..`".to_owned()
            }
            Self::Mismatch { found, .. } => format!(
                "the bytes were removed; check `url`, or write `sha256: {found}` if you trust them"
            ),
            Self::Status { .. } => {
                "check `url`; `file:///..` reads a copy that is here already".to_owned()
            }
            Self::Local { .. } => "check `url`; a file in the pipeline's folder is no data: a stage names it in `deps`".to_owned(),
            Self::Folder { .. } => "data with a `path` can be a folder; a `url` leads to a file".to_owned(),
            Self::Changed { .. } => "nothing of it was kept; run again when nobody writes to it".to_owned(),
            Self::Proxy { .. } => {
                "write `http://HOST:PORT` there, or unset it and name hosts that need no proxy in `no_proxy`"
                    .to_owned()
            }
            Self::NoTls(_) => {
                "fetch it by other means, and write its `file:///..` address".to_owned()
            }
            Self::Certificates(_) => "name a file with certificates in PEM".to_owned(),
            Self::Transport { .. }
            | Self::Range { .. }
            | Self::Interrupted { .. }
            | Self::GaveUp { .. } => "check the network, the proxy (`https_proxy`) and `url`, then run again; what was fetched is \
                                      kept and will be continued"
                .to_owned(),
        }
    }
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The disk.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is not an archive of this kind, or ends early.
    #[error("the archive is not a sound {kind}")]
    Damaged {
        /// `tar.gz`.
        kind: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// It holds what could do harm outside its folder.
    #[error("the archive has an unsafe entry `{name}`: {reason}")]
    Unsafe {
        /// The entry.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// It would fill the disk.
    #[error("the archive unpacks to more than {limit} {what}")]
    TooLarge {
        /// How much is allowed.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
}
