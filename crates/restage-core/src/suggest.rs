//! "Did you mean": the closest of the words that would have been right.

use std::fmt::Display;

/// The candidate that differs least from `word`, if it differs little enough to be a slip:
/// at most a third of the letters, case and separators not counted.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(word);
    let allowed = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(&wanted, &plain(candidate)),
                candidate,
            )
        })
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or else what there is to choose from.
pub fn hint_among<'a>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(found) = closest(word, candidates.iter().copied()) {
        return Some(format!("did you mean `{found}`?"));
    }
    (!candidates.is_empty()).then(|| format!("{what}: {}", list(candidates)))
}

/// "`a`, `b`, `c` and 4 more".
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    list_up_to(8, words)
}

/// Like [`list`], with `most` words at most.
pub fn list_up_to(most: usize, words: impl IntoIterator<Item = impl Display>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    let shown = words[..words.len().min(most)].join(", ");
    match words.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        assert_eq!(closest("dropuot", ["dropout", "filters"]), Some("dropout"));
        assert_eq!(
            closest("mini-resnet", ["mini_resnet", "resnet18"]),
            Some("mini_resnet")
        );
        assert_eq!(closest("zzz", ["dropout", "filters"]), None);
        assert_eq!(closest("x", ["y"]), None);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(["a"; 9]).matches('`').count(), 16);
        assert!(list(["a"; 9]).ends_with("and 1 more"));
        assert_eq!(list_up_to(2, ["a", "b", "c"]), "`a`, `b` and 1 more");
    }
}
