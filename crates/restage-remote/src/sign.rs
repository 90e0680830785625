//! Who made a record: Ed25519 over its key and its digest. A name or a place in a bucket proves nothing, since
//! whoever may write there can write anything (docs/adr/0034).

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use rustix::rand::{GetRandomFlags, getrandom};

use restage_core::digest::Digest;
use restage_core::fs::{self, Context, FsError, StagedFile};
use restage_store::Record;

/// What is signed begins so: no signature of anything else is one of a record.
const TAG: &str = "restage record 1\n";

/// The first line of a file with a private key.
const KEY_FILE: &str = "restage signing key 1";

/// Why a key is none.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The disk.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A text is not a public key.
    #[error("`{}` is not a public key, as `restage remote key` shows it (NAME:KEY)", .0.escape_debug())]
    NotPublic(String),
    /// A file is not a private key.
    #[error("`{}` is not a signing key of restage", .0.display())]
    NotPrivate(PathBuf),
    /// Others may read it.
    #[error("`{}` can be read by others", .0.display())]
    Open(PathBuf),
    /// The system gives no random numbers.
    #[error("no key can be made: the system gives no random numbers ({0})")]
    NoRandom(rustix::io::Errno),
}

impl KeyError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fs(error) => error.hint().map(str::to_owned),
            Self::NotPublic(_) | Self::NoRandom(_) => None,
            Self::NotPrivate(path) => Some(format!(
                "nothing was changed; move `{}` away, and `restage remote key` makes a new one, which others must \
                 trust anew",
                path.display()
            )),
            Self::Open(path) => Some(format!(
                "`chmod 600 '{}'`; if somebody may have read it, remove it, and let `restage remote key` make a new \
                 one",
                path.display()
            )),
        }
    }
}

/// A public key, with a name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Whose it is said to be.
    pub name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// Reads `NAME:KEY`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::NotPublic(text.to_owned());
        let (name, key) = text.split_once(':').ok_or_else(wrong)?;
        let named = !name.is_empty() && name.chars().all(|c| !c.is_control() && c != '"');
        let bytes = BASE64.decode(key.trim()).map_err(|_| wrong())?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| wrong())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| wrong())?;
        // A weak key has signatures that anybody can make.
        match named && !key.is_weak() {
            true => Ok(Self {
                name: name.to_owned(),
                key,
            }),
            false => Err(wrong()),
        }
    }

    /// What its records' names end with: 16 digits of its digest.
    pub fn signer(&self) -> String {
        let mut digits = Digest::of(self.key.as_bytes()).to_string();
        digits.truncate(16);
        digits
    }

    /// Whether it is the same key, whatever its name.
    pub fn is(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.key.as_bytes()))
    }
}

/// Somebody's private key.
pub struct Signer {
    key: SigningKey,
    public: PublicKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.public)
    }
}

impl Signer {
    fn new(seed: &[u8; 32], name: &str) -> Self {
        let key = SigningKey::from_bytes(seed);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        let name: String = name.chars().filter(|c| plain(*c)).collect();
        let public = PublicKey {
            name: match name.is_empty() {
                true => "somebody".to_owned(),
                false => name,
            },
            key: key.verifying_key(),
        };
        Self { key, public }
    }

    /// Reads a private key, if there is one.
    ///
    /// # Errors
    /// Others may read it, or it is something else.
    pub fn read(path: &Path, name: &str) -> Result<Option<Self>, KeyError> {
        let Some(bytes) = fs::read_if_exists(path)? else {
            return Ok(None);
        };
        if fs::metadata(path)?.mode() & 0o077 != 0 {
            return Err(KeyError::Open(path.to_owned()));
        }
        let text = String::from_utf8_lossy(&bytes);
        Self::parse(&text, name)
            .map(Some)
            .ok_or_else(|| KeyError::NotPrivate(path.to_owned()))
    }

    /// Reads the text of a private key's file, or its second line alone.
    pub fn parse(text: &str, name: &str) -> Option<Self> {
        let text = text.trim();
        let seed = text.strip_prefix(KEY_FILE).map_or(text, str::trim);
        let seed: [u8; 32] = BASE64.decode(seed).ok()?.try_into().ok()?;
        Some(Self::new(&seed, name))
    }

