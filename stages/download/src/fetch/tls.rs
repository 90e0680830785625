//! TLS without a C compiler: graviola for rustls, where the CPU can run it.
//! It must not know what is fetched.

use std::sync::Arc;

use ureq::tls::TlsConfig;

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

/// Checks certificates against Mozilla's roots, by graviola's cryptography.
pub(crate) fn config() -> TlsConfig {
    TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
        .build()
}
