//! A remote in a bucket: S3 as AWS has it, and as many others do. `rusty-s3` signs addresses and reads answers;
//! it does no I/O.

use std::ops::Range;

use rusty_s3::actions::{CreateMultipartUpload, ListObjectsV2};
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use ureq::http::{Response, header};
use ureq::{Agent, Body as AnswerBody};

use super::aws::Account;
use super::error::RemoteError;
use super::remote::Patience;
use super::transport::{Body, Parts, Sink, Transport};
use super::web::{self, SIGNED_FOR};
use restage_core::fs;

/// The most that an answer to a listing has: a thousand names.
const PAGE: u64 = 16 << 20;

/// The most that an answer about an upload has.
const SMALL: u64 = 1 << 20;

/// A bucket, or what begins with a prefix in one.
pub(crate) struct S3Transport {
    agent: Agent,
    bucket: Bucket,
    credentials: Option<Credentials>,
    /// What the names begin with: empty, or with a slash at its end.
    prefix: String,
    address: String,
    by: String,
}

impl std::fmt::Debug for S3Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3Transport({})", self.address)
    }
}

impl S3Transport {
    /// `path`: what comes after the bucket in the address.
    pub(crate) fn new(
        bucket: &str,
        path: &str,
        account: Account,
        patience: &Patience,
    ) -> Result<Self, RemoteError> {
        let wrong = |problem: &str| {
            RemoteError::Setup(format!(
                "`{}` is not an endpoint of S3: {problem}",
                account.endpoint
            ))
        };
        // Certificates of AWS are for one label before the region, and other servers have one address.
        let style = match account.is_aws && !bucket.contains('.') {
            true => UrlStyle::VirtualHost,
            false => UrlStyle::Path,
        };
        let endpoint = account
            .endpoint
            .parse()
            .map_err(|_| wrong("write `https://HOST`"))?;
        let made = Bucket::new(endpoint, style, bucket.to_owned(), account.region.clone());
        let made = made.map_err(|_| wrong("the bucket's address can't be made of it"))?;
        let path = path.trim_matches('/');
        let prefix = match path {
            "" => String::new(),
            path => format!("{path}/"),
        };
        Ok(Self {
            agent: web::agent(&account.endpoint, patience)?,
            bucket: made,
            by: account.by,
            credentials: account.credentials,
            address: format!("s3://{bucket}/{path}")
                .trim_end_matches('/')
                .to_owned(),
            prefix,
        })
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// An answer with a good status; `None`: there is nothing of this name.
    fn answer(
        &self,
        name: &str,
        answer: Result<Response<AnswerBody>, ureq::Error>,
    ) -> Result<Option<Response<AnswerBody>>, RemoteError> {
        let what = self.shown(name);
        let response = answer.map_err(|error| web::no_answer(&what, &error))?;
        match response.status().as_u16() {
            200 | 204 | 206 => Ok(Some(response)),
            404 => match web::bad_answer(&what, response, &self.by) {
                // The answer to HEAD has no word.
                RemoteError::Status { code, .. }
                    if code.as_deref().is_none_or(|code| code == "NoSuchKey") =>
                {
                    Ok(None)
                }
                error => Err(error),
            },
            _ => Err(web::bad_answer(&what, response, &self.by)),
        }
    }

    /// The text of an answer that must be there.
    fn text(
        &self,
        name: &str,
        answer: Result<Response<AnswerBody>, ureq::Error>,
        most: u64,
    ) -> Result<String, RemoteError> {
        let what = || self.shown(name);
        let response = self
            .answer(name, answer)?
            .ok_or_else(|| RemoteError::NotThere { what: what() })?;
        let body = response.into_body();
        let text = body.into_with_config().limit(most).read_to_string();
        text.map_err(|error| web::no_answer(&what(), &error))
    }

    fn nonsense(&self, name: &str, problem: impl Into<String>) -> RemoteError {
        RemoteError::Nonsense {
            what: self.shown(name),
            problem: problem.into(),
        }
    }
}

/// A signed address goes to the server that it is signed for: a redirect is an error.
macro_rules! here {
    ($request:expr) => {
        $request
            .config()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build()
    };
}

impl Transport for S3Transport {
    fn address(&self) -> &str {
        &self.address
    }

    fn size(&self, name: &str) -> Result<Option<u64>, RemoteError> {
        let key = self.key(name);
        let url = self.bucket.head_object(self.credentials(), &key);
        let answer = here!(self.agent.head(url.sign(SIGNED_FOR).as_str())).call();
        let Some(response) = self.answer(name, answer)? else {
            return Ok(None);
        };
        Ok(Some(web::length(response.headers()).unwrap_or(u64::MAX)))
    }

