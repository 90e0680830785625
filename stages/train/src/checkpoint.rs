//! A training run's whole state as bytes that notice their own corruption.
//! It must not know folders, epochs' order or what the numbers mean.
//!
//! Layout: magic, version (u32), header length (u64), JSON header, 32-bit floats, BLAKE3 of all
//! that; integers and floats little-endian.

use std::io::{self, Write};

use nn::engine::{State, Tensor};
use serde::{Deserialize, Serialize};
use training::fit::without_optimizer;

use crate::history::{self, EpochRecord};
use crate::plateau::Plateau;
use crate::stopping::EarlyStopping;

const MAGIC: &[u8; 16] = b"restage training";
/// Counts changes of the layout.
const VERSION: u32 = 1;
const DIGEST_LEN: usize = 32;

/// Training after some whole epochs: all that it needs to go on to the same bits.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The optimiser's steps so far.
    pub step: u64,
    /// The learning rate's schedule.
    pub plateau: Plateau,
    /// The rule that ends training.
    pub stopping: EarlyStopping,
    /// Finished epochs, the first first.
    pub records: Vec<EpochRecord>,
    /// The engine's state after the last of them.
    pub engine: State,
    /// Weights of the best of them, without optimiser moments.
    pub best: State,
}

impl Snapshot {
    /// Whether the best weights are those after the last epoch.
    fn last_is_best(&self) -> bool {
        history::best(&self.records).map(|best| best.epoch)
            == self.records.last().map(|last| last.epoch)
    }
}

/// Why bytes are no usable checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Cut short, changed, or never a checkpoint.
    #[error("it is damaged")]
    Damaged,
    /// Written by another version of the program.
    #[error("its format is version {0}, this program writes version {VERSION}")]
    Version(u32),
    /// Made with other parameters or data.
    #[error("it was made with other parameters or data")]
    Fingerprint,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header {
    fingerprint: String,
    step: u64,
    plateau: Plateau,
    stopping: EarlyStopping,
    records: Vec<EpochRecord>,
    engine: Vec<Entry>,
    /// None where the best weights are the engine's.
    best: Option<Vec<Entry>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
}

/// Writes `snapshot` so that only the same `fingerprint` reads it.
///
/// # Errors
/// Whatever `out` says.
pub fn encode(snapshot: &Snapshot, fingerprint: &str, out: &mut dyn Write) -> io::Result<()> {
    let best = (!snapshot.last_is_best()).then_some(&snapshot.best);
    let header = Header {
        fingerprint: fingerprint.to_owned(),
        step: snapshot.step,
        plateau: snapshot.plateau,
        stopping: snapshot.stopping,
        records: snapshot.records.clone(),
        engine: entries(&snapshot.engine),
        best: best.map(entries),
    };
    let header = serde_json::to_vec(&header)?;
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(bytes);
        out.write_all(bytes)
    };
    put(MAGIC)?;
    put(&VERSION.to_le_bytes())?;
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    for tensor in snapshot
        .engine
        .tensors
        .iter()
        .chain(best.iter().flat_map(|best| &best.tensors))
    {
        let bytes: Vec<[u8; 4]> = tensor.values.iter().map(|v| v.to_le_bytes()).collect();
        put(bytes.as_flattened())?;
    }
    out.write_all(hasher.finalize().as_bytes())
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// Bytes that are anything else, or of another fingerprint.
pub fn decode(bytes: &[u8], fingerprint: &str) -> Result<Snapshot, Unusable> {
    let (content, digest) = bytes
        .split_last_chunk::<DIGEST_LEN>()
        .ok_or(Unusable::Damaged)?;
    if blake3::hash(content).as_bytes() != digest {
        return Err(Unusable::Damaged);
    }
    let mut rest = content;
    if take::<16>(&mut rest)? != *MAGIC {
        return Err(Unusable::Damaged);
    }
    let version = u32::from_le_bytes(take(&mut rest)?);
    if version != VERSION {
        return Err(Unusable::Version(version));
    }
    let length = usize::try_from(u64::from_le_bytes(take(&mut rest)?));
    let (header, mut rest) = length
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(Unusable::Damaged)?;
    let header: Header = serde_json::from_slice(header).map_err(|_| Unusable::Damaged)?;
    if header.fingerprint != fingerprint {
        return Err(Unusable::Fingerprint);
    }
    let engine = tensors(header.engine, &mut rest)?;
    let best = match header.best {
        Some(best) => tensors(best, &mut rest)?,
        None => without_optimizer(engine.clone()),
    };
    if !rest.is_empty() {
        return Err(Unusable::Damaged);
    }
    Ok(Snapshot {
        step: header.step,
        plateau: header.plateau,
        stopping: header.stopping,
        records: header.records,
        engine,
        best,
    })
}

