//! Why a remote did not do what it was asked, and what to do.

use std::time::Duration;

use restage_core::fs::FsError;
use restage_fetch::FetchError;
use restage_store::StoreError;

/// A remote did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The disk of this machine.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The disk that a remote is on.
    #[error("{0}")]
    Folder(FsError),
    /// The store of this machine.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This machine can't ask: its proxy, its certificates or its CPU.
    #[error(transparent)]
    Client(#[from] FetchError),
    /// The address, or what belongs to it, is wrong.
    #[error("{0}")]
    Setup(String),
    /// The folder of a remote is not there.
    #[error("`{0}` is not a folder")]
    NoFolder(String),
    /// A server is there, and must not be used.
    #[error("{0}")]
    Unusable(String),
    /// No answer.
    #[error("`{what}` can't be reached: {reason}")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// Why.
        reason: String,
    },
    /// The answer ended early.
    #[error("`{what}` gave {got} bytes of {expected}")]
    Cut {
        /// What was asked for.
        what: String,
        /// What came.
        got: u64,
        /// What there should be.
        expected: u64,
    },
    /// It has more bytes than it can have.
    #[error("`{what}` gave more than the {most} bytes that it can have")]
    TooLong {
        /// What was asked for.
        what: String,
        /// As many are right.
        most: u64,
    },
    /// An answer that is no good.
    #[error("`{what}` answered {status}{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Status {
        /// What was asked for.
        what: String,
        /// The status.
        status: u16,
        /// The server's word for it.
        code: Option<String>,
        /// After how long it wants to be asked again.
        after: Option<Duration>,
    },
    /// Who asks may not.
    #[error("`{what}` refuses {by}: {status}{}", code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// What was asked for.
        what: String,
        /// By which credential.
        by: String,
        /// The status.
        status: u16,
        /// The server's word for it.
        code: Option<String>,
    },
    /// An answer that makes no sense.
    #[error("`{what}` gave an answer that makes no sense: {problem}")]
    Nonsense {
        /// What was asked for.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It gives no parts of files.
    #[error("`{what}` gives no parts of files")]
    NoParts {
        /// What was asked for.
        what: String,
    },
    /// An upload in parts was given up by the server.
    #[error("the upload of `{what}` that was begun is gone")]
    UploadGone {
        /// What was sent.
        what: String,
    },
    /// Bytes that are not those of their name.
    #[error("`{what}` is damaged: its bytes have another digest than its name")]
    Damaged {
        /// What was asked for.
        what: String,
    },
    /// There is nothing of this name.
    #[error("`{what}` is not there")]
    NotThere {
        /// What was asked for.
        what: String,
    },
    /// Another restage made it.
    #[error("`{what}` has a layout that this restage does not know")]
    Layout {
        /// Its address.
        what: String,
    },
    /// It failed each time.
    #[error("{last} ({tries} tries)")]
    GaveUp {
        /// So many.
        tries: u32,
        /// The last failure.
        last: Box<RemoteError>,
    },
    /// It was given up a moment ago.
    #[error("`{what}` was given up: it can't be reached")]
    Down {
        /// Its address.
        what: String,
    },
}

impl RemoteError {
    /// Whether another try may go better.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Cut { .. } | Self::Nonsense { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }

    /// Whether the remote, and not one thing in it, is what fails.
    pub fn is_remote(&self) -> bool {
        match self {
            Self::GaveUp { last, .. } => last.is_remote(),
            Self::Folder(_)
            | Self::Unreachable { .. }
            | Self::Status { .. }
            | Self::Refused { .. }
            | Self::Client(_)
            | Self::Setup(_)
            | Self::NoFolder(_)
            | Self::Unusable(_)
            | Self::Layout { .. }
            | Self::Down { .. } => true,
            _ => false,
        }
    }

    /// Whether it was said already, by another error.
    pub fn is_repeated(&self) -> bool {
        matches!(self, Self::Down { .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Fs(error) | Self::Folder(error) => return error.hint().map(str::to_owned),
            Self::Store(error) => return error.hint(),
            Self::Client(error) => return Some(error.hint()),
            Self::GaveUp { last, .. } => return last.hint(),
            Self::NoFolder(_) => {
                "mount the disk that it is on, or make the folder that it is to be in: a push makes the last one"
            }
            Self::Unusable(_) => {
                "nothing was sent; check `url` and, where a proxy reads along, SSL_CERT_FILE"
            }
            Self::Setup(_) | Self::UploadGone { .. } | Self::NoParts { .. } => return None,
            Self::Unreachable { .. } | Self::Down { .. } => {
                "check the network, the proxy (`https_proxy`) and `url` in restage.toml; results are kept here as ever"
            }
            Self::Refused { status: 401, .. } => {
                "set the remote's credentials (docs/guide/sharing-results.md)"
            }
            Self::Refused { code, .. } if code.as_deref() == Some("RequestTimeTooSkewed") => {
                "this machine's clock is wrong"
            }
            Self::Refused { .. } => {
                "use credentials that may do this; pulling needs the right to read, pushing to write (for S3: \
                 `s3:GetObject`, `s3:ListBucket`, `s3:PutObject`)"
            }
            Self::Status { code, .. }
                if matches!(
                    code.as_deref(),
                    Some(
                        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect"
                    )
                ) =>
            {
                "the bucket is in another region: write `region` for the remote in restage.toml"
            }
            Self::Status { code, .. } if code.as_deref() == Some("NoSuchBucket") => {
                "make the bucket, or correct `url` in restage.toml"
            }
            Self::Status { .. }
            | Self::Cut { .. }
            | Self::TooLong { .. }
            | Self::Nonsense { .. } => {
                "nothing that came is used; if it stays, ask whoever runs the server"
            }
            Self::Damaged { .. } | Self::NotThere { .. } => {
                "nothing of it is used; `restage push --repair` from where the result is puts it there again"
            }
            Self::Layout { .. } => "a newer restage made it, or it is something else: check `url`",
        };
        Some(hint.to_owned())
    }
}
