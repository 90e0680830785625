//! Names and versions of Python packages, as far as two spellings mean the same.

/// A package's name as indexes spell it: `Ruamel.Yaml_clib` is `ruamel-yaml-clib`.
pub(crate) fn normal(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if text.ends_with('-') => {}
            '-' | '_' | '.' => text.push('-'),
            c => text.push(c.to_ascii_lowercase()),
        }
    }
    text
}

/// Whether two spellings are the same version, as far as that is seen without all of PEP 440: `1.0` and
/// `1.0.0` are, `1.0-1` and `1.0.post1` are not.
pub(crate) fn same_version(a: &str, b: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim().trim_start_matches('v').to_lowercase();
        let (release, local) = match text.split_once('+') {
            Some((release, local)) => (release.to_owned(), local.replace(['-', '_'], ".")),
            None => (text, String::new()),
        };
        let mut release = release.as_str();
        while let Some(shorter) = release.strip_suffix(".0") {
            release = shorter;
        }
        (release.to_owned(), local)
    };
    plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_name_are_one_name() {
        for name in ["ruamel-yaml-clib", "Ruamel.Yaml_clib", "ruamel--yaml.-clib"] {
            assert_eq!(normal(name), "ruamel-yaml-clib");
        }
        assert_ne!(normal("ab"), normal("a-b"));
    }

    #[test]
    fn zeros_at_the_end_are_no_other_version() {
        assert!(same_version("1.0", "1") && same_version("v2.1.0", "2.1"));
        assert!(same_version("2.1.0+CPU", "2.1+cpu"));
        assert!(!same_version("1.0", "1.0.1") && !same_version("2.1", "2.1+cpu"));
        assert!(!same_version("10", "1"));
    }
}
