//! `restage.toml`: where a project's results are kept for others. It is committed, has no credentials, and nothing
//! that it says enters a key.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::sign::{KeyError, PublicKey};
use restage_core::files::PROJECT_FILE;
use restage_core::fs;
use restage_core::suggest::{closest, hint_among};

/// The file's name.
pub const CONFIG_FILE: &str = PROJECT_FILE;

/// The fields of a remote.
const FIELDS: [&str; 6] = ["url", "endpoint", "region", "profile", "push", "trusted"];

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remotes {
    #[serde(default)]
    remote: BTreeMap<String, RemoteConfig>,
}

/// What it says of one remote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// `file:///..`, `s3://BUCKET/PREFIX`, `https://..` or `http://..`.
    pub url: String,
    /// The server, if it is not AWS.
    pub endpoint: Option<String>,
    /// AWS's.
    pub region: Option<String>,
    /// A profile in ~/.aws.
    pub profile: Option<String>,
    /// When `reproduce` pushes what it has made.
    #[serde(default)]
    pub push: When,
    /// Public keys whose records are used, as `restage remote key` shows them. Without it only one's own.
    pub trusted: Option<Vec<String>>,
}

/// When results are pushed without being asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Never.
    #[default]
    Never,
    /// After a run that made some.
    Success,
}

/// Why the file can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{CONFIG_FILE}{}: {reason}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ConfigError {
    line: Option<usize>,
    reason: String,
    hint: Option<String>,
}

impl ConfigError {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            line: None,
            reason: reason.into(),
            hint: None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl Remotes {
    /// Reads the file in a pipeline's folder; there is no remote where there is none.
    pub fn read(root: &Path) -> Result<Self, ConfigError> {
        let bytes = fs::read_if_exists(&root.join(CONFIG_FILE))
            .map_err(|error| ConfigError::new(error.to_string()))?;
        let Some(bytes) = bytes else {
            return Ok(Self::default());
        };
        let text = String::from_utf8(bytes).map_err(|_| ConfigError::new("it is not UTF-8"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, ConfigError> {
        let read: Self = toml::from_str(text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let unknown = error.message().strip_prefix("unknown field `");
            let unknown = unknown.and_then(|rest| rest.split('`').next());
            let known = FIELDS.into_iter().chain(["remote"]);
            ConfigError {
                line: before.map(|before| before.matches('\n').count() + 1),
                reason: error.message().to_owned(),
                hint: unknown
                    .and_then(|word| closest(word, known))
                    .map(|word| format!("did you mean `{word}`?")),
            }
        })?;
        for (name, remote) in &read.remote {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
                return Err(ConfigError::new(format!(
                    "`{}` is no name for a remote: letters, digits, `-` and `_` are",
                    name.escape_debug()
                )));
            }
            for text in remote.trusted.iter().flatten() {
                let wrong = |error: KeyError| {
                    ConfigError::new(format!("`trusted` of remote `{name}`: {error}"))
                };
                PublicKey::parse(text).map_err(wrong)?;
            }
        }
        Ok(read)
    }

    /// The names of all remotes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.remote.keys().map(String::as_str)
    }

    /// The remotes to which results are pushed after a run.
    pub fn after_a_run(&self) -> impl Iterator<Item = &str> {
        let after = |remote: &RemoteConfig| remote.push == When::Success;
        let remotes = self.remote.iter().filter(move |(_, remote)| after(remote));
        remotes.map(|(name, _)| name.as_str())
    }

    /// The remote of a name, or the only one.
    pub fn choose(&self, name: Option<&str>) -> Result<(&str, &RemoteConfig), ConfigError> {
        let none = || ConfigError {
            line: None,
            reason: "no remote is named there".to_owned(),
            hint: Some(format!(
                "write `[remote.NAME]` and `url = \"..\"` into {CONFIG_FILE}, beside the pipeline file"
            )),
        };
        if self.remote.is_empty() {
            return Err(none());
        }
        let found = match name {
            Some(name) => self.remote.get_key_value(name),
            None if self.remote.len() == 1 => self.remote.first_key_value(),
            None => {
                let names: Vec<&str> = self.names().collect();
                return Err(ConfigError {
                    line: None,
                    reason: format!("it has several remotes: {}", names.join(", ")),
                    hint: Some("name one by `--remote NAME`".to_owned()),
                });
            }
        };
        let named = name.unwrap_or_default();
        found
            .map(|(name, remote)| (name.as_str(), remote))
            .ok_or_else(|| ConfigError {
                line: None,
                reason: format!("it has no remote `{}`", named.escape_debug()),
                hint: hint_among(named, "it has", self.names()),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_remote_needs_no_name_and_of_several_one_is_named() {
        let one = Remotes::parse("[remote.lab]\nurl = \"file:///x\"\n").expect("a sound file");
        assert_eq!(one.choose(None).expect("the only one").0, "lab");
        assert_eq!(one.choose(Some("lab")).expect("it").0, "lab");
        let error = one.choose(Some("lob")).expect_err("no such");
        assert_eq!(error.hint(), Some("did you mean `lab`?"));
        let two = "[remote.a]\nurl = \"file:///x\"\n[remote.b]\nurl = \"file:///y\"\n";
        let two = Remotes::parse(two).expect("a sound file");
        let error = two.choose(None).expect_err("which").to_string();
        assert!(error.contains("a, b"), "{error}");
        assert!(Remotes::parse("").expect("empty").choose(None).is_err());
    }

    #[test]
    fn mistakes_are_named_with_their_line_and_a_hint() {
        for (text, start, hint) in [
            (
                "[remote.lab]\n\nurll = \"x\"\n",
                ":3: unknown field",
                Some("did you mean `url`?"),
            ),
            (
                "[remotes.lab]\nurl = \"x\"\n",
                ":1: unknown field",
                Some("did you mean `remote`?"),
            ),
            (
                "[remote.lab]\nregion = \"x\"\n",
                ":1: missing field `url`",
                None,
            ),
            (
                "[remote.lab]\nurl = \"x\"\npush = \"always\"\n",
                ":3: unknown variant",
                None,
            ),
            ("[remote.lab\n", ":1: ", None),
            (
                "[remote.'../x']\nurl = \"x\"\n",
                ": `../x` is no name",
                None,
            ),
            (
                "[remote.a]\nurl = \"x\"\ntrusted = [\"nonsense\"]\n",
                ": `trusted` of remote `a`",
                None,
            ),
        ] {
            let error = Remotes::parse(text).expect_err("a mistake");
            let said = error.to_string();
            assert!(said.starts_with(&format!("{CONFIG_FILE}{start}")), "{said}");
            assert_eq!(error.hint(), hint, "{said}");
        }
    }
}
