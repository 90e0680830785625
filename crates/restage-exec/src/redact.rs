//! Replaces secret values in text and in streams of bytes, and finds them in files.
//!
//! A value is searched for as it is, line by line if it has several lines, and as JSON writes it.
//! Other encodings (base64, a URL's) are not found (docs/adr/0007).

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use memchr::memmem::Finder;

/// Replaces a value.
const MASK: &[u8] = b"***";
/// Bytes searched at once.
const PART: usize = 64 << 10;

/// Values to hide.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Arc<Needles>);

#[derive(Default, PartialEq, Eq)]
struct Needles {
    /// The values.
    whole: Vec<Vec<u8>>,
    /// The values and their lines.
    any: Vec<Vec<u8>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.whole.len())
    }
}

impl Secrets {
    /// The least bytes of a value, not counting surrounding white space: a shorter one would be
    /// found in unrelated text. A shorter line of a longer value is not searched for.
    pub const SHORTEST: usize = 4;

    /// Secrets with these values, without those that are too short: the caller refuses them.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut needles = Needles::default();
        for value in values
            .into_iter()
            .filter(|value| Self::is_long_enough(value))
        {
            needles.whole.extend(forms(value));
            needles
                .any
                .extend(value.split(|byte| *byte == b'\n').flat_map(forms));
        }
        needles.any.extend(needles.whole.iter().cloned());
        for list in [&mut needles.whole, &mut needles.any] {
            list.retain(|needle| needle.len() >= Self::SHORTEST);
            list.sort();
            list.dedup();
        }
        Self(Arc::new(needles))
    }

    /// Whether a value is long enough to be a secret.
    pub fn is_long_enough(value: &[u8]) -> bool {
        value.trim_ascii().len() >= Self::SHORTEST
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        if self.0.any.is_empty() {
            return text.to_owned();
        }
        let mut shown = Vec::new();
        let mut redactor = Redactor::new(self.clone());
        redactor.push(text.as_bytes(), &mut shown);
        redactor.finish(&mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// Whether these bytes contain a whole value. Single lines don't count: those of a key or of
    /// JSON may well occur elsewhere too.
    pub fn stand_in(&self, mut bytes: impl Read) -> io::Result<bool> {
        let longest = self.0.whole.iter().map(Vec::len).max().unwrap_or(0);
        let finders: Vec<Finder<'_>> = self.0.whole.iter().map(Finder::new).collect();
        let mut part = vec![0; PART + longest];
        let mut kept = 0;
        loop {
            let read = match bytes.read(&mut part[kept..]) {
                Ok(0) => return Ok(false),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let held = kept + read;
            if finders.iter().any(|f| f.find(&part[..held]).is_some()) {
                return Ok(true);
            }
            // This may be the start of a value that continues in the next part.
            kept = held.min(longest.saturating_sub(1));
            part.copy_within(held - kept..held, 0);
        }
    }
}

/// The trimmed value, and how a JSON text writes it.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    let value = value.trim_ascii();
    let json = std::str::from_utf8(value)
        .map(|text| serde_json::Value::from(text).to_string())
        .unwrap_or_default();
    let inside = json.as_bytes().get(1..json.len().saturating_sub(1));
    let mut forms = vec![value.to_vec()];
    forms.extend(inside.map(<[u8]>::to_vec));
    forms
}

/// Replaces secrets in a stream, however it is split into parts. Overlapping values become one mask.
#[derive(Debug)]
pub(crate) struct Redactor {
    secrets: Secrets,
    /// Not passed on yet, since it may be the start of a value.
    held: Vec<u8>,
    /// How much of `held` belongs to a value whose mask was written.
    covered: usize,
}

impl Redactor {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            held: Vec::new(),
            covered: 0,
        }
    }

    /// Takes a part of the stream and appends to `shown` what is safe to show.
    pub(crate) fn push(&mut self, part: &[u8], shown: &mut Vec<u8>) {
        self.held.extend_from_slice(part);
        let decided = self.start_of_unfinished();
        self.pass_on(decided, shown);
    }

    /// The stream has ended, so nothing continues.
    pub(crate) fn finish(&mut self, shown: &mut Vec<u8>) {
        self.pass_on(self.held.len(), shown);
    }

    /// Where a value may start whose end is still to come.
    fn start_of_unfinished(&self) -> usize {
        let needles = &self.secrets.0.any;
        let longest = needles.iter().map(Vec::len).max().unwrap_or(0);
        let end = self.held.len();
        let unfinished = |start: &usize| {
            let tail = &self.held[*start..];
            let goes_on = |needle: &Vec<u8>| needle.len() > tail.len() && needle.starts_with(tail);
            needles.iter().any(goes_on)
        };
        let first = end.saturating_sub(longest.saturating_sub(1));
        (first..end).find(unfinished).unwrap_or(end)
    }

    fn pass_on(&mut self, decided: usize, shown: &mut Vec<u8>) {
        for (start, end) in self.found(decided) {
            if start >= self.covered {
                shown.extend_from_slice(&self.held[self.covered..start]);
                shown.extend_from_slice(MASK);
            }
            self.covered = self.covered.max(end);
        }
        if self.covered < decided {
            shown.extend_from_slice(&self.held[self.covered..decided]);
            self.covered = decided;
        }
        self.held.drain(..decided);
        self.covered -= decided;
    }

    /// All values that start before `decided`, overlapping ones too, in order.
    fn found(&self, decided: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for needle in &self.secrets.0.any {
            let finder = Finder::new(needle);
            let mut from = 0;
            while let Some(at) = finder.find(&self.held[from..]).map(|at| from + at)
                && at < decided
            {
                found.push((at, at + needle.len()));
                from = at + 1;
            }
        }
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
