//! Who asks S3, and where: from the environment and the profile files that everything which speaks to AWS reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusty_s3::Credentials;

use super::config::RemoteConfig;
use super::error::RemoteError;
use restage_core::fs;

/// A variable of the caller's environment.
pub(crate) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Who asks, and where.
pub(crate) struct Account {
    pub(crate) endpoint: String,
    pub(crate) is_aws: bool,
    pub(crate) region: String,
    /// None for a bucket that everybody may read.
    pub(crate) credentials: Option<Credentials>,
    /// What the credentials are called, in messages.
    pub(crate) by: String,
}

/// The settings of one profile.
type Profile = BTreeMap<String, String>;

/// Finds out. What restage.toml names counts before the environment, but for keys.
pub(crate) fn account(
    config: &RemoteConfig,
    variable: Variable<'_>,
) -> Result<Account, RemoteError> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let named = config.profile.clone().or_else(|| set("AWS_PROFILE"));
    let profile = profile(named.as_deref(), &set)?;
    let keys = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY"));
    let (credentials, by) = match keys {
        // A profile that restage.toml names is meant, whatever else is set.
        (Some(key), Some(secret)) if config.profile.is_none() => (
            Some(with_token(key, secret, set("AWS_SESSION_TOKEN"))),
            "the key in AWS_ACCESS_KEY_ID".to_owned(),
        ),
        (Some(_), None) if config.profile.is_none() => {
            return Err(RemoteError::Setup(
                "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not".to_owned(),
            ));
        }
        _ => of_profile(&profile, named.as_deref())?,
    };
    let region = config.region.clone();
    let region = region
        .or_else(|| set("AWS_REGION"))
        .or_else(|| set("AWS_DEFAULT_REGION"))
        .or_else(|| profile.get("region").cloned())
        .unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = config.endpoint.clone();
    let endpoint = endpoint
        .or_else(|| set("AWS_ENDPOINT_URL_S3"))
        .or_else(|| set("AWS_ENDPOINT_URL"))
        .or_else(|| profile.get("endpoint_url").cloned());
    Ok(Account {
        is_aws: endpoint.is_none(),
        endpoint: endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com")),
        region,
        credentials,
        by,
    })
}

fn with_token(key: String, secret: String, token: Option<String>) -> Credentials {
    match token {
        Some(token) => Credentials::new_with_token(key, secret, token),
        None => Credentials::new(key, secret),
    }
}

fn of_profile(
    profile: &Profile,
    named: Option<&str>,
) -> Result<(Option<Credentials>, String), RemoteError> {
    let name = named.unwrap_or("default");
    let get = |key: &str| profile.get(key).cloned();
    match (get("aws_access_key_id"), get("aws_secret_access_key")) {
        (Some(key), Some(secret)) => {
            let credentials = with_token(key, secret, get("aws_session_token"));
            Ok((Some(credentials), format!("AWS profile `{name}`")))
        }
        (Some(_), None) => Err(RemoteError::Setup(format!(
            "AWS profile `{name}` has no `aws_secret_access_key`"
        ))),
        // Programs and web pages that give keys for an hour are the AWS command's affair.
        _ if [
            "credential_process",
            "sso_session",
            "sso_start_url",
            "role_arn",
        ]
        .iter()
        .any(|key| profile.contains_key(*key)) =>
        {
            Err(RemoteError::Setup(format!(
                "AWS profile `{name}` has no keys of its own: get some for this shell by \
                 `eval \"$(aws configure export-credentials --profile {name} --format env)\"`"
            )))
        }
        _ => Ok((None, "anonymous access".to_owned())),
    }
}

/// What the two files say of a profile.
fn profile(named: Option<&str>, set: Variable<'_>) -> Result<Profile, RemoteError> {
    let name = named.unwrap_or("default");
    let home = set("HOME").map(PathBuf::from);
    let file = |variable: &str, usual: &str| {
        let said = set(variable).map(PathBuf::from);
        said.or_else(|| Some(home.as_ref()?.join(".aws").join(usual)))
    };
    let mut found = Profile::new();
    let mut known = false;
    let in_config = match name {
        "default" => vec!["default".to_owned(), "profile default".to_owned()],
        name => vec![format!("profile {name}")],
    };
    let files = [
        (file("AWS_CONFIG_FILE", "config"), in_config),
        (
            file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            vec![name.to_owned()],
        ),
    ];
    for (path, sections) in files {
        let text = match path.as_deref().map(text_of).transpose()?.flatten() {
            Some(text) => text,
            None => continue,
        };
        for section in &sections {
            if let Some(values) = section_of(&text, section) {
                known = true;
                found.extend(values);
            }
        }
    }
    match (known, named) {
        (false, Some(name)) => Err(RemoteError::Setup(format!(
            "there is no AWS profile `{name}` in ~/.aws/config and ~/.aws/credentials"
        ))),
        _ => Ok(found),
    }
}

