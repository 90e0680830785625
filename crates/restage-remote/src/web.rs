//! What the remotes that are asked by HTTP have in common: answers and their bodies, as data from outside.

use std::io::Read;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, Response, header};
use ureq::{Agent, Body};

use super::error::RemoteError;
use super::remote::Patience;
use super::transport::Sink;
use restage_fetch::{Patience as ClientPatience, client, is_https, retry_after};

/// Connections that are kept open: as many as threads use at once.
const CONNECTIONS: usize = 64;

/// The most that is read of an answer that says what went wrong.
const EXPLANATION: u64 = 16 << 10;

/// The client for requests to an address.
pub(crate) fn agent(url: &str, patience: &Patience) -> Result<Agent, RemoteError> {
    Ok(client(&ClientPatience {
        connect: patience.connect,
        wait: patience.wait,
        connections: CONNECTIONS,
        https: is_https(url),
    })?)
}

/// The error of a request that got no answer. Its text never has the address in it, which may be signed.
pub(crate) fn no_answer(what: &str, error: &ureq::Error) -> RemoteError {
    let reason = match error {
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            // rustls hides its refusal of a certificate in an I/O error of this kind.
            return RemoteError::Unusable(format!("`{what}` can't be trusted: {error}"));
        }
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(timeout) => format!("timeout ({timeout})"),
        ureq::Error::HostNotFound => "its host is not known".to_owned(),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Protocol(error) => format!("it does not speak HTTP ({error})"),
        ureq::Error::RedirectFailed | ureq::Error::TooManyRedirects => {
            return RemoteError::Unusable(format!("`{what}` leads elsewhere"));
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            return RemoteError::Unusable(format!("`{what}` is not an address that can be asked"));
        }
        ureq::Error::Tls(reason) => format!("TLS failed ({reason})"),
        _ => "the request failed".to_owned(),
    };
    RemoteError::Unreachable {
        what: what.to_owned(),
        reason,
    }
}

/// The error of an answer whose status is not one that is hoped for. `by`: the credential that was used.
pub(crate) fn bad_answer(what: &str, response: Response<Body>, by: &str) -> RemoteError {
    let status = response.status().as_u16();
    let after = text(response.headers(), header::RETRY_AFTER.as_str())
        .and_then(|value| retry_after(value, now()));
    let explanation = response
        .into_body()
        .into_with_config()
        .limit(EXPLANATION)
        .lossy_utf8(true)
        .read_to_string();
    let code = explanation.ok().as_deref().and_then(code_in);
    let what = what.to_owned();
    // S3 has a word of its own for requests that come too fast, and for a slow clock.
    match status {
        401 | 403 | 407 => RemoteError::Refused {
            what,
            by: by.to_owned(),
            status,
            code,
        },
        _ => RemoteError::Status {
            what,
            status,
            code,
            after,
        },
    }
}

/// The word in `<Code>` of S3's errors: of letters alone, for it is shown.
fn code_in(body: &str) -> Option<String> {
    let (_, rest) = body.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_word && !code.is_empty()).then(|| code.to_owned())
}

/// Whether an answer to a request for a part has that part, of a whole that can be had.
pub(crate) fn check_part(
    what: &str,
    headers: &HeaderMap,
    part: &Range<u64>,
) -> Result<(), RemoteError> {
    let nonsense = |problem: String| RemoteError::Nonsense {
        what: what.to_owned(),
        problem,
    };
    let range = text(headers, header::CONTENT_RANGE.as_str())
        .ok_or_else(|| nonsense("a part without its range".to_owned()))?;
    let parsed = || {
        let (range, _) = range.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (start, last) = range.split_once('-')?;
        let (start, last): (u64, u64) = (start.parse().ok()?, last.parse().ok()?);
        Some(start..last.checked_add(1)?)
    };
    match parsed() {
        Some(found) if found == *part => Ok(()),
        _ => Err(nonsense(format!(
            "another part than the bytes {} to {}",
            part.start,
            part.end - 1
        ))),
    }
}

/// Passes the body of an answer to `sink`; `expected` bytes, if that is known.
pub(crate) fn stream(
    what: &str,
    response: Response<Body>,
    expected: Option<u64>,
    sink: &mut Sink<'_>,
) -> Result<(), RemoteError> {
    let expected = expected.or_else(|| length(response.headers()));
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 18];
    let mut got = 0;
    loop {
        let count = match body.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let what = what.to_owned();
                return Err(match expected {
                    Some(expected) if got < expected => RemoteError::Cut {
                        what,
                        got,
                        expected,
                    },
                    _ => RemoteError::Unreachable {
                        what,
                        reason: error.to_string(),
                    },
                });
            }
        };
        if count == 0 {
            break;
        }
        got += count as u64;
        sink(&buffer[..count])?;
    }
    match expected {
        Some(expected) if expected != got => Err(RemoteError::Cut {
            what: what.to_owned(),
            got,
            expected,
        }),
        _ => Ok(()),
    }
}

/// The length that an answer says.
pub(crate) fn length(headers: &HeaderMap) -> Option<u64> {
    let value = text(headers, header::CONTENT_LENGTH.as_str())?;
    value.trim().parse().ok()
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// For how long a signed address is good: for a slow part of a large file.
pub(crate) const SIGNED_FOR: Duration = Duration::from_secs(3600);

#[expect(
    clippy::disallowed_methods,
    reason = "a server may name a time of day to come back at"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_of_letters_is_taken_from_a_servers_explanation() {
        let code = |text: &str| code_in(text);
        assert_eq!(
            code("<Error><Code>NoSuchBucket</Code>").as_deref(),
            Some("NoSuchBucket")
        );
        for odd in [
            "<Code></Code>",
            "<Code>\u{1b}[2J</Code>",
            "<Code>a b</Code>",
            "<Code>x",
            "",
        ] {
            assert_eq!(code(odd), None, "{odd:?}");
        }
    }
}
