//! Finds a variant's network among the declared parameters.
//! It must not know what a network is made of.

use std::collections::BTreeMap;

use contract::StageError;
use nn::config::NetworkConfig;

/// The network called `variant`.
///
/// # Errors
/// There is none of that name: names those that there are; the stage exits with 2.
pub fn network<'a>(
    models: &'a BTreeMap<String, NetworkConfig>,
    variant: &str,
) -> Result<&'a NetworkConfig, StageError> {
    models.get(variant).ok_or_else(|| {
        let names: Vec<String> = models.keys().map(|name| format!("`{name}`")).collect();
        let there = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        StageError::usage_message(format!("no parameters for variant `{variant}`")).with_hint(
            format!("the stage was given: {there}; declare `models.{variant}` in its `params`"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undeclared_variant_is_refused_with_those_that_are_there() {
        let tiny = NetworkConfig::PlainCnn {
            filters: vec![4],
            conv_bias: true,
            dropout: 0.0,
        };
        let models = BTreeMap::from([("tiny".to_owned(), tiny)]);
        assert!(network(&models, "tiny").is_ok());
        let error = network(&models, "huge").unwrap_err();
        assert_eq!(error.to_string(), "no parameters for variant `huge`");
        assert!(error.hint().unwrap().contains("`tiny`"));
        assert_eq!(error.exit_code(), 2);
    }
}