fn text_of(path: &Path) -> Result<Option<String>, RemoteError> {
    let bytes = fs::read_if_exists(path)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The settings of a section, without those that are indented below another.
fn section_of(text: &str, section: &str) -> Option<Profile> {
    let mut found = None;
    let mut inside = false;
    for line in text.lines() {
        let plain = line.trim();
        if plain.starts_with(['#', ';']) || plain.is_empty() {
            continue;
        }
        if let Some(name) = plain.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default().trim();
            inside = name == section;
            if inside {
                found.get_or_insert_with(Profile::new);
            }
            continue;
        }
        if !inside || line.starts_with([' ', '\t']) {
            continue;
        }
        if let (Some((key, value)), Some(found)) = (plain.split_once('='), found.as_mut()) {
            found.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(
        files: &[(&str, &str)],
        env: &[(&str, &str)],
        config: &RemoteConfig,
    ) -> Result<Account, String> {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join(".aws")).expect("a folder");
        for (name, text) in files {
            std::fs::write(home.path().join(".aws").join(name), text).expect("a file");
        }
        let home = home.path().display().to_string();
        let variable = |name: &str| {
            let mut all = env.iter().copied().chain([("HOME", home.as_str())]);
            all.find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
        };
        account(config, &variable).map_err(|error| error.to_string())
    }

    const CREDENTIALS: (&str, &str) = (
        "credentials",
        "# mine\n[default]\naws_access_key_id = D\naws_secret_access_key=ds\n\n[lab]\naws_access_key_id=L\n\
         aws_secret_access_key = ls\naws_session_token = lt\n",
    );
    const CONFIG: (&str, &str) = (
        "config",
        "[default]\nregion = eu-west-1\ns3 =\n  region = nope\n[profile lab]\nregion=eu-central-1\n\
         endpoint_url = http://127.0.0.1:9\n[profile sso]\nsso_session = x\n",
    );

    fn key(account: &Account) -> &str {
        account.credentials.as_ref().map_or("", Credentials::key)
    }

    #[test]
    fn keys_come_from_the_environment_else_from_a_profile() {
        let plain = RemoteConfig::default();
        let lab = RemoteConfig {
            profile: Some("lab".to_owned()),
            ..RemoteConfig::default()
        };
        let files = [CREDENTIALS, CONFIG];
        let env = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "es")];
        let found = asked(&files, &env, &plain).expect("an account");
        assert_eq!((key(&found), &*found.region), ("E", "eu-west-1"));
        assert_eq!(found.endpoint, "https://s3.eu-west-1.amazonaws.com");
        assert!(found.is_aws);
        let found = asked(&files, &[], &plain).expect("an account");
        assert_eq!(key(&found), "D");
        // What restage.toml names is meant.
        let found = asked(&files, &env, &lab).expect("an account");
        assert_eq!((key(&found), &*found.region), ("L", "eu-central-1"));
        assert_eq!(found.endpoint, "http://127.0.0.1:9");
        assert!(!found.is_aws && found.by.contains("`lab`"));
        let token = found.credentials.as_ref().and_then(Credentials::token);
        assert_eq!(token, Some("lt"));
        let found = asked(&[], &[], &plain).expect("an account");
        assert!(found.credentials.is_none());
    }

    #[test]
    fn what_can_not_work_is_said() {
        let profile = |name: &str| RemoteConfig {
            profile: Some(name.to_owned()),
            ..RemoteConfig::default()
        };
        let files = [CREDENTIALS, CONFIG];
        let error = |env: &[_], config: &_| asked(&files, env, config).err().expect("an error");
        let wrong = error(&[], &profile("lbb"));
        assert!(wrong.contains("no AWS profile `lbb`"), "{wrong}");
        let wrong = error(&[], &profile("sso"));
        assert!(wrong.contains("export-credentials"), "{wrong}");
        let half = [("AWS_ACCESS_KEY_ID", "E")];
        let wrong = error(&half, &RemoteConfig::default());
        assert!(wrong.contains("AWS_SECRET_ACCESS_KEY"), "{wrong}");
    }
}
