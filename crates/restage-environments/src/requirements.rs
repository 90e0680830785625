//! A requirements file that names all that is installed by exact versions.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::EnvironmentError;
use crate::marker::{self, Context};
use crate::names::normal;
use crate::resolved::{Resolved, content};
use restage_core::digest::KeyPackage;

/// Options that say where packages come from or how they are checked, not which.
const OPTIONS: [&str; 13] = [
    "-i",
    "--index-url",
    "--extra-index-url",
    "--no-index",
    "-f",
    "--find-links",
    "--require-hashes",
    "--prefer-binary",
    "--only-binary",
    "--no-binary",
    "--pre",
    "--trusted-host",
    "--use-pep517",
];

/// What the text of a requirements file installs for an interpreter with these variables.
pub fn requirements(
    file: &str,
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Resolved, EnvironmentError> {
    let mut resolved = Resolved::default();
    let extras = BTreeSet::new();
    let context = Context {
        variables,
        extras: &extras,
    };
    for (line, text) in logical_lines(text) {
        let open = |problem| EnvironmentError::Open {
            file: file.to_owned(),
            line,
            text: text.clone(),
            problem,
        };
        if text.starts_with('-') {
            let word = text.split([' ', '=']).next().unwrap_or_default();
            if matches!(word, "-r" | "--requirement" | "-c" | "--constraint") {
                return Err(open("reads another file, which would not be in the key"));
            }
            if !OPTIONS.contains(&word) {
                return Err(open("is not a package with an exact version"));
            }
            // They decide between a wheel and a build from source.
            if matches!(word, "--only-binary" | "--no-binary" | "--prefer-binary") {
                resolved.conditions.insert(text);
            }
            continue;
        }
        let (requirement, hashes) = hashes(&text);
        let (requirement, marker) = match requirement.split_once(';') {
            Some((requirement, marker)) => (requirement.trim(), Some(marker.trim())),
            None => (requirement.trim(), None),
        };
        let Some((name, version)) = requirement.split_once("==") else {
            return Err(open("leaves its version open"));
        };
        let version = version.trim_start_matches('=').trim();
        if version.is_empty() || version.contains([',', '*', ' ', '<', '>', '~']) {
            return Err(open("leaves its version open"));
        }
        // The characters of PEP 440; a variable of pip's, `${V}`, has others.
        let of_versions = |c: char| c.is_ascii_alphanumeric() || "-_.+!".contains(c);
        if !version.chars().all(of_versions) || version.starts_with('!') {
            return Err(open("is not a package with an exact version"));
        }
        let name = name.split('[').next().unwrap_or(name).trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(open("is not a package with an exact version"));
        }
        let holds = marker.map_or(Some(true), |marker| marker::holds(marker, context));
        if holds == Some(false) {
            continue;
        }
        let name = normal(name);
        if let (None, Some(marker)) = (holds, marker) {
            resolved.conditions.insert(format!("{name}: {marker}"));
            resolved.unsure.insert(name.clone());
        }
        let key = KeyPackage {
            version: version.to_owned(),
            content: content("", &hashes),
        };
        resolved.add(&name, key);
    }
    Ok(resolved)
}

/// Lines without comments, those that end in a backslash joined with the next; each with the number
/// of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let (start, before) = open.take().unwrap_or((at + 1, String::new()));
        let line = match line.trim_start().starts_with('#') {
            true => "",
            false => match comment(line) {
                Some(start) => line[..start].trim_end(),
                None => line.trim_end(),
            },
        };
        let (line, more) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        let joined = format!("{before} {}", line.trim()).trim().to_owned();
        match more {
            true => open = Some((start, joined)),
            false if !joined.is_empty() => lines.push((start, joined)),
            false => {}
        }
    }
    lines.extend(open.filter(|(_, text)| !text.is_empty()));
    lines
}

/// Where a comment begins: with a `#` after a blank, so that addresses can have one.
fn comment(line: &str) -> Option<usize> {
    let starts = line.match_indices('#').map(|(at, _)| at);
    let mut starts = starts.filter(|at| line[..*at].ends_with([' ', '\t']));
    starts.next()
}

/// A line without its `--hash` options, and these.
fn hashes(line: &str) -> (String, BTreeSet<String>) {
    let mut hashes = BTreeSet::new();
    let mut rest = Vec::new();
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        match word.strip_prefix("--hash") {
            Some("") => hashes.extend(words.next().map(ToOwned::to_owned)),
            Some(hash) => drop(hashes.insert(hash.trim_start_matches('=').to_owned())),
            None => rest.push(word),
        }
    }
    (rest.join(" "), hashes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Result<Resolved, EnvironmentError> {
        let variables = BTreeMap::from([("sys_platform".to_owned(), "linux".to_owned())]);
        requirements("requirements.txt", text, &variables)
    }

    #[test]
    fn versions_hashes_and_conditions_count_and_the_rest_does_not() {
        let text = "# by hand\n--index-url https://x/simple\nNumPy==2.2.6 \\\n    --hash=sha256:aa \\\n    --hash sha256:bb\n\
                    tqdm[notebook] == 4.0 # bars\ncolorama==0.4; sys_platform == 'win32'\n";
        let resolved = of(text).unwrap();
        let names: Vec<&String> = resolved.packages.keys().collect();
        assert_eq!(names, ["numpy", "tqdm"]);
        assert_eq!(resolved.packages["numpy"].version, "2.2.6");
        let same = "--index-url https://y/simple\ntqdm==4.0\n\nnumpy==2.2.6 --hash=sha256:bb --hash=sha256:aa\n";
        assert_eq!(of(same).unwrap(), resolved);
        for other in [
            ("sha256:aa", "sha256:ac"),
            ("2.2.6", "2.2.7"),
            ("tqdm", "tqbm"),
        ] {
            assert_ne!(
                of(&same.replace(other.0, other.1)).unwrap(),
                resolved,
                "{other:?}"
            );
        }
        assert_eq!(
            of("a==1!2.0.post1+cu12\t# c\n").unwrap().packages["a"].version,
            "1!2.0.post1+cu12"
        );
        let odd = of("a==1; platform_release > '5'\n").unwrap();
        assert_eq!((odd.unsure.len(), odd.conditions.len()), (1, 1));
    }

    #[test]
    fn what_leaves_open_what_is_installed_is_refused_with_its_line() {
        for (line, problem) in [
            ("numpy", "leaves its version open"),
            ("numpy>=2", "leaves its version open"),
            ("numpy==2.*", "leaves its version open"),
            ("numpy==2.0,<3", "leaves its version open"),
            (
                "-r base.txt",
                "reads another file, which would not be in the key",
            ),
            ("-e .", "is not a package with an exact version"),
            ("./wheels/a.whl", "leaves its version open"),
            ("lib @ https://x/lib.whl", "leaves its version open"),
            ("a b==1", "is not a package with an exact version"),
            ("a==${VERSION}", "is not a package with an exact version"),
            ("a==1, !=2", "leaves its version open"),
            ("a!=1==2", "is not a package with an exact version"),
        ] {
            let error = of(&format!("# first\n\n{line}\n")).unwrap_err();
            let text = format!("`requirements.txt`, line 3: `{line}` {problem}");
            assert_eq!(error.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[a-z=#;\\\\ \n.<>-]{0,60}") {
            let _ = of(&text);
        }
    }
}
