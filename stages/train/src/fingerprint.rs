//! What a checkpoint belongs to: parameters, device and data, as one digest.
//! It must not know checkpoints. Threads and instruction set don't enter: they change no bits.

use std::fs::File;
use std::path::Path;

use contract::files::FileError;

/// The digest of a variant's name, its parameters, what computes (if not our CPU engine) and the data
/// file's bytes, in hexadecimal.
///
/// # Errors
/// A data file that cannot be read.
pub fn fingerprint(
    variant: &str,
    params: &serde_json::Value,
    device: Option<&str>,
    data: &Path,
) -> Result<String, FileError> {
    let mut hasher = blake3::Hasher::new();
    for text in [variant, &canonical(params), device.unwrap_or_default()] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let file = File::open(data).map_err(FileError::new("read", data))?;
    hasher
        .update_reader(file)
        .map_err(FileError::new("read", data))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// JSON with sorted keys, whatever map `serde_json` was built with.
fn canonical(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|&(key, _)| key);
            let entry = |(key, value): (&String, _)| {
                format!(
                    "{}:{}",
                    serde_json::Value::from(key.as_str()),
                    canonical(value)
                )
            };
            format!(
                "{{{}}}",
                entries.into_iter().map(entry).collect::<Vec<_>>().join(",")
            )
        }
        serde_json::Value::Array(values) => {
            format!(
                "[{}]",
                values.iter().map(canonical).collect::<Vec<_>>().join(",")
            )
        }
        plain => plain.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variant_parameters_device_and_data_matter_and_the_order_of_keys_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let digest_on = |device: Option<&str>, variant: &str, params: &str, data: &str| {
            let path = folder.path().join("data");
            std::fs::write(&path, data).unwrap();
            let params = serde_json::from_str(params).unwrap();
            fingerprint(variant, &params, device, &path).unwrap()
        };
        let digest = |variant, params, data| digest_on(None, variant, params, data);
        let base = digest("a", r#"{"x":1,"y":[{"b":2,"a":1}]}"#, "data");
        assert_eq!(digest("a", r#"{"y":[{"a":1,"b":2}],"x":1}"#, "data"), base);
        assert_ne!(digest("b", r#"{"x":1,"y":[{"b":2,"a":1}]}"#, "data"), base);
        assert_ne!(digest("a", r#"{"x":2,"y":[{"b":2,"a":1}]}"#, "data"), base);
        assert_ne!(digest("a", r#"{"x":1,"y":[{"b":2,"a":1}]}"#, "Data"), base);
        assert_ne!(
            digest_on(
                Some("H100, f32"),
                "a",
                r#"{"x":1,"y":[{"b":2,"a":1}]}"#,
                "data"
            ),
            base
        );
    }

    #[test]
    fn a_missing_data_file_is_named() {
        let error =
            fingerprint("a", &serde_json::Value::Null, None, Path::new("no/such")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `no/such`");
    }
}
