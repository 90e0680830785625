//! What a packed file is read through, before its entries are known.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use flate2::bufread::GzDecoder;

/// The members of a gzip file, one after another. Each has its checksum looked at. What follows the last one, such as
/// what fills a tape's block, is no part of it, as for `gzip`.
pub(super) struct Members<R> {
    decoder: Option<GzDecoder<R>>,
    input: Option<R>,
    any: bool,
}

/// What each of them begins with.
const GZIP: u8 = 0x1f;

impl<R: BufRead> Members<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            decoder: None,
            input: Some(input),
            any: false,
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let count = decoder.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.any = true;
            }
            // A member has ended, or none has begun.
            if let Some(decoder) = self.decoder.take() {
                self.input = Some(decoder.into_inner());
            }
            let Some(mut input) = self.input.take() else {
                return Ok(0);
            };
            if self.any && input.fill_buf()?.first() != Some(&GZIP) {
                return Ok(0);
            }
            self.decoder = Some(GzDecoder::new(input));
        }
    }
}

/// A reader that gives no more than what is left, and an error then.
pub(super) struct Headers<R> {
    rest: R,
    left: Rc<Cell<u64>>,
}

impl<R> Headers<R> {
    pub(super) fn new(rest: R, left: Rc<Cell<u64>>) -> Self {
        Self { rest, left }
    }

    pub(super) fn into_inner(self) -> R {
        self.rest
    }
}

impl<R: Read> Read for Headers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("the names of an entry have no end"));
        }
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self.rest.read(&mut buffer[..most])?;
        self.left.set(left - count as u64);
        Ok(count)
    }
}

/// The frames of a zstd file, one after another.
pub(super) struct Frames<R: Read> {
    decoder: Option<ruzstd::decoding::StreamingDecoder<Peeked<R>, ruzstd::decoding::FrameDecoder>>,
    input: Option<Peeked<R>>,
}

/// A reader of which the first byte may have been read already.
struct Peeked<R> {
    first: Option<u8>,
    rest: R,
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.first, buffer.first_mut()) {
            (Some(byte), Some(place)) => {
                *place = byte;
                self.first = None;
                Ok(1)
            }
            _ => self.rest.read(buffer),
        }
    }
}

impl<R: Read> Frames<R> {
    pub(super) fn new(rest: R) -> Self {
        Self {
            decoder: None,
            input: Some(Peeked { first: None, rest }),
        }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let count = decoder.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
            }
            // A frame has ended, or none has begun.
            if let Some(decoder) = self.decoder.take() {
                self.input = Some(decoder.into_inner());
            }
            let Some(mut input) = self.input.take() else {
                return Ok(0);
            };
            let mut first = [0];
            match input.read(&mut first)? {
                0 => return Ok(0),
                _ => input.first = Some(first[0]),
            }
            let decoder = ruzstd::decoding::StreamingDecoder::new(input);
            self.decoder = Some(decoder.map_err(io::Error::other)?);
        }
    }
}
