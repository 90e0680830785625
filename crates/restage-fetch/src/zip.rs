//! The entries of a zip file.

use std::fs::File;
use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::error::UnpackError;
use super::unpack::{Unpacking, refused};

/// A link's target is a path.
const LONGEST_TARGET: u64 = 4096;
/// Of a mode: what kind of thing it is. Programs that know no kinds write none.
const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;

pub(super) fn unpack(file: &File, unpacking: &mut Unpacking) -> Result<(), UnpackError> {
    let file = file.try_clone().map_err(|error| unpacking.damaged(error))?;
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file, &mut buffer);
    let archive = archive.map_err(|error| unpacking.damaged(io::Error::other(error)))?;
    let mut entries = archive.entries(&mut buffer);
    loop {
        let entry = entries.next_entry();
        let Some(entry) = entry.map_err(|error| unpacking.damaged(io::Error::other(error)))? else {
            return Ok(());
        };
        let name = entry.file_path();
        let name = name.as_bytes().to_owned();
        // Written on Windows by programs that don't know better: no name that was meant has one.
        if name.contains(&b'\\') {
            return Err(refused(&name, "its path has a backslash"));
        }
        if entry.is_dir() {
            unpacking.folder(&name)?;
            continue;
        }
        let mode = entry.mode();
        let kind = mode.value() & KIND;
        if !matches!(kind, 0 | FILE) && !mode.is_symlink() {
            return Err(refused(&name, "it is a device"));
        }
        let method = entry.compression_method();
        let body = archive.get_entry(entry.wayfinder());
        let body = body.map_err(|error| unpacking.damaged(io::Error::other(error)))?;
        let bytes: Box<dyn Read> = match method {
            CompressionMethod::STORE => Box::new(body.reader()),
            CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(body.reader())),
            _ => {
                return Err(refused(
                    &name,
                    "it is encrypted, or compressed in a way that is not known",
                ));
            }
        };
        let mut bytes = body.verifying_reader(bytes);
        if mode.is_symlink() {
            let mut target = Vec::new();
            let read = bytes.take(LONGEST_TARGET).read_to_end(&mut target);
            read.map_err(|error| unpacking.damaged(error))?;
            unpacking.link(&name, &target)?;
        } else {
            unpacking.file(&name, mode.permissions() & 0o100 != 0, &mut bytes)?;
        }
    }
}
