//! Fetches the archive over HTTP into the scratch folder, resuming and retrying.
//! It must not know what the bytes mean, nor whether their digest is right.

pub(crate) mod partial;
mod request;
mod retry;
mod tls;

use std::io;

use contract::Stage;
use contract::files::FileError;

use partial::Partial;
use request::Outcome;
pub(crate) use retry::Policy;

/// Fetching's share of the stage's work.
const SPAN: (f64, f64) = (0.0, 0.8);

/// Why the archive could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot fetch `{url}`")]
    Transport {
        url: String,
        source: Box<ureq::Error>,
    },
    #[error("`{url}` answered {status} {reason}")]
    Status {
        url: String,
        status: u16,
        reason: &'static str,
    },
    #[error("`{url}` answered with the range `{range}`, not from byte {have} to the end")]
    Range {
        url: String,
        have: u64,
        range: String,
    },
    #[error(
        "the connection to `{url}` ended after {length} bytes{}",
        expected.map(|total| format!(" of {total}")).unwrap_or_default()
    )]
    Interrupted {
        url: String,
        length: u64,
        expected: Option<u64>,
        source: Option<io::Error>,
    },
    #[error("`{url}` is larger than {limit} bytes")]
    TooLarge { url: String, limit: u64 },
    #[error("gave up after {attempts} attempts without progress")]
    GaveUp {
        attempts: u32,
        source: Box<FetchError>,
    },
    #[error("this CPU lacks {} for https", .0.join(", "))]
    NoTls(Vec<&'static str>),
}

impl FetchError {
    /// What the reader can do.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::File(_) => {
                "make room or fix the permissions, then run again; what was fetched is kept"
            }
            Self::Status { .. } => {
                "check `dataset.url`; `-S dataset.url=...` sets another, `file://` reads a local copy"
            }
            Self::NoTls(_) => {
                "fetch the archive by other means and set `dataset.url` to its `file://` or an `http://` address"
            }
            Self::TooLarge { .. } => "this is not the archive; check `dataset.url`",
            _ => {
                "check the network and `dataset.url`, then run again; what was fetched is kept and will be continued"
            }
        }
    }
}

/// Fetches the whole of `url` into `partial`.
pub(crate) fn fetch(
    stage: &Stage,
    url: &str,
    partial: &Partial,
    policy: &Policy,
) -> Result<(), FetchError> {
    let scheme = url.split(':').next().unwrap_or_default();
    if scheme.eq_ignore_ascii_case("https") {
        let missing = tls::missing_cpu_features();
        if !missing.is_empty() {
            return Err(FetchError::NoTls(missing));
        }
    }
    let agent = request::agent(policy);
    let mut failures = 0;
    let mut longest = partial.len()?;
    loop {
        let (error, asked) = match request::request(stage, &agent, url, partial)? {
            Outcome::Complete => return Ok(()),
            Outcome::Again(error, asked) => (error, asked),
        };
        // Only bytes that no earlier try had reached count as progress: a server that
        // starts over and breaks off each time must not keep us here for ever.
        let length = partial.len()?;
        if length > longest {
            longest = length;
            failures = 0;
        }
        failures += 1;
        if failures >= policy.attempts {
            return Err(FetchError::GaveUp {
                attempts: failures,
                source: Box::new(error),
            });
        }
        let delay = policy.delay(failures, asked);
        let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})"));
        let (cause, seconds) = (cause.unwrap_or_default(), delay.as_secs_f32());
        stage.message(&format!("{error}{cause}; trying again in {seconds} s"));
        std::thread::sleep(delay);
    }
}

#[cfg(test)]
mod tests;
