//! Where data from outside the pipeline's folder is, and where stages see it.

use super::node::printable;
use restage_core::glob::Glob;
use restage_core::rel_path::RelPath;
use restage_core::span::Location;

/// A file or folder outside the pipeline's folder, and where stages see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Its name under `data:`.
    pub name: String,
    /// Where it is, unless this machine says something else; part of no key.
    pub path: DataPath,
    /// Where stages find it: a path as if it lay in the pipeline's folder.
    pub place: RelPath,
    /// Where its name stands in the file.
    pub location: Location,
}

impl Data {
    /// Whether all that a pattern can match lies in it. No other pattern looks into it.
    #[must_use]
    pub fn holds_pattern(&self, pattern: &str) -> bool {
        let base = Glob::new(pattern).ok();
        let base = base.and_then(|glob| RelPath::new(glob.base_folder()).ok());
        base.is_some_and(|base| base.is_within(&self.place))
    }
}

/// What data is downloaded from, checked by and unpacked from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetch {
    /// Where it comes from; part of no key.
    pub url: String,
    /// Of what is downloaded, in lower-case hexadecimal digits.
    pub sha256: String,
    /// What it is unpacked from, one of [`UNPACKED`]; `None`: it is kept as it is.
    pub unpack: Option<String>,
}

/// What can be unpacked.
pub const UNPACKED: [&str; 5] = ["tar", "tar.gz", "tar.xz", "tar.zst", "zip"];

/// A path that may be made up from the caller's variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataPath(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl DataPath {
    /// Cuts a text at each `${env.NAME}`; what is wrong with it, and what to do, if it can't be.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        const ENV: &str = "write `${env.NAME}` for a variable of whoever runs restage; what the data is must not \
                           depend on parameters";
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            // `$${` stands for `${`.
            if rest[..at].ends_with('$') {
                literal.push_str(&rest[..at - 1]);
                literal.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            literal.push_str(&rest[..at]);
            let inside = &rest[at + 2..];
            let Some(end) = inside.find('}') else {
                return Err(("has `${` without its `}`".to_owned(), ENV));
            };
            let reference = inside[..end].trim();
            match reference
                .strip_prefix("env.")
                .filter(|name| is_variable(name))
            {
                Some(name) => {
                    if !literal.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut literal)));
                    }
                    pieces.push(Piece::Variable(name.to_owned()));
                }
                None => return Err((format!("has `${{{}}}`", printable(reference)), ENV)),
            }
            rest = &inside[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self(pieces))
    }

    /// The names of the variables that it is made up from.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The path with the values of variables in it, or the first variable that has none.
    pub fn fill<T: Into<std::ffi::OsString>>(
        &self,
        value: impl Fn(&str) -> Option<T>,
    ) -> Result<std::path::PathBuf, &str> {
        let mut path = std::ffi::OsString::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => path.push(text),
                Piece::Variable(name) => {
                    let value = value(name).map(Into::into);
                    path.push(
                        value
                            .filter(|value| !value.is_empty())
                            .ok_or(name.as_str())?,
                    );
                }
            }
        }
        Ok(path.into())
    }
}

impl std::fmt::Display for DataPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Variable(name) => write!(f, "${{env.{name}}}"),
        })
    }
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let path = DataPath::parse(text).map_err(|(what, _)| what)?;
        let value = |name: &str| {
            let mut pairs = variables.iter();
            pairs.find_map(|(known, value)| (*known == name).then_some(*value))
        };
        let path = path.fill(value).map_err(|name| format!("no {name}"))?;
        Ok(path.display().to_string())
    }

    #[test]
    fn variables_of_the_caller_and_nothing_else_can_stand_in_a_path() {
        let pairs = [("A", "/a"), ("B_1", "b"), ("EMPTY", "")];
        for (text, path) in [
            ("/data", "/data"),
            ("${env.A}/x", "/a/x"),
            ("${ env.A }/${env.B_1}${env.B_1}", "/a/bb"),
            ("/x/$${env.A}$", "/x/${env.A}$"),
        ] {
            assert_eq!(filled(text, &pairs).as_deref(), Ok(path), "{text}");
        }
        for (text, error) in [
            ("${env.NONE}/x", "no NONE"),
            ("${env.EMPTY}/x", "no EMPTY"),
            ("${root}/x", "has `${root}`"),
            ("${env.}/x", "has `${env.}`"),
            ("${env.A-B}", "has `${env.A-B}`"),
            ("${env.A", "has `${` without its `}`"),
        ] {
            assert_eq!(filled(text, &pairs), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_path_is_shown_as_it_was_written() {
        let text = "${env.A}/x";
        let path = DataPath::parse(text).expect("a path");
        assert_eq!(path.to_string(), text);
        assert_eq!(path.variables().collect::<Vec<_>>(), ["A"]);
    }
}
