//! Values of a document by their JSON pointers (RFC 6901): `/loss/train`, `/layers/0`. Of a list, -1 is
//! the last item; where several values are asked for, `*` stands for every item or entry.

use super::value::Data;

/// Why a pointer leads to no value.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum NoValue {
    /// It is not empty and does not begin with `/`.
    NoPointer,
    /// Nothing is there.
    Nothing,
    /// Not a single value but "an object".
    Within(&'static str),
}

/// The text of a value, with its kind.
pub(in super::super) fn value<'a>(document: &'a Data, pointer: &str) -> Result<&'a str, NoValue> {
    let found = parts(pointer)?
        .iter()
        .try_fold(document, |data, part| child(data, part));
    match found {
        Some(Data::Value(text)) => Ok(text),
        Some(other) => Err(NoValue::Within(other.kind())),
        None => Err(NoValue::Nothing),
    }
}

/// The texts of all values that a pointer with `*` leads to, or of the items of the list that one
/// without leads to.
pub(in super::super) fn values<'a>(
    document: &'a Data,
    pointer: &str,
) -> Result<Vec<&'a str>, NoValue> {
    let parts = parts(pointer)?;
    let mut found = vec![document];
    for part in &parts {
        let mut next = Vec::new();
        for data in found {
            match (child(data, part), data) {
                (Some(child), _) => next.push(child),
                (None, Data::List(items)) if part == "*" => next.extend(items),
                (None, Data::Map(entries)) if part == "*" => {
                    next.extend(entries.iter().map(|(_, value)| value));
                }
                // One of several may lack it, as a sparse row lacks a cell.
                (None, _) => {}
            }
        }
        found = next;
    }
    if let [Data::List(items)] = &found[..] {
        found = items.iter().collect();
    }
    if found.is_empty() {
        return Err(NoValue::Nothing);
    }
    let text = |data: &'a Data| match data {
        Data::Value(text) => Ok(text.as_str()),
        other => Err(NoValue::Within(other.kind())),
    };
    found.into_iter().map(text).collect()
}

fn child<'a>(data: &'a Data, part: &str) -> Option<&'a Data> {
    match data {
        Data::Map(entries) => {
            let mut entries = entries.iter();
            entries.find(|(key, _)| key == part).map(|(_, value)| value)
        }
        Data::List(items) => {
            let digits = part.strip_prefix('-').unwrap_or(part);
            let plain = digits == "0" || !digits.starts_with('0');
            let plain = plain && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number: usize = digits.parse().ok().filter(|_| plain)?;
            match part.starts_with('-') {
                true => items.get(items.len().checked_sub(number)?),
                false => items.get(number),
            }
        }
        Data::Value(_) => None,
    }
}

fn parts(pointer: &str) -> Result<Vec<String>, NoValue> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let inside = pointer.strip_prefix('/').ok_or(NoValue::NoPointer)?;
    let plain = |part: &str| part.replace("~1", "/").replace("~0", "~");
    Ok(inside.split('/').map(plain).collect())
}

/// Each value that is neither an object nor a list, with its pointer, without the leading `/`. An empty
/// object or list is a value too.
pub(in super::super) fn flatten(document: &Data, found: &mut dyn FnMut(&str, &str)) {
    walk(None, document, &mut |path, data| match data {
        Data::Value(text) => found(path.unwrap_or_default(), text),
        Data::Map(entries) if entries.is_empty() => {
            path.into_iter().for_each(|path| found(path, "{}"));
        }
        Data::List(items) if items.is_empty() => {
            path.into_iter().for_each(|path| found(path, "[]"));
        }
        Data::Map(_) | Data::List(_) => {}
    });
}

/// Each object and list inside that is not empty, with its pointer, without the leading `/`.
pub(in super::super) fn containers(document: &Data, found: &mut dyn FnMut(&str, &'static str)) {
    walk(None, document, &mut |path, data| match (path, data) {
        (Some(path), Data::Map(entries)) if !entries.is_empty() => found(path, data.kind()),
        (Some(path), Data::List(items)) if !items.is_empty() => found(path, data.kind()),
        _ => {}
    });
}

/// A document and all that it holds; the document itself has no path.
fn walk(path: Option<&str>, data: &Data, found: &mut dyn FnMut(Option<&str>, &Data)) {
    found(path, data);
    let inner = |name: &str| match path {
        None => name.to_owned(),
        Some(path) => format!("{path}/{name}"),
    };
    match data {
        Data::Map(entries) => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(Some(&inner(&key)), value, found);
            }
        }
        Data::List(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(Some(&inner(&at.to_string())), item, found);
            }
        }
        Data::Value(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    #[test]
    fn a_pointer_leads_to_one_value() {
        let text = r#"{"a": {"b/c": [1, {"~": 2}]}, "": 3, "n": null, "-1": 4, "01": 5, "x~1": 6}"#;
        let document = json::read(text).unwrap();
        for (pointer, found) in [
            ("/a/b~1c/0", Ok("1")),
            ("/a/b~1c/1/~0", Ok("2")),
            ("/a/b~1c/-2", Ok("1")),
            ("/a/b~1c/-1", Err(NoValue::Within("an object"))),
            ("/", Ok("3")),
            ("/n", Ok("null")),
            ("/-1", Ok("4")),
            ("/01", Ok("5")),
            ("/x~01", Ok("6")),
            ("/a/b~1c/00", Err(NoValue::Nothing)),
            ("/a/b~1c/+0", Err(NoValue::Nothing)),
            ("/a/b~1c/-3", Err(NoValue::Nothing)),
            ("/a/b~1c/-", Err(NoValue::Nothing)),
            ("/a/b~1c/-0", Err(NoValue::Nothing)),
            ("/a/b~1c/*", Err(NoValue::Nothing)),
            ("/n/x", Err(NoValue::Nothing)),
            ("/a", Err(NoValue::Within("an object"))),
            ("/a/b~1c", Err(NoValue::Within("a list"))),
            ("", Err(NoValue::Within("an object"))),
            ("n", Err(NoValue::NoPointer)),
        ] {
            assert_eq!(value(&document, pointer), found, "{pointer}");
        }
    }

    #[test]
    fn a_pointer_with_a_star_leads_to_several_values() {
        let text =
            r#"{"h": [{"e": 1, "l": 0.5}, {"e": 2}, {"l": 0.25}], "v": [3, 4], "k": {"*": 7}}"#;
        let document = json::read(text).unwrap();
        let all = |pointer| values(&document, pointer);
        assert_eq!(all("/h/*/l"), Ok(vec!["0.5", "0.25"]));
        assert_eq!(all("/h/0/*"), Ok(vec!["1", "0.5"]));
        assert_eq!(all("/v"), Ok(vec!["3", "4"]));
        assert_eq!(all("/v/*"), Ok(vec!["3", "4"]));
        assert_eq!(all("/v/1"), Ok(vec!["4"]));
        assert_eq!(all("/k/*"), Ok(vec!["7"]));
        assert_eq!(all("/h/*/x"), Err(NoValue::Nothing));
        assert_eq!(all("/h"), Err(NoValue::Within("an object")));
        assert_eq!(all("h"), Err(NoValue::NoPointer));
    }
}
