//! Fetching from servers that behave well, badly, and worse.
//! It must not need a network: each server is a thread on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

const POLICY: Policy = Policy {
    attempts: 3,
    first_delay: Duration::from_millis(1),
    longest_delay: Duration::from_millis(1),
    longest_retry_after: Duration::from_millis(1),
    timeout: Duration::from_secs(5),
};

/// The head of a request: its line and headers, in lower case.
type Request = Vec<String>;

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .iter()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A server that answers the nth request by `answer(n, request)`: raw bytes, then it closes.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn new(answer: impl Fn(usize, &Request) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        // The thread waits for requests until the test's process ends.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream: TcpStream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines = lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty());
                let request: Request = lines.map(|line| line.to_lowercase()).collect();
                let bytes = answer(seen.lock().unwrap().len(), &request);
                seen.lock().unwrap().push(request);
                // The client may have gone; that is its right.
                let _ = (&stream).write_all(&bytes);
            }
        });
        Self { url, requests }
    }

    fn ranges(&self) -> Vec<Option<String>> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .map(|request| header(request, "range").map(str::to_owned))
            .collect()
    }
}

fn content() -> Vec<u8> {
    (0..100_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// An answer with a length; `body` may be shorter than that, as if the connection broke.
fn answer(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// A server's answer for a request that may have a range; at most `most` bytes come through.
fn ranged(request: &Request, tag: &str, most: usize) -> Vec<u8> {
    let content = content();
    let etag = format!("ETag: {tag}\r\n");
    let start = header(request, "range")
        .filter(|_| header(request, "if-range") == Some(&tag.to_lowercase()))
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        });
    let Some(start) = start else {
        return answer(
            "200 OK",
            &etag,
            content.len(),
            &content[..most.min(content.len())],
        );
    };
    if start >= content.len() {
        return answer("416 Range Not Satisfiable", "", 0, b"");
    }
    let total = content.len();
    let range = format!(
        "{etag}Content-Range: bytes {start}-{}/{total}\r\n",
        total - 1
    );
    let rest = &content[start..];
    answer(
        "206 Partial Content",
        &range,
        rest.len(),
        &rest[..most.min(rest.len())],
    )
}

struct Fetched {
    result: Result<(), FetchError>,
    partial: Partial,
    _folder: tempfile::TempDir,
}

/// Fetches after `prepare` was given the partial file.
fn fetch_prepared(url: &str, prepare: impl FnOnce(&Partial)) -> Fetched {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::for_test("{}", folder.path());
    let partial = Partial::new(folder.path());
    prepare(&partial);
    let result = fetch(&stage, url, &partial, &POLICY);
    Fetched {
        result,
        partial,
        _folder: folder,
    }
}

fn fetched(server: &Server) -> Fetched {
    fetch_prepared(&server.url, |_| {})
}

impl Fetched {
    #[track_caller]
    fn assert_complete(&self) {
        assert!(self.result.is_ok(), "{:?}", self.result);
        assert!(std::fs::read(self.partial.path()).unwrap() == content());
    }

    fn error(self) -> String {
        contract::StageError::from(self.result.unwrap_err()).report()
    }
}

/// A partial file with this many good bytes and this validator.
fn halfway(url: &str, length: usize, validator: &str) -> impl FnOnce(&Partial) {
    let note = partial::Note {
        url: url.to_owned(),
        validator: Some(validator.to_owned()),
        total: Some(content().len() as u64),
    };
    move |partial| {
        let mut file = partial.restart(&note).unwrap();
        file.write_all(&content()[..length]).unwrap();
    }
}

#[test]
fn a_whole_file_is_fetched_at_once() {
    let server = Server::new(|_, request| ranged(request, "\"v1\"", usize::MAX));
    fetched(&server).assert_complete();
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn a_cut_connection_is_continued_where_it_broke() {
    let server = Server::new(|_, request| ranged(request, "\"v1\"", 30_000));
    fetched(&server).assert_complete();
    let expected = [
        None,
        Some("bytes=30000-"),
        Some("bytes=60000-"),
        Some("bytes=90000-"),
    ];
    assert_eq!(
        server.ranges(),
        expected.map(|range| range.map(str::to_owned))
    );
}

#[test]
fn an_earlier_attempt_is_continued() {
    let server = Server::new(|_, request| ranged(request, "\"v1\"", usize::MAX));
    fetch_prepared(&server.url, halfway(&server.url, 70_000, "\"v1\"")).assert_complete();
    assert_eq!(server.ranges(), [Some("bytes=70000-".to_owned())]);
}

#[test]
fn a_complete_earlier_attempt_needs_no_request() {
    let server = Server::new(|_, request| ranged(request, "\"v1\"", usize::MAX));
    fetch_prepared(&server.url, halfway(&server.url, 100_000, "\"v1\"")).assert_complete();
    assert!(server.ranges().is_empty());
}

#[test]
fn a_file_that_changed_on_the_server_is_fetched_anew() {
    let server = Server::new(|_, request| ranged(request, "\"v2\"", usize::MAX));
    fetch_prepared(&server.url, |partial| {
        halfway(&server.url, 70_000, "\"v1\"")(partial);
        // Bytes of the old version, which must not survive.
        std::fs::write(partial.path(), vec![9; 70_000]).unwrap();
    })
    .assert_complete();
}

#[test]
fn bytes_of_another_address_are_not_continued() {
    let server = Server::new(|_, request| ranged(request, "\"v1\"", usize::MAX));
    fetch_prepared(&server.url, halfway("http://other/", 70_000, "\"v1\"")).assert_complete();
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn a_server_that_knows_no_ranges_is_asked_for_all_again() {
    let server = Server::new(|n, _| {
        let most = if n == 0 { 30_000 } else { 100_000 };
        answer("200 OK", "ETag: \"v1\"\r\n", 100_000, &content()[..most])
    });
    fetched(&server).assert_complete();
    assert_eq!(server.ranges(), [None, Some("bytes=30000-".to_owned())]);
}

#[test]
fn without_a_validator_nothing_is_continued() {
    let server = Server::new(|n, _| {
        let most = if n == 0 { 30_000 } else { 100_000 };
        answer(
            "200 OK",
            "ETag: W/\"weak\"\r\n",
            100_000,
            &content()[..most],
        )
    });
    fetched(&server).assert_complete();
    assert_eq!(server.ranges(), [None, None]);
}

#[test]
fn a_range_beyond_the_end_starts_anew() {
    let server = Server::new(|_, request| match header(request, "range") {
        Some(_) => answer(
            "416 Range Not Satisfiable",
            "Content-Range: bytes */100000\r\n",
            0,
            b"",
        ),
        None => ranged(request, "\"v1\"", usize::MAX),
    });
    fetch_prepared(&server.url, |partial| {
        halfway(&server.url, 100_000, "\"v1\"")(partial);
        std::fs::write(partial.path(), vec![9; 100_001]).unwrap();
    })
    .assert_complete();
}

#[test]
fn a_wrong_range_starts_anew() {
    let server = Server::new(|_, request| match header(request, "range") {
        Some(_) => answer(
            "206 Partial Content",
            "Content-Range: bytes 5-9/10\r\n",
            5,
            b"abcde",
        ),
        None => ranged(request, "\"v1\"", usize::MAX),
    });
    fetch_prepared(&server.url, halfway(&server.url, 70_000, "\"v1\"")).assert_complete();
}

#[test]
fn busy_and_broken_servers_are_asked_again() {
    let server = Server::new(|n, request| match n {
        0 => answer("500 Internal Server Error", "", 0, b""),
        1 => answer("429 Too Many Requests", "Retry-After: 3600\r\n", 0, b""),
        _ => ranged(request, "\"v1\"", usize::MAX),
    });
    fetched(&server).assert_complete();
    assert_eq!(server.ranges().len(), 3);
}

#[test]
fn redirects_are_followed_with_the_range() {
    let target = Server::new(|_, request| ranged(request, "\"v1\"", usize::MAX));
    let location = format!("Location: {}\r\n", target.url);
    let server = Server::new(move |_, _| answer("302 Found", &location, 0, b""));
    fetch_prepared(&server.url, halfway(&server.url, 70_000, "\"v1\"")).assert_complete();
    assert_eq!(target.ranges(), [Some("bytes=70000-".to_owned())]);
}

#[test]
fn a_length_that_is_not_told_is_read_to_the_end() {
    let server = Server::new(|_, _| {
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec(),
            content(),
        ]
        .concat()
    });
    fetched(&server).assert_complete();
}

#[test]
fn a_server_that_never_gets_further_is_given_up() {
    let server = Server::new(|_, _| answer("200 OK", "", 100_000, &content()[..10_000]));
    let error = fetched(&server).error().replace(&server.url, "URL");
    insta::assert_snapshot!(error, @"
    error: gave up after 3 attempts without progress
      caused by: the connection to `URL` ended after 10000 bytes of 100000
      caused by: Peer disconnected
    ");
    assert_eq!(server.ranges().len(), 3);
}

#[test]
fn a_missing_file_is_not_asked_for_again() {
    let server = Server::new(|_, _| answer("404 Not Found", "", 0, b""));
    let error = fetched(&server).error().replace(&server.url, "URL");
    assert_eq!(error, "error: `URL` answered 404 Not Found\n");
    assert_eq!(server.ranges().len(), 1);
}

#[test]
fn nobody_listening_is_an_error_after_some_tries() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}/");
    let error = fetch_prepared(&url, |_| {}).error().replace(&url, "URL");
    insta::assert_snapshot!(error, @"
    error: gave up after 3 attempts without progress
      caused by: cannot fetch `URL`
      caused by: io: Connection refused (os error 111)
    ");
}
