//! The client of every request to a server: with timeouts, the proxies of the environment, and TLS without C.

use std::path::PathBuf;
use std::time::Duration;

use ureq::{Agent, ProxyProtocol};

use super::error::FetchError;
use super::tls;

/// How long a client waits, and for how many at once.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For an address and a connection.
    pub connect: Duration,
    /// For an answer to begin, and for each read of it.
    pub wait: Duration,
    /// Connections that are kept open for further requests.
    pub connections: usize,
    /// Whether TLS is needed: a CPU that can't do it is an error then.
    pub https: bool,
}

/// Whether an address is one of https.
#[must_use]
pub fn is_https(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("https")
}

/// A client with timeouts. Proxies are those of the environment; a status is no error.
///
/// # Errors
/// This CPU can't do TLS though it is needed, a proxy can't be used, or SSL_CERT_FILE has no certificate.
pub fn client(patience: &Patience) -> Result<Agent, FetchError> {
    let missing = tls::missing_cpu_features();
    if patience.https && !missing.is_empty() {
        return Err(FetchError::NoTls(missing));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "what everybody who speaks TLS or asks a proxy reads there; no result depends on it"
    )]
    let (certificates, variable) = (
        std::env::var_os("SSL_CERT_FILE").map(PathBuf::from),
        |name: &str| std::env::var(name).ok(),
    );
    let certificates = certificates.filter(|path| !path.as_os_str().is_empty());
    check_proxy(&variable)?;
    let (connect, wait) = (Some(patience.connect), Some(patience.wait));
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("restage/", env!("CARGO_PKG_VERSION")))
        .max_idle_connections(patience.connections)
        .max_idle_connections_per_host(patience.connections)
        .timeout_resolve(connect)
        .timeout_connect(connect)
        .timeout_send_request(wait)
        .timeout_recv_response(wait)
        .timeout_per_read(wait);
    let config = match missing.is_empty() {
        true => config.tls_config(tls::config(certificates.as_deref())?),
        // A redirect to https would panic without a provider: show it as a status instead.
        false => config.max_redirects(0).max_redirects_will_error(false),
    };
    Ok(config.build().into())
}

/// Those that `ureq` asks, in its order; the first that it understands counts.
const PROXIES: [&str; 6] = [
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

/// Refuses a proxy that would be passed over without a word: whoever names one wants no other way to be taken.
fn check_proxy(variable: &dyn Fn(&str) -> Option<String>) -> Result<(), FetchError> {
    let set = PROXIES
        .iter()
        .filter_map(|name| Some((*name, variable(name)?)));
    // What is wrong with one is said without its value, which may have a password in it.
    let refused = |name, problem| Err(FetchError::Proxy { name, problem });
    let mut passed_over = Ok(());
    for (name, value) in set.filter(|(_, value)| !value.trim().is_empty()) {
        match ureq::Proxy::new(&value).map(|proxy| proxy.protocol()) {
            Ok(ProxyProtocol::Http | ProxyProtocol::Https) => return Ok(()),
            Ok(_) => return refused(name, "is a SOCKS proxy, which is not spoken here"),
            Err(_) if passed_over.is_ok() => {
                passed_over = refused(name, "is not the address of a proxy");
            }
            Err(_) => {}
        }
    }
    passed_over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_can_not_be_used_is_an_error_and_not_passed_over() {
        let checked = |set: &[(&str, &str)]| {
            let value = |name: &str| {
                let found = set.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            check_proxy(&value).map_err(|error| error.to_string())
        };
        for fine in [
            "http://127.0.0.1:3128",
            "proxy.example:3128",
            "https://u:p@proxy",
            "",
            " ",
        ] {
            assert_eq!(checked(&[("https_proxy", fine)]), Ok(()), "{fine}");
        }
        assert_eq!(checked(&[]), Ok(()));
        for (value, problem) in [
            ("socks5://u:secret@127.0.0.1:1080", "SOCKS"),
            ("ftp://u:secret@proxy", "is not the address of a proxy"),
            ("http://u:secret@", "is not the address of a proxy"),
        ] {
            let error = checked(&[("https_proxy", value)]).expect_err(value);
            assert!(
                error.contains(problem) && error.contains("`https_proxy`"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
        // The one that counts.
        let both = [("ALL_PROXY", "ftp://x"), ("http_proxy", "http://proxy:2")];
        assert_eq!(checked(&both), Ok(()));
        let both = [
            ("all_proxy", "http://proxy:1"),
            ("http_proxy", "socks5://proxy:2"),
        ];
        assert_eq!(checked(&both), Ok(()));
    }
}
