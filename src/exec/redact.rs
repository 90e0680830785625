//! Replaces secret values in text and in streams of bytes, and finds them in files.
//! It must not know whose secrets they are, nor where the bytes come from or go to.
//!
//! A value is looked for as it is, line by line if it has several lines, and as JSON writes it.
//! Other encodings (base64, a URL's) are not seen.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use memchr::memmem::Finder;

/// Stands where a value stood.
const MASK: &[u8] = b"***";
/// Bytes that are searched at once.
const PART: usize = 64 << 10;

/// Values that nobody may see.
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
    /// Bytes that a value must have, white space around it apart: a shorter one would be found
    /// in what has nothing to do with it. A shorter line of a longer value is not looked for.
    pub const SHORTEST: usize = 4;

    /// Secrets with these values. Those that are too short are left out: the caller refuses them.
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

    /// Whether a whole value stands in these bytes. Single lines don't count: those of a key or
    /// of JSON may well stand elsewhere too.
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
            // What may be the start of one that goes on in the next part.
            kept = held.min(longest.saturating_sub(1));
            part.copy_within(held - kept..held, 0);
        }
    }
}

/// The value without white space around it, and what it is within a JSON text.
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

/// Replaces secrets in a stream, however it is cut into parts. Values that overlap become one mask.
#[derive(Debug)]
pub(crate) struct Redactor {
    secrets: Secrets,
    /// Not passed on yet: it may be the start of a value.
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

    /// Takes a part of the stream and adds to `shown` what can be seen by all.
    pub(crate) fn push(&mut self, part: &[u8], shown: &mut Vec<u8>) {
        self.held.extend_from_slice(part);
        let decided = self.start_of_unfinished();
        self.pass_on(decided, shown);
    }

    /// The stream has ended: nothing goes on any more.
    pub(crate) fn finish(&mut self, shown: &mut Vec<u8>) {
        self.pass_on(self.held.len(), shown);
    }

    /// Where the first value may start whose end has not been seen.
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

    /// All places of values that start before `decided`, overlapping ones too, in order.
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
