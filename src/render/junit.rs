//! JUnit XML: one suite of tests and their outcomes.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

/// A test.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    /// What it printed.
    pub(crate) out: Option<String>,
}

/// The outcome of a test.
pub(crate) enum Outcome {
    Passed,
    Failed {
        message: String,
        text: String,
    },
    /// It could not be run.
    Error {
        message: String,
        text: String,
    },
    Skipped {
        message: String,
    },
}

/// A document with one suite.
pub(crate) fn junit(suite: &str, cases: &[Case]) -> io::Result<String> {
    let number = |of: fn(&Outcome) -> bool| {
        let counted = cases.iter().filter(|case| of(&case.outcome)).count();
        counted.to_string()
    };
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.create_element("testsuite")
        .with_attributes([
            ("name", plain(suite).as_str()),
            ("tests", &number(|_| true)),
            ("failures", &number(|o| matches!(o, Outcome::Failed { .. }))),
            ("errors", &number(|o| matches!(o, Outcome::Error { .. }))),
            ("skipped", &number(|o| matches!(o, Outcome::Skipped { .. }))),
        ])
        .write_inner_content(|xml| {
            for case in cases {
                write_case(xml, suite, case)?;
            }
            Ok(())
        })?;
    let mut text = String::from_utf8_lossy(&xml.into_inner()).into_owned();
    text.push('\n');
    Ok(text)
}

fn write_case(xml: &mut Writer<Vec<u8>>, suite: &str, case: &Case) -> io::Result<()> {
    let (suite, name) = (plain(suite), plain(&case.name));
    let element = xml
        .create_element("testcase")
        .with_attributes([("classname", suite.as_str()), ("name", name.as_str())]);
    if matches!((&case.outcome, &case.out), (Outcome::Passed, None)) {
        return element.write_empty().map(drop);
    }
    element
        .write_inner_content(|xml| {
            let mut found = |kind: &str, message: &str, text: &str| {
                xml.create_element(kind.to_owned())
                    .with_attribute(("message", plain(message).as_str()))
                    .write_text_content(BytesText::new(&plain(text)))
                    .map(drop)
            };
            match &case.outcome {
                Outcome::Passed => {}
                Outcome::Failed { message, text } => found("failure", message, text)?,
                Outcome::Error { message, text } => found("error", message, text)?,
                Outcome::Skipped { message } => {
                    xml.create_element("skipped")
                        .with_attribute(("message", plain(message).as_str()))
                        .write_empty()?;
                }
            }
            if let Some(out) = &case.out {
                xml.create_element("system-out")
                    .write_text_content(BytesText::new(&plain(out)))?;
            }
            Ok(())
        })
        .map(drop)
}

/// Without the control characters that XML does not allow.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || "\n\t".contains(*c))
        .filter(|c| !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .collect()
}
