//! MD5 of files and folders, as DVC names them by.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, Read};

use md5::{Digest, Md5};

/// MD5 of what a file holds, in hexadecimal.
///
/// # Errors
/// It can't be read.
pub fn file_md5(mut file: impl Read) -> io::Result<String> {
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hex(hasher)),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What DVC names a folder by: MD5 of the list of its files, by their paths in it, with their MD5.
/// The list is JSON as Python writes it.
pub fn folder_md5(files: &BTreeMap<String, String>) -> String {
    let files = files.iter();
    let files = files
        .map(|(path, md5)| format!("{{\"md5\": \"{md5}\", \"relpath\": {}}}", ascii_json(path)));
    let listing = format!("[{}]", files.collect::<Vec<_>>().join(", "));
    let mut hasher = Md5::new();
    hasher.update(listing.as_bytes());
    hex(hasher) + ".dir"
}

/// A text in JSON, with whatever is not printable ASCII escaped.
fn ascii_json(text: &str) -> String {
    let mut written = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if (' '..='~').contains(&c) {
            written.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string can't fail.
            let _ = write!(written, "\\u{unit:04x}");
        }
    }
    written
}

fn hex(hasher: Md5) -> String {
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_md5_of_rfc_1321() {
        let md5 = |text: &str| file_md5(text.as_bytes()).unwrap();
        assert_eq!(md5(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(md5("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    }

    /// The digests are those that DVC 3.67 gave to these folders.
    #[test]
    fn folders_have_the_md5_that_dvc_gives_them() {
        let folder = |files: &[(&str, &str)]| {
            let files = files.iter();
            let files = files.map(|(path, text)| {
                let md5 = file_md5(text.as_bytes()).unwrap();
                ((*path).to_owned(), md5)
            });
            folder_md5(&files.collect())
        };
        let odd = [("a.txt", "a\nb\n"), ("sub/é\"q.txt", "é\n"), ("sub-x", "")];
        assert_eq!(folder(&odd), "34a434fc503ab71b1207549b9145c130.dir");
        let far = [("\u{1f600}\t\u{7f}", "x"), ("\u{ffee}", "y")];
        assert_eq!(folder(&far), "9a2dbe9c07c3e3bbad6f0fe049563cbc.dir");
    }
}
