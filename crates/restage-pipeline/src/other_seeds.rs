//! Files that a stage wrote by other seeds than those that it has now.
//!
//! Fewer seeds than last time leave results of others in place, which no stage writes any more. A
//! pattern such as `seed-*/summary.csv` must not take them for sources: they come from other
//! parameters, or were not asked for.

use std::collections::{HashMap, HashSet};

use super::pipeline::Stage;
use restage_core::rel_path::RelPath;

/// Which paths a pipeline's stages would write by some seed, and don't by those that they have.
#[derive(Debug, Clone, Default)]
pub struct OtherSeeds {
    /// Paths with `*` for the seed, by what stands before the first.
    patterns: HashMap<String, HashSet<String>>,
    outs: HashSet<String>,
}

impl OtherSeeds {
    /// Of a pipeline's stages.
    pub fn than(stages: &[Stage]) -> Self {
        let mut found = Self::default();
        for out in stages.iter().flat_map(|stage| &stage.outs) {
            let Some(pattern) = &out.any_seed else {
                continue;
            };
            found.outs.insert(out.path.as_str().to_owned());
            let before = pattern.split('*').next().unwrap_or_default();
            let patterns = found.patterns.entry(before.to_owned()).or_default();
            if !patterns.contains(pattern) {
                patterns.insert(pattern.clone());
            }
        }
        found
    }

    /// Whether a path is an output of another seed. What lies in one is not.
    pub fn wrote(&self, path: &RelPath) -> bool {
        let path = path.as_str();
        if self.patterns.is_empty() || self.outs.contains(path) {
            return false;
        }
        let digits = path
            .bytes()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_digit());
        digits
            .map(|(at, _)| path.split_at(at))
            .any(|(before, rest)| {
                let end = rest.bytes().take_while(u8::is_ascii_digit).count();
                let seed = &rest[..end];
                let whole = seed
                    .parse::<u64>()
                    .is_ok_and(|number| number.to_string() == seed);
                let patterns = self.patterns.get(before).filter(|_| whole);
                patterns.is_some_and(|patterns| {
                    patterns
                        .iter()
                        .any(|pattern| pattern.replace('*', seed) == path)
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LoadOptions, load};

    #[test]
    fn only_outs_of_the_same_stage_by_another_seed_are_others() {
        let text = r#"
schema: 1
name: t
stages:
  a:
    foreach: [x1, y]
    seeds: [7, 42]
    cmd: a
    outs: ["r/${key}/seed-${seed}/s.csv", "r/${seed}-${key}-${seed}.txt", "r/${key}-${seed}.dir"]
  b: {cmd: b, outs: [r/seed-1/s.csv]}
"#;
        let pipeline = load("pipeline.yaml", text, &LoadOptions::default()).unwrap();
        let others = OtherSeeds::than(&pipeline.stages);
        let wrote = |path: &str| others.wrote(&RelPath::new(path).unwrap());
        for other in [
            "r/x1/seed-43/s.csv",
            "r/y/seed-0/s.csv",
            "r/3-x1-3.txt",
            "r/y-18446744073709551615.dir",
        ] {
            assert!(wrote(other), "{other}");
        }
        for own in [
            "r/x1/seed-42/s.csv",
            "r/y/seed-7/s.csv",
            "r/7-y-7.txt",
            "r/3-x1-4.txt",
            "r/z/seed-43/s.csv",
            "r/x1/seed-043/s.csv",
            "r/x1/seed-/s.csv",
            "r/x1/seed-43/t.csv",
            "r/x1/seed-43x/s.csv",
            "r/y-18446744073709551616.dir",
            "r/y-3.dir/file",
            "r/seed-2/s.csv",
        ] {
            assert!(!wrote(own), "{own}");
        }
    }
}
