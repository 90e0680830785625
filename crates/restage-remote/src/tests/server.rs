//! A server on a thread: a web server, and as much of S3 as a remote needs. It does what it is told to do wrong.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mischief {
    /// Answers with this status.
    Status(u16),
    /// Sends half of the body.
    Cut,
    /// Changes a byte.
    Wrong,
    /// Sends another part, and says so.
    OtherPart,
    /// Sends another part, and says it is the right one.
    LiesOfPart,
    /// Sends all where a part was asked for.
    NoParts,
    /// Sends more than there is.
    TooMuch,
    /// Closes the connection without a word.
    Hangs,
    /// Answers after a while.
    Slow(Duration),
    /// Says that all is well, and keeps nothing.
    Forgets,
}

/// A request, as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) head: String,
}

type Judge = Box<dyn Fn(&Asked, usize) -> Option<Mischief> + Send>;

#[derive(Default)]
pub(super) struct State {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u16, Vec<u8>>>,
    /// Every request, and the names that were put, in order.
    pub(super) asked: Vec<Asked>,
    pub(super) put: Vec<String>,
    pub(super) judge: Option<Judge>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.files.keys()).finish()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        Self { address, state }
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked with it")
    }

    /// From now on; the number counts the requests that the same method made of the same path.
    pub(super) fn judge(&self, judge: impl Fn(&Asked, usize) -> Option<Mischief> + Send + 'static) {
        self.state().judge = Some(Box::new(judge));
    }

    pub(super) fn behave(&self) {
        self.state().judge = None;
    }

    /// Requests by this method for paths that have this in them.
    pub(super) fn count(&self, method: &str, part: &str) -> usize {
        let state = self.state();
        let asked = state.asked.iter();
        asked
            .filter(|asked| asked.method == method && asked.path.contains(part))
            .count()
    }

    pub(super) fn names(&self, part: &str) -> Vec<String> {
        let state = self.state();
        let names = state.files.keys().filter(|name| name.contains(part));
        names.cloned().collect()
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut words = head.split(' ');
    let method = words.next()?.to_owned();
    let (path, query) = words.next()?.split_once('?').map_or_else(
        || (head.split(' ').nth(1).unwrap_or_default(), ""),
        |(path, query)| (path, query),
    );
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |text| text.parse().expect("a number"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let asked = Asked {
        method,
        path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
        query: percent_decode_str(query).decode_utf8_lossy().into_owned(),
        head: head.clone(),
    };
    let mischief = {
        let mut state = state.lock().expect("no test panicked with it");
        let same = |other: &&Asked| other.method == asked.method && other.path == asked.path;
        let before = state.asked.iter().filter(same).count();
        state.asked.push(asked.clone());
        state.judge.as_ref().and_then(|judge| judge(&asked, before))
    };
    match mischief {
        Some(Mischief::Hangs) => {
            let _ = stream.shutdown(Shutdown::Both);
            return None;
        }
        Some(Mischief::Slow(time)) => std::thread::sleep(time),
        Some(Mischief::Status(status)) => {
            let text = format!("<Error><Code>Told{status}</Code></Error>");
            return reply(stream, &asked, status, "", text.as_bytes(), None);
        }
        _ => {}
    }
    let range = header("range").and_then(|text| {
        let (start, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse::<usize>().ok()?, last.parse::<usize>().ok()?))
    });
    let (status, headers, body) = answer(state, &asked, range, body, mischief);
    reply(stream, &asked, status, &headers, &body, mischief)
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn answer(
    state: &Mutex<State>,
    asked: &Asked,
    range: Option<(usize, usize)>,
    body: Vec<u8>,
    mischief: Option<Mischief>,
) -> (u16, String, Vec<u8>) {
    let none = String::new;
    let mut state = state.lock().expect("no test panicked with it");
    let name = asked.path.clone();
    let forgets = mischief == Some(Mischief::Forgets);
    let upload = parameter(&asked.query, "uploadId").map(str::to_owned);
    match (asked.method.as_str(), upload) {
        ("PUT", Some(upload)) => {
            let number: u16 = parameter(&asked.query, "partNumber")
                .and_then(|number| number.parse().ok())
                .expect("a part's number");
            match state.uploads.get_mut(&upload) {
                Some(parts) => drop(parts.insert(number, body)),
                None => {
                    return (
                        404,
                        none(),
                        b"<Error><Code>NoSuchUpload</Code></Error>".to_vec(),
                    );
                }
            }
            (200, format!("ETag: \"part{number}\"\r\n"), Vec::new())
        }
        ("PUT", None) => {
            if !forgets {
                state.put.push(name.clone());
                state.files.insert(name, body);
            }
            (200, none(), Vec::new())
        }
        ("POST", None) => {
            let id = format!("up{}", state.uploads.len());
            state.uploads.insert(id.clone(), BTreeMap::new());
            let text = format!(
                "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><UploadId>{id}\
                 </UploadId></InitiateMultipartUploadResult>"
            );
            (200, none(), text.into_bytes())
        }
        ("POST", Some(upload)) => {
            let Some(parts) = state.uploads.remove(&upload) else {
                return (
                    404,
                    none(),
                    b"<Error><Code>NoSuchUpload</Code></Error>".to_vec(),
                );
            };
            let whole: Vec<u8> = parts.into_values().flatten().collect();
            if !forgets {
                state.put.push(name.clone());
                state.files.insert(name, whole);
            }
            (200, none(), b"<CompleteMultipartUploadResult/>".to_vec())
        }
        ("GET", _) if asked.query.contains("list-type=2") => {
            let prefix = parameter(&asked.query, "prefix").unwrap_or_default();
            let token = parameter(&asked.query, "continuation-token").unwrap_or_default();
            let bucket = format!("{}/", asked.path.trim_end_matches('/'));
            let all: Vec<(String, usize)> = state
                .files
                .iter()
                .filter_map(|(name, bytes)| {
                    Some((name.strip_prefix(&bucket)?.to_owned(), bytes.len()))
                })
                .filter(|(name, _)| name.starts_with(prefix) && name.as_str() > token)
                .collect();
            let mut text =
                "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
            for (name, size) in all.iter().take(100) {
                text += &format!("<Contents><Key>{name}</Key><Size>{size}</Size></Contents>");
            }
            if all.len() > 100 {
                text += &format!(
                    "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
                    all[99].0
                );
            }
            text += "</ListBucketResult>";
            (200, none(), text.into_bytes())
        }
        ("GET" | "HEAD", _) => {
            let Some(bytes) = state.files.get(&name) else {
                return (
                    404,
                    none(),
                    b"<Error><Code>NoSuchKey</Code></Error>".to_vec(),
                );
            };
            let all = bytes.len();
            match range {
                Some((start, last)) if mischief != Some(Mischief::NoParts) => {
                    let shift = match mischief {
                        Some(Mischief::OtherPart | Mischief::LiesOfPart) => 1,
                        _ => 0,
                    };
                    let part = bytes[start - shift.min(start)..=last - shift.min(last)].to_vec();
                    let said = match mischief {
                        Some(Mischief::OtherPart) => (start - shift, last - shift),
                        _ => (start, last),
                    };
                    let range = format!("Content-Range: bytes {}-{}/{all}\r\n", said.0, said.1);
                    (206, range, part)
                }
                _ => (200, none(), bytes.clone()),
            }
        }
        _ => (405, none(), Vec::new()),
    }
}

fn reply(
    mut stream: &TcpStream,
    asked: &Asked,
    status: u16,
    headers: &str,
    body: &[u8],
    mischief: Option<Mischief>,
) -> Option<()> {
    let mut sent = body.to_vec();
    let mut length = body.len();
    match mischief {
        Some(Mischief::Wrong) if !sent.is_empty() => {
            let middle = sent.len() / 2;
            sent[middle] ^= 1;
        }
        Some(Mischief::TooMuch) => {
            sent.extend_from_slice(b"more");
            length += 4;
        }
        Some(Mischief::Cut) => sent.truncate(body.len() / 2),
        _ => {}
    }
    if asked.method == "HEAD" {
        sent.clear();
    }
    let head = format!("HTTP/1.1 {status} Told\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&sent).ok()?;
    if mischief == Some(Mischief::Cut) {
        let _ = stream.shutdown(Shutdown::Both);
        return None;
    }
    Some(())
}
