//! What an interpreter says of itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::EnvironmentError;

/// An interpreter, and all that decides which packages it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// Its program, not that of an environment made with it.
    pub executable: PathBuf,
    /// The folder that it is installed in.
    pub prefix: PathBuf,
    /// `CPython 3.11.7`.
    pub version: String,
    /// `cpython-311-x86_64-linux-gnu`.
    pub abi: String,
    /// What conditions of dependencies are about, by name.
    pub variables: BTreeMap<String, String>,
}

/// Prints it as JSON. No import outside of the standard library, no file of the caller's.
const QUESTION: &str = "
import json, os, platform, sys, sysconfig
def real(path): return os.path.realpath(path)
v = sys.implementation.version
kind = '' if v.releaselevel == 'final' else v.releaselevel[0] + str(v.serial)
print(json.dumps({
    'executable': real(getattr(sys, '_base_executable', None) or sys.executable),
    'prefix': real(sys.base_prefix),
    'version': platform.python_implementation() + ' ' + platform.python_version(),
    'abi': '%s %s' % (sysconfig.get_config_var('SOABI') or sys.implementation.cache_tag, sysconfig.get_platform()),
    'variables': {
        'implementation_name': sys.implementation.name,
        'implementation_version': '.'.join(map(str, v[:3])) + kind,
        'os_name': os.name,
        'platform_machine': platform.machine(),
        'platform_python_implementation': platform.python_implementation(),
        'platform_system': platform.system(),
        'python_full_version': platform.python_version(),
        'python_version': '.'.join(platform.python_version_tuple()[:2]),
        'sys_platform': sys.platform,
    },
}))
";

impl Interpreter {
    /// The arguments with which a Python is asked.
    pub fn question() -> [String; 4] {
        ["-I", "-S", "-c", QUESTION].map(ToOwned::to_owned)
    }

    /// What `program` answered.
    pub fn from_answer(program: &str, answer: &str) -> Result<Self, EnvironmentError> {
        // Wrappers may say something first.
        let line = answer.lines().rfind(|line| line.starts_with('{'));
        let wrong = |reason: String| EnvironmentError::Interpreter {
            program: program.to_owned(),
            reason,
        };
        let line = line.ok_or_else(|| wrong("its answer is not the one expected".to_owned()))?;
        let found: Self = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        if !found.executable.is_absolute() {
            return Err(wrong("it does not say where its program is".to_owned()));
        }
        Ok(found)
    }

    /// What of it is part of a key.
    pub fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("python".to_owned(), self.version.clone()),
            ("abi".to_owned(), self.abi.clone()),
        ])
    }

    /// Whether it is the one that was asked for.
    pub fn is(&self, request: &PythonRequest) -> bool {
        let full = self
            .variables
            .get("python_full_version")
            .map_or("", String::as_str);
        let Some(wanted) = &request.0 else {
            return true;
        };
        let rest = full.strip_prefix(wanted.as_str());
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    }
}

/// A version of Python, or any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PythonRequest(Option<String>);

impl PythonRequest {
    /// `3.11` or `3.11.7`; without a version, any.
    pub fn new(version: Option<&str>) -> Self {
        Self(version.map(str::to_owned))
    }

    /// What programs may be it, the likeliest first.
    pub fn programs(&self) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(version) = &self.0 {
            let parts: Vec<&str> = version.split('.').take(2).collect();
            names.push(format!("python{}", parts.join(".")));
        }
        names.extend(["python3".to_owned(), "python".to_owned()]);
        names.dedup();
        names
    }

    /// The version.
    pub fn version(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl std::fmt::Display for PythonRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(version) => write!(f, "Python {version}"),
            None => f.write_str("Python 3"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_met_by_its_own_releases_alone() {
        let python = |version: &str| Interpreter {
            executable: "/usr/bin/python3".into(),
            prefix: "/usr".into(),
            version: format!("CPython {version}"),
            abi: String::new(),
            variables: BTreeMap::from([("python_full_version".to_owned(), version.to_owned())]),
        };
        let is =
            |version: &str, wanted: &str| python(version).is(&PythonRequest::new(Some(wanted)));
        assert!(is("3.11.7", "3.11") && is("3.11.7", "3.11.7") && is("3.11.7", "3"));
        assert!(!is("3.11.7", "3.1") && !is("3.11.17", "3.11.1") && !is("3.11.7", "3.12"));
        assert!(python("3.9.1").is(&PythonRequest::default()));
    }

    #[test]
    fn a_version_is_looked_for_under_its_own_name_first() {
        let names = PythonRequest::new(Some("3.11.7")).programs();
        assert_eq!(names, ["python3.11", "python3", "python"]);
        assert_eq!(
            PythonRequest::new(Some("3")).programs(),
            ["python3", "python"]
        );
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_an_error() {
        for answer in ["", "Python 3.11", "{", "{\"executable\": 3}"] {
            let error = Interpreter::from_answer("python3", answer).unwrap_err();
            assert!(
                error.to_string().starts_with("`python3` does not say"),
                "{error}"
            );
        }
    }
}
