//! Reads and writes a network's numbers as a safetensors file, the same bytes every time.
//! It must not know how the numbers were found or what computes with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use contract::files::{self, FileError};
use nn::engine::{State, Tensor};
use safetensors::{Dtype, SafeTensors};

use crate::fit::is_optimizer_state;

/// What a weights file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// Tensors in the file's order, without optimiser moments.
    pub state: State,
    /// Free text, such as `variant` and `epoch`.
    pub metadata: BTreeMap<String, String>,
}

/// Why a weights file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// The bytes are no safetensors file.
    #[error("`{path}` is not a safetensors file: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// A tensor is not of 32-bit floats.
    #[error("`{path}`: tensor `{tensor}` holds {dtype}, not F32", path = path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What it holds.
        dtype: String,
    },
}

/// Writes a state's tensors, without optimiser moments, to `path`.
///
/// # Errors
/// Whatever the file system says, with the path in it.
pub fn write(path: &Path, weights: &Weights) -> Result<(), FileError> {
    files::write_atomic(path, |out| out.write_all(&encode(weights)))
}

/// Reads every tensor of a weights file.
///
/// # Errors
/// An unreadable file, bytes that are no safetensors file, a tensor that is not F32.
pub fn read(path: &Path) -> Result<Weights, WeightsError> {
    let bytes = files::read(path)?;
    let format = |error: safetensors::SafeTensorError| WeightsError::Format {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
    let file = SafeTensors::deserialize(&bytes).map_err(format)?;
    let mut state = State::default();
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(format)?;
        if view.dtype() != Dtype::F32 {
            return Err(WeightsError::Dtype {
                path: path.to_owned(),
                tensor: name,
                dtype: view.dtype().to_string(),
            });
        }
        let (numbers, _) = view.data().as_chunks::<4>();
        let values = numbers
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        state.tensors.push(Tensor {
            name,
            shape: view.shape().to_vec(),
            values,
        });
    }
    let metadata = header
        .metadata()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()));
    Ok(Weights {
        state,
        metadata: metadata.collect(),
    })
}

/// The file's bytes: header length, JSON header padded to 8 bytes, little-endian numbers.
///
/// Written here and not by the `safetensors` crate: that one keeps metadata in a hash map,
/// whose order changes from run to run, and sorts tensors, which loses network order.
fn encode(weights: &Weights) -> Vec<u8> {
    let tensors: Vec<&Tensor> = weights
        .state
        .tensors
        .iter()
        .filter(|tensor| !is_optimizer_state(&tensor.name))
        .collect();
    let mut header = String::from("{\"__metadata__\":{");
    for (i, (key, value)) in weights.metadata.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        append(
            &mut header,
            format_args!("{comma}{}:{}", json_string(key), json_string(value)),
        );
    }
    header.push('}');
    let mut offset = 0;
    for tensor in &tensors {
        let end = offset + 4 * tensor.values.len();
        let (name, shape) = (json_string(&tensor.name), &tensor.shape);
        append(
            &mut header,
            format_args!(
                ",{name}:{{\"dtype\":\"F32\",\"shape\":{shape:?},\"data_offsets\":[{offset},{end}]}}"
            ),
        );
        offset = end;
    }
    header.push('}');
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = Vec::with_capacity(8 + header.len() + offset);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    for tensor in tensors {
        bytes.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string cannot fail");
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
        Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: values.to_vec(),
        }
    }

    fn small() -> Weights {
        let tensors = vec![
            tensor("stem.conv.weight", &[2, 1, 1, 1], &[1.5, -2.0]),
            tensor("a.bias", &[1], &[f32::MIN_POSITIVE]),
            tensor("adam.m.a.bias", &[1], &[9.0]),
        ];
        let metadata =
            [("variant", "mini"), ("epoch", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        Weights {
            state: State { tensors },
            metadata: metadata.into(),
        }
    }

    #[test]
    fn the_same_weights_are_the_same_bytes_in_network_order_without_moments() {
        let bytes = encode(&small());
        let header = std::str::from_utf8(&bytes[8..bytes.len() - 12]).unwrap();
        assert_eq!(
            header.trim_end(),
            "{\"__metadata__\":{\"epoch\":\"3\",\"variant\":\"mini\"},\
             \"stem.conv.weight\":{\"dtype\":\"F32\",\"shape\":[2, 1, 1, 1],\"data_offsets\":[0,8]},\
             \"a.bias\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}"
        );
        assert_eq!(header.len() % 8, 0);
        assert_eq!(
            &bytes[bytes.len() - 12..bytes.len() - 8],
            1.5f32.to_le_bytes()
        );
    }

    #[test]
    fn what_was_written_is_read_back_in_the_same_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        write(&path, &small()).unwrap();
        let mut expected = small();
        expected.state.tensors.pop();
        assert_eq!(read(&path).unwrap(), expected);
    }

    #[test]
    fn a_cut_file_is_refused_at_every_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let bytes = encode(&small());
        for length in 0..bytes.len() {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(
                matches!(read(&path), Err(WeightsError::Format { .. })),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("no/such.safetensors")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `no/such.safetensors`");
    }

    #[test]
    fn halves_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let header = r#"{"x":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}  "#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&[0, 0]);
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err();
        assert!(
            error.to_string().ends_with("tensor `x` holds F16, not F32"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn every_bit_pattern_survives(bits in proptest::collection::vec(any::<u32>(), 0..20), name in "[a-z\"\\\\.]{1,9}") {
            let values: Vec<f32> = bits.iter().map(|&b| f32::from_bits(b)).collect();
            let state = State { tensors: vec![tensor(&name, &[values.len()], &values)] };
            prop_assume!(!is_optimizer_state(&name));
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("w");
            write(&path, &Weights { state, metadata: BTreeMap::new() }).unwrap();
            let back = read(&path).unwrap();
            prop_assert_eq!(&back.state.tensors[0].name, &name);
            let back: Vec<u32> = back.state.tensors[0].values.iter().map(|v| v.to_bits()).collect();
            prop_assert_eq!(back, bits);
        }
    }
}