fn entries(state: &State) -> Vec<Entry> {
    let entry = |tensor: &Tensor| Entry {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
    };
    state.tensors.iter().map(entry).collect()
}

fn tensors(entries: Vec<Entry>, rest: &mut &[u8]) -> Result<State, Unusable> {
    let tensor = |Entry { name, shape }: Entry| {
        let length = shape
            .iter()
            .try_fold(4usize, |length, &extent| length.checked_mul(extent))?;
        let (bytes, after) = rest.split_at_checked(length)?;
        *rest = after;
        let (numbers, _) = bytes.as_chunks::<4>();
        let values = numbers
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        Some(Tensor {
            name,
            shape,
            values,
        })
    };
    let tensors = entries.into_iter().map(tensor).collect::<Option<_>>();
    tensors
        .map(|tensors| State { tensors })
        .ok_or(Unusable::Damaged)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unusable> {
    let (&first, after) = rest.split_first_chunk::<N>().ok_or(Unusable::Damaged)?;
    *rest = after;
    Ok(first)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::record;
    use crate::plateau::PlateauConfig;
    use crate::stopping::StoppingConfig;

    pub(crate) fn snapshot(losses: &[f64]) -> Snapshot {
        let tensor = |name: &str, values: &[f32]| Tensor {
            name: name.to_owned(),
            shape: vec![values.len(), 1],
            values: values.to_vec(),
        };
        let config = PlateauConfig {
            factor: 0.2,
            patience: 1,
            min_delta: 0.1,
            min_learning_rate: 0.0,
        };
        let mut plateau = Plateau::new(config, 1e-3);
        let mut stopping = EarlyStopping::new(StoppingConfig {
            patience: 3,
            min_delta: 0.0,
        });
        for &loss in losses {
            plateau.observe(loss);
            stopping.observe(loss);
        }
        let engine = State {
            tensors: vec![tensor("a", &[1.5, -0.0]), tensor("adam.m.a", &[0.1, 7.0])],
        };
        let records: Vec<EpochRecord> = losses
            .iter()
            .zip(1..)
            .map(|(&loss, epoch)| record(epoch, loss))
            .collect();
        let mut snapshot = Snapshot {
            step: 99,
            plateau,
            stopping,
            records,
            engine,
            best: State::default(),
        };
        snapshot.best = if snapshot.last_is_best() {
            without_optimizer(snapshot.engine.clone())
        } else {
            State {
                tensors: vec![tensor("a", &[3.0, 4.0])],
            }
        };
        snapshot
    }

    fn encoded(snapshot: &Snapshot) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(snapshot, "f", &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_snapshot_is_read_back_whole() {
        for losses in [&[2.0, 1.0][..], &[1.0, 2.0], &[0.1, 0.3, 0.7]] {
            let snapshot = snapshot(losses);
            assert_eq!(decode(&encoded(&snapshot), "f").unwrap(), snapshot);
        }
    }

    #[test]
    fn a_checkpoint_cut_anywhere_is_noticed() {
        let bytes = encoded(&snapshot(&[1.0, 2.0]));
        for length in 0..bytes.len() {
            assert_eq!(
                decode(&bytes[..length], "f"),
                Err(Unusable::Damaged),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let mut bytes = encoded(&snapshot(&[1.0, 2.0]));
        for i in 0..bytes.len() {
            bytes[i] ^= 0x10;
            assert_eq!(decode(&bytes, "f"), Err(Unusable::Damaged), "byte {i}");
            bytes[i] ^= 0x10;
        }
    }

    #[test]
    fn other_parameters_are_noticed() {
        assert_eq!(
            decode(&encoded(&snapshot(&[1.0])), "g"),
            Err(Unusable::Fingerprint)
        );
    }

    #[test]
    fn another_format_version_is_named() {
        let mut bytes = encoded(&snapshot(&[1.0]));
        bytes[16] = 7;
        let content = bytes.len() - DIGEST_LEN;
        let digest = blake3::hash(&bytes[..content]);
        bytes[content..].copy_from_slice(digest.as_bytes());
        assert_eq!(decode(&bytes, "f"), Err(Unusable::Version(7)));
    }

    proptest! {
        #[test]
        fn every_finite_number_of_the_history_survives(bits in proptest::collection::vec(any::<u64>(), 1..6), rate: f32) {
            let losses: Vec<f64> = bits.iter().map(|&bits| f64::from_bits(bits)).filter(|x| x.is_finite()).collect();
            prop_assume!(!losses.is_empty() && rate.is_finite());
            let mut snapshot = snapshot(&losses);
            snapshot.records[0].learning_rate = rate;
            prop_assert_eq!(decode(&encoded(&snapshot), "f").unwrap(), snapshot);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decode(&bytes, "f"), Err(Unusable::Damaged));
        }
    }
}
