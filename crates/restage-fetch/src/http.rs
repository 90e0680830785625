//! HTTP requests for a file, from its start or from where the bytes end, until it is there.

use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Agent, Body};

use super::Watch;
use super::client::{Patience, client, is_https};
use super::error::FetchError;
use super::partial::{Note, Partial};
use super::retry::{Policy, retry_after};
use restage_core::fs::Context;

/// Fetches the whole of `url` into `partial`. Proxies are those of the environment.
pub(super) fn fetch(
    url: &str,
    partial: &Partial,
    policy: &Policy,
    watch: &mut dyn Watch,
) -> Result<(), FetchError> {
    let agent = client(&Patience {
        connect: policy.timeout,
        wait: policy.timeout,
        connections: 1,
        https: is_https(url),
    })?;
    let mut failures = 0;
    let mut longest = partial.len()?;
    loop {
        let (error, asked) = match request(watch, &agent, url, partial)? {
            Outcome::Complete => return Ok(()),
            Outcome::Again(error, asked) => (error, asked),
        };
        // Only bytes that no earlier try had reached count as progress: a server that starts over and breaks
        // off each time must not keep us here for ever.
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
        watch.message(&format!("{error}{cause}; trying again in {seconds} s"));
        std::thread::sleep(delay);
    }
}

/// How a request ended, short of an error that no other try can mend.
enum Outcome {
    /// The whole file is there.
    Complete,
    /// Another try may go better, after this time if the server asked for one.
    Again(FetchError, Option<Duration>),
}

/// Asks once, and writes what comes to the partial file.
fn request(
    watch: &mut dyn Watch,
    agent: &Agent,
    url: &str,
    partial: &Partial,
) -> Result<Outcome, FetchError> {
    let have = partial.len()?;
    let note = partial.note(url)?;
    if have > 0 && note.as_ref().and_then(|note| note.total) == Some(have) {
        return Ok(Outcome::Complete);
    }
    // Without a validator the rest might be of another version of the file.
    let validator = note.and_then(|note| note.validator).filter(|_| have > 0);
    let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
    if let Some(validator) = &validator {
        request = request
            .header(header::RANGE, format!("bytes={have}-"))
            .header(header::IF_RANGE, validator);
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(error) => return transport(url, error),
    };
    let status = response.status();
    match status {
        StatusCode::OK => {
            let total = number(response.headers(), header::CONTENT_LENGTH.as_str());
            let note = Note {
                url: url.to_owned(),
                validator: validator_of(response.headers()),
                total,
            };
            let file = partial.restart(&note)?;
            receive(watch, url, response, partial, (file, 0, total))
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = header_text(response.headers(), header::CONTENT_RANGE.as_str());
            match range.and_then(content_range) {
                Some((start, total)) if start == have && validator.is_some() => {
                    watch.message(&format!("resumed at byte {have}"));
                    let file = partial.append()?;
                    receive(watch, url, response, partial, (file, have, total))
                }
                _ => {
                    let range = range.unwrap_or("none").to_owned();
                    partial.remove()?;
                    let url = url.to_owned();
                    Ok(Outcome::Again(FetchError::Range { url, have, range }, None))
                }
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
            // What is there is at least as long as the file; begin again with none of it.
            partial.remove()?;
            Ok(Outcome::Again(
                status_error(url, status),
                Some(Duration::ZERO),
            ))
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Ok(
            Outcome::Again(status_error(url, status), asked_delay(&response)),
        ),
        _ if status.is_server_error() => Ok(Outcome::Again(
            status_error(url, status),
            asked_delay(&response),
        )),
        _ => Err(status_error(url, status)),
    }
}

/// Appends the body; `target` is the file, its length and the whole file's, if known.
fn receive(
    watch: &mut dyn Watch,
    url: &str,
    response: Response<Body>,
    partial: &Partial,
    target: (std::fs::File, u64, Option<u64>),
) -> Result<Outcome, FetchError> {
    let (mut file, start, total) = target;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    let mut length = start;
    let failure = loop {
        match body.read(&mut buffer) {
            Ok(0) => break None,
            Ok(count) => {
                file.write_all(&buffer[..count])
                    .at("write", partial.path())?;
                length += count as u64;
                watch.bytes(length, total.unwrap_or(0));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => break Some(error),
        }
    };
    file.sync_all().at("write", partial.path())?;
    if failure.is_none() && total.is_none_or(|total| total == length) {
        return Ok(Outcome::Complete);
    }
    let (url, expected) = (url.to_owned(), total);
    Ok(Outcome::Again(
        FetchError::Interrupted {
            url,
            length,
            expected,
            source: failure,
        },
        None,
    ))
}

/// Whether another try can help against an error on the way.
fn transport(url: &str, error: ureq::Error) -> Result<Outcome, FetchError> {
    let lasting = match &error {
        // rustls hides its refusal of a certificate in an I/O error of this kind.
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_) => false,
        _ => true,
    };
    let error = FetchError::Transport {
        url: url.to_owned(),
        source: Box::new(error),
    };
    if lasting {
        Err(error)
    } else {
        Ok(Outcome::Again(error, None))
    }
}

fn status_error(url: &str, status: StatusCode) -> FetchError {
    FetchError::Status {
        url: url.to_owned(),
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or("unknown status"),
    }
}

fn asked_delay(response: &Response<Body>) -> Option<Duration> {
    let value = header_text(response.headers(), header::RETRY_AFTER.as_str())?;
    retry_after(value, now())
}

/// What names this version of the file: a weak `ETag` is no use for ranges (RFC 9110, 13.1.5).
fn validator_of(headers: &HeaderMap) -> Option<String> {
    let tag = header_text(headers, header::ETAG.as_str()).filter(|tag| tag.starts_with('"'));
    let date = || header_text(headers, header::LAST_MODIFIED.as_str());
    tag.or_else(date).map(str::to_owned)
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    header_text(headers, name)?.trim().parse().ok()
}

/// `bytes 5-9/10` is 5 and 10; `bytes 5-9/*` is 5 and an unknown length.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    // A server that sends less than the rest would leave the file short.
    let whole = total.is_none_or(|total| end.checked_add(1) == Some(total));
    (start <= end && whole).then_some((start, total))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a server may name a time of day to come back at"
)]
fn now() -> SystemTime {
    SystemTime::now()
}
