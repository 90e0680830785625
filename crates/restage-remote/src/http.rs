//! A remote that is a plain web server: GET, HEAD, PUT and DELETE of files, without listing.

use std::ops::Range;

use ureq::http::header;
use ureq::{Agent, Body as AnswerBody, http::Response};

use super::error::RemoteError;
use super::remote::Patience;
use super::transport::{Body, Sink, Transport};
use super::web;
use restage_core::fs;

/// A web server, or a folder on one.
#[derive(Debug)]
pub(crate) struct HttpTransport {
    agent: Agent,
    /// Without a slash at its end.
    url: String,
    /// The header by which it knows us; never shown.
    secret: Option<Secret>,
    by: String,
}

/// A header's value that is not shown.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl HttpTransport {
    /// `by`: what the credential is called.
    pub(crate) fn new(
        url: &str,
        secret: Option<Secret>,
        by: String,
        patience: &Patience,
    ) -> Result<Self, RemoteError> {
        Ok(Self {
            agent: web::agent(url, patience)?,
            url: url.trim_end_matches('/').to_owned(),
            secret,
            by,
        })
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn answer(
        &self,
        at: &str,
        answer: Result<Response<AnswerBody>, ureq::Error>,
    ) -> Result<Option<Response<AnswerBody>>, RemoteError> {
        let response = answer.map_err(|error| web::no_answer(at, &error))?;
        match response.status().as_u16() {
            200..=299 => Ok(Some(response)),
            404 | 410 => Ok(None),
            _ => Err(web::bad_answer(at, response, &self.by)),
        }
    }

    fn authorization(&self) -> &str {
        self.secret.as_ref().map_or("", |secret| &secret.0)
    }
}

/// Adds our credential, if we have one.
macro_rules! signed {
    ($self:ident, $request:expr) => {{
        let request = $request.header(header::ACCEPT_ENCODING, "identity");
        match $self.authorization() {
            "" => request,
            value => request.header(header::AUTHORIZATION, value),
        }
    }};
}

impl Transport for HttpTransport {
    fn address(&self) -> &str {
        &self.url
    }

    fn size(&self, name: &str) -> Result<Option<u64>, RemoteError> {
        let at = self.at(name);
        let answer = signed!(self, self.agent.head(&at)).call();
        let Some(response) = self.answer(&at, answer)? else {
            return Ok(None);
        };
        // Some servers don't say the size. Then it has the one that its name has.
        Ok(Some(web::length(response.headers()).unwrap_or(u64::MAX)))
    }

    fn get(
        &self,
        name: &str,
        part: Option<&Range<u64>>,
        sink: &mut Sink<'_>,
    ) -> Result<bool, RemoteError> {
        let at = self.at(name);
        let mut request = signed!(self, self.agent.get(&at));
        if let Some(part) = part {
            request = request.header(
                header::RANGE,
                format!("bytes={}-{}", part.start, part.end - 1),
            );
        }
        let Some(response) = self.answer(&at, request.call())? else {
            return Ok(false);
        };
        let expected = match part {
            None => None,
            Some(_) if response.status().as_u16() != 206 => {
                return Err(RemoteError::NoParts { what: at });
            }
            Some(part) => {
                web::check_part(&at, response.headers(), part)?;
                Some(part.end - part.start)
            }
        };
        web::stream(&at, response, expected, sink)?;
        Ok(true)
    }

    fn put(&self, name: &str, body: Body<'_>) -> Result<(), RemoteError> {
        let at = self.at(name);
        // What is sent is sent here and nowhere else.
        let request = signed!(self, self.agent.put(&at))
            .config()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        let answer = match body {
            Body::Bytes(bytes) => request.send(bytes),
            Body::File(path) => request.send(&fs::open_own(path)?),
        };
        match self.answer(&at, answer)? {
            Some(_) => Ok(()),
            None => Err(RemoteError::Status {
                what: at,
                status: 404,
                code: None,
                after: None,
            }),
        }
    }

    fn list(&self, _: &str, _: &mut dyn FnMut(&str, u64)) -> Result<bool, RemoteError> {
        Ok(false)
    }
}