    /// Makes a new private key, and a file that only its owner can read.
    pub fn make(path: &Path, name: &str) -> Result<Self, KeyError> {
        let mut seed = [0; 32];
        let mut filled = 0;
        while filled < seed.len() {
            filled += getrandom(&mut seed[filled..], GetRandomFlags::empty())
                .map_err(KeyError::NoRandom)?;
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        let mut staged = StagedFile::new(path)?;
        // Before there is anything in it to be read.
        staged.set_mode(0o600)?;
        private(staged.file(), path)?;
        staged.write(format!("{KEY_FILE}\n{}\n", BASE64.encode(seed)).as_bytes())?;
        staged.commit()?;
        fs::sync_dir(folder)?;
        Ok(Self::new(&seed, name))
    }

    /// The key that others trust.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The text of a record in a remote: the record's own two lines, and who signs it.
    pub(crate) fn signed(&self, record: &Record) -> String {
        use ed25519_dalek::ed25519::signature::Signer as _;
        let text = record.to_text();
        let signature = self.key.sign(&message(&record.key, text.as_bytes()));
        let signer = self.public.signer();
        format!(
            "{text}ed25519 {signer} {}\n",
            BASE64.encode(signature.to_bytes())
        )
    }
}

/// Makes sure that nobody else can read a file that is about to have a secret in it.
fn private(file: &File, path: &Path) -> Result<(), KeyError> {
    let mode = file.metadata().at("look at", path)?.permissions().mode();
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(KeyError::Open(path.to_owned())),
    }
}

/// What is signed of a record of this key that has this text.
fn message(key: &Digest, text: &[u8]) -> Vec<u8> {
    format!("{TAG}{key}\n{}\n", Digest::of(text)).into_bytes()
}

/// Whose records are used.
#[derive(Debug, Clone, Default)]
pub struct Trusted(Vec<PublicKey>);

impl Trusted {
    /// These, each once.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut all: Vec<PublicKey> = Vec::new();
        for key in keys {
            if !all.iter().any(|known| known.is(&key)) {
                all.push(key);
            }
        }
        Self(all)
    }

    /// In the order in which they are asked for.
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }
}

/// Reads a record as it is in a remote, if `by` signed it as that of `key`; `Err` says what is wrong with it. It has the
/// outs that its key declares, and no others.
pub(crate) fn read(text: &[u8], key: &Digest, by: &PublicKey) -> Result<Arc<Record>, String> {
    let (record, signature) = split(text).ok_or("it was cut")?;
    let expected = format!("ed25519 {} ", by.signer());
    let signature = signature
        .strip_prefix(&expected)
        .ok_or("it says that somebody else signed it")?;
    let bytes = BASE64
        .decode(signature)
        .map_err(|_| "its signature is none")?;
    let signature = Signature::from_slice(&bytes).map_err(|_| "its signature is none")?;
    by.key
        .verify_strict(&message(key, record), &signature)
        .map_err(|_| "its signature is wrong")?;
    let mut record = Record::from_text(record)?;
    if record.key != *key || record.inputs.digest() != *key {
        return Err("it is about another key".to_owned());
    }
    if !record.has_outs_of(&record.inputs) {
        return Err("it has other outs than its stage declares".to_owned());
    }
    // What other runs wrote stays where it is.
    without_variants(&mut record);
    Ok(Arc::new(record))
}

/// Takes away what else was written for the same key: a remote does not have it.
pub(crate) fn without_variants(record: &mut Record) {
    record.variants.clear();
    record.adopted_variant = false;
}

/// A record's two lines, and the one after.
fn split(text: &[u8]) -> Option<(&[u8], &str)> {
    let end = text.strip_suffix(b"\n")?;
    let at = end.iter().rposition(|byte| *byte == b'\n')? + 1;
    Some((&text[..at], std::str::from_utf8(&end[at..]).ok()?))
}
