//! TLS without a C compiler: graviola for rustls, where the CPU can run it.

use std::path::Path;
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::error::FetchError;
use restage_core::fs;

/// What https needs of the CPU and it lacks; empty if https works.
pub(crate) fn missing_cpu_features() -> Vec<&'static str> {
    let mut missing = Vec::new();
    // Without one of these, graviola would panic at its first use.
    macro_rules! require {
        ($detected:ident: $($feature:tt),*) => {
            $(if !std::arch::$detected!($feature) {
                missing.push($feature);
            })*
        };
    }
    #[cfg(target_arch = "x86_64")]
    require!(is_x86_feature_detected: "aes", "pclmulqdq", "ssse3", "bmi1", "bmi2", "adx", "avx", "avx2");
    #[cfg(target_arch = "aarch64")]
    require!(is_aarch64_feature_detected: "neon", "aes", "pmull", "sha2");
    missing
}

/// Checks certificates against Mozilla's roots, or against those in a file: a proxy that reads along has its own.
pub(crate) fn config(certificates: Option<&Path>) -> Result<TlsConfig, FetchError> {
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = TlsConfig::builder().unversioned_rustls_crypto_provider(provider);
    let Some(path) = certificates else {
        return Ok(config.build());
    };
    let bytes = fs::read(path)?;
    let found: Vec<Certificate<'static>> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(found)) => Some(found),
            _ => None,
        })
        .collect();
    match found.is_empty() {
        true => Err(FetchError::Certificates(path.to_owned())),
        false => Ok(config.root_certs(RootCerts::from(found)).build()),
    }
}