    fn get(
        &self,
        name: &str,
        part: Option<&Range<u64>>,
        sink: &mut Sink<'_>,
    ) -> Result<bool, RemoteError> {
        let key = self.key(name);
        let url = self.bucket.get_object(self.credentials(), &key);
        let mut request = here!(self.agent.get(url.sign(SIGNED_FOR).as_str()))
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(part) = part {
            let range = format!("bytes={}-{}", part.start, part.end - 1);
            request = request.header(header::RANGE, range);
        }
        let Some(response) = self.answer(name, request.call())? else {
            return Ok(false);
        };
        let what = self.shown(name);
        let expected = match part {
            None => None,
            Some(_) if response.status().as_u16() != 206 => {
                return Err(RemoteError::NoParts { what });
            }
            Some(part) => {
                web::check_part(&what, response.headers(), part)?;
                Some(part.end - part.start)
            }
        };
        web::stream(&what, response, expected, sink)?;
        Ok(true)
    }

    fn put(&self, name: &str, body: Body<'_>) -> Result<(), RemoteError> {
        let key = self.key(name);
        let url = self.bucket.put_object(self.credentials(), &key);
        let request = here!(self.agent.put(url.sign(SIGNED_FOR).as_str()));
        let answer = match body {
            Body::Bytes(bytes) => request.send(bytes),
            Body::File(path) => request.send(&fs::open_own(path)?),
        };
        self.text(name, answer, SMALL).map(drop)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(&str, u64)) -> Result<bool, RemoteError> {
        let start = self.key(prefix);
        let mut token: Option<String> = None;
        let mut last = String::new();
        loop {
            let mut action = self.bucket.list_objects_v2(self.credentials());
            action.with_prefix(&*start);
            if let Some(token) = &token {
                action.with_continuation_token(token.as_str());
            }
            let answer = here!(self.agent.get(action.sign(SIGNED_FOR).as_str())).call();
            let text = self.text(prefix, answer, PAGE)?;
            let page = ListObjectsV2::parse_response(&text)
                .map_err(|_| self.nonsense(prefix, "not a listing"))?;
            let before = last.clone();
            for found in page.contents {
                if let Some(name) = found.key.strip_prefix(&self.prefix) {
                    each(name, found.size.unwrap_or(u64::MAX));
                }
                last = found.key;
            }
            token = page.next_continuation_token;
            if token.is_none() {
                return Ok(true);
            }
            // A listing that does not get on would never end.
            if last <= before {
                return Err(self.nonsense(prefix, "a listing that begins again"));
            }
        }
    }

    fn parts(&self) -> Option<&dyn Parts> {
        Some(self)
    }
}

/// The words of a server that does not know an upload.
fn upload_gone(error: RemoteError) -> RemoteError {
    match error {
        RemoteError::Status { what, code, .. } if code.as_deref() == Some("NoSuchUpload") => {
            RemoteError::UploadGone { what }
        }
        // A server that has no word for it.
        RemoteError::NotThere { what } => RemoteError::UploadGone { what },
        error => error,
    }
}

impl Parts for S3Transport {
    fn begin(&self, name: &str) -> Result<String, RemoteError> {
        let key = self.key(name);
        let url = self
            .bucket
            .create_multipart_upload(self.credentials(), &key);
        let answer = here!(self.agent.post(url.sign(SIGNED_FOR).as_str())).send_empty();
        let text = self.text(name, answer, SMALL)?;
        let begun = CreateMultipartUpload::parse_response(&text)
            .map_err(|_| self.nonsense(name, "not an upload"))?;
        Ok(begun.upload_id().to_owned())
    }

    fn send(
        &self,
        name: &str,
        upload: &str,
        number: u16,
        bytes: &[u8],
    ) -> Result<String, RemoteError> {
        let key = self.key(name);
        let url = self
            .bucket
            .upload_part(self.credentials(), &key, number, upload);
        let answer = here!(self.agent.put(url.sign(SIGNED_FOR).as_str())).send(bytes);
        let answer = self.answer(name, answer).map_err(upload_gone)?;
        let response = answer.ok_or_else(|| RemoteError::UploadGone {
            what: self.shown(name),
        })?;
        let tag = web::text(response.headers(), header::ETAG.as_str());
        tag.map(str::to_owned)
            .ok_or_else(|| self.nonsense(name, "a part without a tag"))
    }

    fn finish(&self, name: &str, upload: &str, tags: &[String]) -> Result<(), RemoteError> {
        let key = self.key(name);
        let tags = tags.iter().map(String::as_str);
        let action = self
            .bucket
            .complete_multipart_upload(self.credentials(), &key, upload, tags);
        let url = action.sign(SIGNED_FOR);
        let answer = here!(self.agent.post(url.as_str())).send(action.body());
        let text = self.text(name, answer, SMALL).map_err(upload_gone)?;
        // A status of 200 is sent before it is known how it ends.
        match text.contains("<Error") {
            true => Err(self.nonsense(name, "the parts could not be put together")),
            false => Ok(()),
        }
    }
}
