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
