//! The fields of `report:`, and what people may call them.
//! It must not know what the fields' values mean.

use crate::fields::Advice::{Instead, Use};
use crate::fields::Fields;

pub(crate) const REPORT: Fields = Fields {
    of: "a report",
    known: &["path", "title", "text", "facts", "sections"],
    foreign: &[
        (&["file", "out", "output", "name"], Use("path")),
        (&["heading"], Use("title")),
        (&["desc", "description", "abstract", "intro"], Use("text")),
        (&["section", "pages", "parts"], Use("sections")),
        (&["fact", "about", "cells"], Use("facts")),
        (
            &["show", "table", "tables", "figure", "figures"],
            Instead(
                "it goes into a section: `sections: [{title: Results, show: [{table: a.csv}]}]`",
            ),
        ),
        (
            &["claims"],
            Instead("`claims` stands beside `report`; the page shows them first"),
        ),
    ],
};

pub(crate) const FACT: Fields = Fields {
    of: "a fact's",
    known: &["table", "row", "column"],
    foreign: &[
        (&["csv", "file", "path"], Use("table")),
        (&["key", "line"], Use("row")),
        (&["col", "cell", "field"], Use("column")),
    ],
};

pub(crate) const SECTION: Fields = Fields {
    of: "a section's",
    known: &["title", "text", "show"],
    foreign: &[
        (&["heading", "name"], Use("title")),
        (&["desc", "description", "intro"], Use("text")),
        (&["items", "content", "shows", "files"], Use("show")),
        (
            &["table", "tables", "figure", "figures"],
            Instead("it goes into `show`: `show: [{table: a.csv}]`"),
        ),
    ],
};

pub(crate) const SHOW: Fields = Fields {
    of: "a shown item's",
    known: &[
        "table", "figure", "alt", "caption", "columns", "best", "folded",
    ],
    foreign: &[
        (&["csv", "tables", "file"], Use("table")),
        (
            &["image", "img", "picture", "plot", "svg", "figures"],
            Use("figure"),
        ),
        (&["alternative", "alt_text"], Use("alt")),
        (&["text", "title", "desc"], Use("caption")),
        (&["headings", "cols", "column"], Use("columns")),
        (&["highlight", "bold"], Use("best")),
        (&["fold", "collapsed", "details", "closed"], Use("folded")),
    ],
};
