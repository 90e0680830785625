//! What is left of a text with secrets, however it arrives.

use proptest::prelude::*;

use super::*;

fn secrets(values: &[&str]) -> Secrets {
    Secrets::new(values.iter().map(|value| value.as_bytes()))
}

fn in_parts(secrets: &Secrets, parts: &[&[u8]]) -> Vec<u8> {
    let mut redactor = Redactor::new(secrets.clone());
    let mut shown = Vec::new();
    for part in parts {
        redactor.push(part, &mut shown);
    }
    redactor.finish(&mut shown);
    shown
}

/// The same by definition: every byte that belongs to a value is hidden, and a mask stands where
/// values that overlap begin.
fn by_definition(needles: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    let mut hidden_until = 0;
    for at in 0..text.len() {
        let here = needles.iter().filter(|n| text[at..].starts_with(n));
        if let Some(longest) = here.map(Vec::len).max() {
            if at >= hidden_until {
                shown.extend_from_slice(b"***");
            }
            hidden_until = hidden_until.max(at + longest);
        }
        if at >= hidden_until {
            shown.push(text[at]);
        }
    }
    shown
}

fn holds(text: &[u8], value: &[u8]) -> bool {
    text.windows(value.len()).any(|window| window == value)
}

#[test]
fn each_occurrence_becomes_three_stars() {
    let secrets = secrets(&["hunter22", "tiger"]);
    let cases = [
        ("", ""),
        ("nothing here", "nothing here"),
        ("hunter22", "***"),
        ("a hunter22, b tiger\nhunter2\n", "a ***, b ***\nhunter2\n"),
        ("hunter22hunter22", "******"),
        ("hunter2tiger", "hunter2***"),
    ];
    for (text, shown) in cases {
        assert_eq!(secrets.text(text), shown);
    }
    assert_eq!(Secrets::default().text("hunter22"), "hunter22");
}

#[test]
fn what_overlaps_is_hidden_as_a_whole() {
    assert_eq!(secrets(&["abab"]).text("xababab!"), "x***!");
    assert_eq!(secrets(&["abcd", "cdef", "abcdefgh"]).text("abcdef"), "***");
    assert_eq!(
        secrets(&["abcd", "abcdefgh"]).text("abcdefgh abcdefg"),
        "*** ***efg"
    );
}

#[test]
fn a_value_of_several_lines_is_hidden_as_a_whole_and_line_by_line() {
    let key = "-----BEGIN KEY-----\nMIIEvQ\nab\n-----END KEY-----\n";
    let secrets = secrets(&[key]);
    assert_eq!(secrets.text(&format!("key: {key}.")), "key: ***\n.");
    assert_eq!(secrets.text("  MIIEvQ\r\nab\n"), "  ***\r\nab\n");
    assert_eq!(
        secrets.text(&serde_json::json!({ "key": key }).to_string()),
        r#"{"key":"***\n"}"#
    );
}

#[test]
fn a_value_is_found_as_json_writes_it() {
    let secrets = secrets(&["say \"cheese\""]);
    let event = serde_json::json!({"text": "I say \"cheese\""}).to_string();
    assert_eq!(secrets.text(&event), r#"{"text":"I ***"}"#);
}

#[test]
fn short_values_are_not_secrets() {
    for short in ["", "1", "abc", "  abc\n"] {
        assert!(!Secrets::is_long_enough(short.as_bytes()), "{short:?}");
    }
    assert!(Secrets::is_long_enough(b"abcd"));
    assert_eq!(secrets(&["abc", ""]).text("abc"), "abc");
}

#[test]
fn only_what_may_go_on_as_a_secret_is_held_back() {
    let mut redactor = Redactor::new(secrets(&["hunter22"]));
    let mut shown = Vec::new();
    redactor.push(b"progress 1\nh", &mut shown);
    assert_eq!(shown, b"progress 1\n");
    redactor.push(b"unter2", &mut shown);
    assert_eq!(shown, b"progress 1\n");
    redactor.push(b"3", &mut shown);
    assert_eq!(shown, b"progress 1\nhunter23");
}

#[test]
fn they_are_not_shown_by_debug() {
    assert_eq!(format!("{:?}", secrets(&["hunter22"])), "Secrets(1)");
}

/// A reader that gives some bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buffer.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn a_value_is_found_in_a_file_wherever_it_lies() {
    let secrets = secrets(&["hunter22"]);
    for before in [0, 1, PART - 9, PART - 3, PART, PART + 5, 3 * PART - 2] {
        let mut file = vec![b'h'; before];
        file.extend_from_slice(b"hunter2");
        assert!(!secrets.stand_in(&file[..]).unwrap());
        file.extend_from_slice(b"2 and more");
        assert!(secrets.stand_in(&file[..]).unwrap(), "{before}");
        assert!(secrets.stand_in(Slow(&file, 4099)).unwrap(), "{before}");
    }
    assert!(!Secrets::default().stand_in(&b"hunter22"[..]).unwrap());
}

proptest! {
    #[test]
    fn the_cuts_of_a_stream_do_not_matter(
        values in prop::collection::vec("[ab]{4,6}|[abc\n]{4,9}", 1..4),
        text in "[abc\n]{0,60}",
        cuts in prop::collection::vec(0usize..60, 0..12),
    ) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let secrets = secrets(&values);
        let text = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let shown = in_parts(&secrets, &parts);
        prop_assert_eq!(&shown, &by_definition(&secrets.0.any, text));
        for value in values.iter().map(|value| value.as_bytes().trim_ascii()) {
            if value.len() >= Secrets::SHORTEST {
                prop_assert!(!holds(&shown, value));
            }
        }
        let whole = |value: &&str| holds(text, value.as_bytes().trim_ascii());
        let long = |value: &&&str| Secrets::is_long_enough(value.as_bytes());
        prop_assert_eq!(
            secrets.stand_in(Slow(text, 7)).unwrap(),
            values.iter().filter(long).any(whole)
        );
    }

    #[test]
    fn any_bytes_are_values_and_texts(
        value in prop::collection::vec(any::<u8>(), 4..9),
        before in prop::collection::vec(any::<u8>(), 0..20),
        after in prop::collection::vec(any::<u8>(), 0..20),
        cut in 0usize..48,
    ) {
        prop_assume!(Secrets::is_long_enough(&value) && !value.contains(&b'*'));
        let secrets = Secrets::new([&value[..]]);
        let text = [before, value.clone(), after].concat();
        let (one, two) = text.split_at(cut.min(text.len()));
        let shown = in_parts(&secrets, &[one, two]);
        prop_assert_eq!(&shown, &by_definition(&secrets.0.any, &text));
        prop_assert!(!holds(&shown, value.trim_ascii()));
    }
}
