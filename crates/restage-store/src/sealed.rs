//! Text with its digest, so that a cut or an edit is noticed.

use restage_core::digest::Digest;

/// A line of text, sealed.
pub(super) fn seal(text: &str) -> String {
    format!("{text}\n{}\n", Digest::of(text.as_bytes()))
}

/// The text that [`seal`] was given; `Err` says what is wrong with it.
pub(super) fn unseal(bytes: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let (text, check) = text
        .strip_suffix('\n')
        .and_then(|text| text.split_once('\n'))
        .ok_or("it was cut")?;
    if check.parse() != Ok(Digest::of(text.as_bytes())) {
        return Err("its digest does not match");
    }
    Ok(text)
}

/// A text without line breaks as a line that holds its digest, too.
pub(super) fn seal_line(text: &str) -> String {
    format!("{text}\t{}\n", Digest::of(text.as_bytes()))
}

/// The texts that [`seal_line`] was given. What is cut, edited or yet to be written to its end is none.
pub(super) fn sealed_lines(bytes: &[u8]) -> impl Iterator<Item = &str> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.filter_map(|line| {
        let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
        let (text, check) = line.rsplit_once('\t')?;
        (check.parse() == Ok(Digest::of(text.as_bytes()))).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wherever_a_file_of_lines_is_cut_the_whole_ones_before_are_read_and_nothing_else(
            texts in prop::collection::vec("[^\n]{0,20}", 1..6),
            cut in any::<prop::sample::Index>(),
            next in "[^\n]{0,20}",
        ) {
            let lines: Vec<String> = texts.iter().map(|text| seal_line(text)).collect();
            let whole = lines.concat();
            let cut = cut.index(whole.len() + 1);
            let mut bytes = whole.as_bytes()[..cut].to_vec();
            let ends = lines.iter().scan(0, |end, line| {
                *end += line.len();
                Some(*end)
            });
            let count = ends.clone().filter(|end| *end <= cut).count();
            prop_assert_eq!(sealed_lines(&bytes).collect::<Vec<_>>(), &texts[..count]);
            // Whoever goes on after a cut begins a new line, which may be all that the last one lacked.
            bytes.extend(format!("\n{}", seal_line(&next)).as_bytes());
            let count = ends.filter(|end| end - 1 <= cut).count();
            let mut expected: Vec<&str> = texts[..count].iter().map(String::as_str).collect();
            expected.push(&next);
            prop_assert_eq!(sealed_lines(&bytes).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn an_edited_line_is_none() {
        let line = seal_line("3 epochs");
        assert_eq!(sealed_lines(line.replace('3', "4").as_bytes()).count(), 0);
    }
}
