//! What is asked of every kind of remote: whole files by their names. One try each; who calls tries again.

use std::ops::Range;
use std::path::Path;

use super::error::RemoteError;

/// Takes bytes as they come.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), RemoteError> + 'a;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// A file.
    File(&'a Path),
}

/// A way to a remote.
pub(crate) trait Transport: Send + Sync + std::fmt::Debug {
    /// Where it is, for people: without credentials.
    fn address(&self) -> &str;

    /// Makes the place that files are put in, where that has to be made.
    fn make(&self) -> Result<(), RemoteError> {
        Ok(())
    }

    /// The size of what has this name; `None` if nothing has.
    fn size(&self, name: &str) -> Result<Option<u64>, RemoteError>;

    /// Passes the bytes of what has this name to `sink`, all or those of `part`. Returns whether anything has it.
    ///
    /// # Errors
    /// [`RemoteError::NoParts`] if it can give no parts; nothing was passed then.
    fn get(
        &self,
        name: &str,
        part: Option<&Range<u64>>,
        sink: &mut Sink<'_>,
    ) -> Result<bool, RemoteError>;

    /// Makes this what has the name: readers see all of it or nothing.
    fn put(&self, name: &str, body: Body<'_>) -> Result<(), RemoteError>;

    /// Passes the names that begin so, with their sizes, to `each`. Returns whether it can list at all.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(&str, u64)) -> Result<bool, RemoteError>;

    /// How to send large files in parts, if it can.
    fn parts(&self) -> Option<&dyn Parts> {
        None
    }
}

/// An upload in parts, which readers see once it is finished.
pub(crate) trait Parts: Sync {
    /// Begins one, and returns its id.
    fn begin(&self, name: &str) -> Result<String, RemoteError>;

    /// Sends a part, from number 1 on, and returns its tag.
    ///
    /// # Errors
    /// [`RemoteError::UploadGone`] if there is no such upload any more.
    fn send(
        &self,
        name: &str,
        upload: &str,
        number: u16,
        bytes: &[u8],
    ) -> Result<String, RemoteError>;

    /// Makes the parts, by their tags in order, what has the name.
    fn finish(&self, name: &str, upload: &str, tags: &[String]) -> Result<(), RemoteError>;
}
