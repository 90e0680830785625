//! Opens the remote that restage.toml names: which kind it is, and by which credential it knows us.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::percent_decode_str;

use super::aws::{Variable, account};
use super::config::RemoteConfig;
use super::error::RemoteError;
use super::file::FileTransport;
use super::http::{HttpTransport, Secret};
use super::remote::{Patience, Remote};
use super::s3::S3Transport;
use super::transport::Transport;
use restage_fetch::is_https;

/// What is around us.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The caller's environment.
    pub variable: Variable<'a>,
    /// How long we wait.
    pub patience: Patience,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Surroundings")
    }
}

/// Opens a remote. Nothing is asked of it yet.
///
/// # Errors
/// Its address is none, or its credentials can't be had.
pub fn open(
    name: &str,
    config: &RemoteConfig,
    around: &Surroundings<'_>,
) -> Result<Remote, RemoteError> {
    let wrong = |problem: &str| {
        RemoteError::Setup(format!(
            "`url` of remote `{name}` {problem}: write `s3://BUCKET/PREFIX`, `https://HOST/PATH` or \
             `file:///FOLDER`"
        ))
    };
    let (scheme, rest) = config
        .url
        .split_once("://")
        .ok_or_else(|| wrong("is no address"))?;
    let scheme = scheme.to_ascii_lowercase();
    let others = [
        ("endpoint", &config.endpoint),
        ("region", &config.region),
        ("profile", &config.profile),
    ];
    if scheme != "s3"
        && let Some((field, _)) = others.iter().find(|(_, value)| value.is_some())
    {
        return Err(RemoteError::Setup(format!(
            "`{field}` of remote `{name}` is for `s3://` alone"
        )));
    }
    if config.url.chars().any(|c| c.is_control() || c == ' ') {
        return Err(wrong("has blanks or control characters"));
    }
    let transport: Box<dyn Transport> = match scheme.as_str() {
        "file" => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') || path == "/" {
                return Err(wrong("is no folder from `/` on"));
            }
            let bytes: Vec<u8> = percent_decode_str(path).collect();
            let path = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
            let path = path.trim_end_matches('/').to_owned();
            let address = format!("file://{path}");
            Box::new(FileTransport::new(PathBuf::from(path), address))
        }
        "s3" => {
            let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            let parts_plain = path
                .split('/')
                .all(|part| part.chars().all(plain) && part != "." && part != "..");
            if bucket.is_empty() || !bucket.chars().all(plain) || !parts_plain {
                return Err(wrong(
                    "has no bucket and prefix of letters, digits, `-`, `.` and `_`",
                ));
            }
            let account = account(config, around.variable)?;
            Box::new(S3Transport::new(bucket, path, account, &around.patience)?)
        }
        "http" | "https" => {
            let host = rest.split('/').next().unwrap_or_default();
            if host.contains('@') {
                return Err(RemoteError::Setup(format!(
                    "`url` of remote `{name}` has a user or password in it: set {} instead",
                    variables(name).join(" or ")
                )));
            }
            if host.is_empty() || rest.contains(['?', '#']) {
                return Err(wrong("has no host, or more than a path"));
            }
            let (secret, by) = credential(name, around.variable)?;
            if secret.is_some() && !is_https(&config.url) && !is_here(host) {
                return Err(RemoteError::Setup(format!(
                    "remote `{name}` has a credential and is asked by `http://`, where everybody on the way can \
                     read it: use `https://`"
                )));
            }
            let http = HttpTransport::new(&config.url, secret, by, &around.patience)?;
            Box::new(http)
        }
        _ => return Err(wrong(&format!("has the kind `{}`", scheme.escape_debug()))),
    };
    Ok(Remote::new(name, transport, around.patience))
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1")
}

/// The variables by which a web server knows us.
fn variables(name: &str) -> [String; 2] {
    let plain = |c: char| match c {
        '-' => '_',
        c => c.to_ascii_uppercase(),
    };
    let name: String = name.chars().map(plain).collect();
    [
        format!("RESTAGE_REMOTE_{name}_TOKEN"),
        format!("RESTAGE_REMOTE_{name}_LOGIN"),
    ]
}

/// A token, or a user and a password (`USER:PASSWORD`).
fn credential(name: &str, variable: Variable<'_>) -> Result<(Option<Secret>, String), RemoteError> {
    let [token, login] = variables(name);
    let get = |name: &str| {
        let value = variable(name).map(|value| value.trim().to_owned());
        value.filter(|value| !value.is_empty())
    };
    let bad =
        |name: &str| RemoteError::Setup(format!("{name} has characters that no header can have"));
    let fits = |value: &str| value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    match (get(&token), get(&login)) {
        (Some(value), _) if !fits(&value) => Err(bad(&token)),
        (Some(value), _) => Ok((
            Some(Secret(format!("Bearer {value}"))),
            format!("the token in {token}"),
        )),
        (None, Some(value)) => Ok((
            Some(Secret(format!("Basic {}", BASE64.encode(value)))),
            format!("the login in {login}"),
        )),
        (None, None) => Ok((None, "anonymous access".to_owned())),
    }
}
