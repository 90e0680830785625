//! Any text is an expression or a mistake.

use proptest::prelude::*;

use super::*;

/// What an expression is made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "cell",
        "text",
        "samples",
        "first",
        "difference",
        "scaled",
        "mean",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        "?",
        ":",
        "\"",
        "'",
        "r\"",
        "b'",
        "\"\"\"",
        "\\",
        "\\u00",
        "\n",
        "//",
        "1",
        "-1",
        "1.0",
        "1e999",
        "9223372036854775808",
        "0x",
        "1u",
        "true",
        "null",
        "in",
        "&&",
        "||",
        "!",
        "==",
        "<",
        "+",
        "-",
        "*",
        "/",
        "%",
        "x",
        ".all(x, x)",
        ".map(x, x)",
        "has(x.y)",
        "\"a/*.csv\"",
        "\"t.csv\"",
        "é",
        " ",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A mistake or none, whatever it is wanted for: no panic, no overflow of the stack.
fn try_out(text: &str) {
    for wanted in [ExpressionType::Number, ExpressionType::Condition] {
        let _ = check_expression(text, wanted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_text_is_an_expression_or_a_mistake(text in "\\PC*|(?s).{0,60}") {
        try_out(&text);
    }

    #[test]
    fn any_pieces_are_an_expression_or_a_mistake(text in pieces()) {
        try_out(&text);
    }
}

#[test]
fn a_mistake_that_shows_without_tables_has_a_message_and_a_hint() {
    use ExpressionType::{Condition, Number};
    let cell = r#"cell("t.csv", 1, "x")"#;
    let runs = r#"samples("a/*.csv", 1, "x")"#;
    let long = format!("1.0{}", " ".repeat(LONGEST));
    for (text, wanted, message, hint) in [
        (
            format!("{cell} - 1"),
            Number,
            "`sub` does not take float and int",
            "write `1.0` for `1`",
        ),
        (
            format!("{runs} * 100.0"),
            Number,
            "`mul` does not take samples and float",
            "`scaled(a, 100.0)`",
        ),
        (
            "cel(1)".to_owned(),
            Number,
            "there is no `cel`",
            "besides operators there are `cell(file, row, column)`",
        ),
        (
            "ours == 1.0".to_owned(),
            Condition,
            "there is no `ours`",
            "an expression knows no other field of its claim",
        ),
        (
            cell.to_owned(),
            Condition,
            "gives something else than true or false",
            "besides",
        ),
        (
            r#"max(column("t.csv", "x"))"#.to_owned(),
            Condition,
            "gives something else than true or false",
            "besides",
        ),
        (
            format!("{cell} > 1.0"),
            Number,
            "gives something else than a number",
            "besides",
        ),
        (
            r#"cell("t.csv", 0, "x")"#.to_owned(),
            Number,
            "has 0 where it needs a row",
            "besides",
        ),
        (
            "[1.0]".to_owned(),
            Number,
            "gives neither a number nor true or false",
            "besides",
        ),
        (long, Number, "is longer than 4000 bytes", "besides"),
    ] {
        let error = check_expression(&text, wanted).unwrap_err();
        assert!(error.message.starts_with(message), "{text}: {error:?}");
        assert!(error.hint.contains(hint), "{text}: {error:?}");
    }
}

#[test]
fn what_only_tables_can_tell_is_no_mistake_without_them() {
    let cell = r#"cell("t.csv", 1, "x")"#;
    for (text, wanted) in [
        (cell.to_owned(), ExpressionType::Number),
        (
            r#"samples("a/*.csv", -1, "x")"#.to_owned(),
            ExpressionType::Number,
        ),
        (
            format!("1.0 / ({cell} - {cell}) > 1.0"),
            ExpressionType::Condition,
        ),
        (
            r#"text("t.csv", "model=a", "x") == "b""#.to_owned(),
            ExpressionType::Condition,
        ),
        (
            r#"[1][int(cell("t.csv", 1, "x"))] > 0"#.to_owned(),
            ExpressionType::Condition,
        ),
    ] {
        assert_eq!(check_expression(&text, wanted), Ok(()), "{text}");
    }
}

#[test]
fn the_deepest_nesting_is_an_expression_or_a_mistake() {
    let around = [
        ("(", ")"),
        ("[", "]"),
        ("{1:", "}"),
        ("-", ""),
        ("!", ""),
        ("abs(", ")"),
        ("[1].map(x,", ")"),
        ("1+", ""),
        ("", "<1"),
        ("", ".a"),
        ("", "[0]"),
        ("", ".f()"),
        ("true?1:", ""),
        ("true&&", ""),
    ];
    for (open, close) in around {
        let most = (LONGEST - 3) / (open.len() + close.len());
        for depth in [90, 200, most] {
            try_out(&format!("{}1.0{}", open.repeat(depth), close.repeat(depth)));
        }
    }
}

#[test]
fn work_that_multiplies_is_refused_in_time() {
    let ten = "[1,2,3,4,5,6,7,8,9,10]";
    let nested = |one: &dyn Fn(&str, &str) -> String| {
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
            .iter()
            .fold("1".to_owned(), |inner, name| one(name, &inner))
    };
    let loops = nested(&|name, inner| format!("{ten}.map({name},{inner})"));
    let tests = nested(&|name, inner| format!("{ten}.all({name},{inner}==1||true)"));
    let doubling = format!("[{ten}]{}", ".map(x,x+x)".repeat(60));
    let texts = format!("['ten bytes.']{}", ".map(x,x+x)".repeat(60));
    let list = format!("{ten}{}", ".map(x,[x,x])".repeat(3));
    let joined = format!(
        "[{list}].map(l,{})",
        nested(&|name, inner| format!("l.map({name},{inner})"))
    );
    for text in [loops, doubling, texts, joined] {
        let error = check_expression(&format!("size({text})"), ExpressionType::Number).unwrap_err();
        assert!(
            error.message.contains("1,000,000 steps"),
            "{}",
            error.message
        );
        assert!(error.hint.contains("in a stage"));
    }
    // An error beside `true` counts for nothing in CEL, but there is no answer in time.
    let error = check_expression(&tests, ExpressionType::Condition).unwrap_err();
    assert!(
        error.message.contains("1,000,000 steps"),
        "{}",
        error.message
    );
}

#[test]
fn counting_changes_no_value() {
    for text in [
        "[1,2,3].map(x, x*2) == [2,4,6]",
        "[1,2,3].map(x, x>1, [x]+[x]) == [[2,2],[3,3]]",
        "[1,2,3].filter(x, x>1).size() == 2",
        "[1,2].exists_one(x, x==1) && [1,2].exists(x, x==2) && [1,2].all(x, x>0)",
        "{'a':{'b':1}}.a.b == 1 && has({'a':1}.a) && !has({'a':1}.b)",
        "[{'a':1}].map(m, m.a + 1) == [2]",
        "{'k':1}.map(k, k) == ['k'] && 'a' + 'b' == 'ab'",
        "1 in [1,2] && [[1,2]].all(l, 2 in l)",
    ] {
        let cells: Arc<dyn Cells> = Arc::new(EveryCell);
        assert_eq!(evaluate(text, &cells), Ok(Outcome::Bool(true)), "{text}");
    }
}
