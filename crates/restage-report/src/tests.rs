//! What holds for every page: all text is escaped, and only its own style and script run.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// A page with this text wherever a text can be.
fn page(text: &str) -> Page {
    let t = || text.to_owned();
    let pair = || (t(), t());
    let origin = || Origin {
        path: t(),
        digest: t(),
        standing: t(),
        sound: false,
        run: Some(0),
        chain: vec![0, 1],
    };
    let run = || Run {
        stage: t(),
        started: pair(),
        took: pair(),
        memory: Some(pair()),
        host: t(),
        apart: Some(t()),
        key: t(),
        command: vec![pair()],
        given: vec![pair()],
        reads: vec![(t(), t(), Some(0)), (t(), t(), None)],
        wrote: vec![pair()],
        remarks: vec![t()],
    };
    let table = || Table {
        title: Some(t()),
        headings: vec![t(), t()],
        // Neither a number nor empty, whatever the text is.
        rows: vec![vec![format!("x{text}"), "1.5".to_owned()]],
        best: vec![(0, 1)],
        origins: vec![origin(), origin()],
    };
    let figure = || Figure {
        title: Some(t()),
        alt: t(),
        media: "image/svg+xml",
        bytes: text.as_bytes().to_vec(),
        origin: origin(),
    };
    let tables = |tables| Item::Tables {
        caption: Some(t()),
        folded: false,
        tables,
    };
    Page {
        title: t(),
        text: vec![t()],
        facts: vec![Fact {
            name: t(),
            value: t(),
            full: Some(t()),
        }],
        notices: vec![t()],
        claims: vec![Claim {
            id: t(),
            says: t(),
            section: Some(t()),
            paper: t(),
            ours: t(),
            mark: Mark::Half,
            verdict: t(),
            reason: Some(t()),
        }],
        sections: vec![Section {
            title: t(),
            text: vec![t()],
            items: vec![
                tables(vec![table()]),
                tables(vec![table(), table()]),
                Item::Figures {
                    caption: Some(t()),
                    figures: vec![figure()],
                },
                Item::Figures {
                    caption: Some(t()),
                    figures: vec![figure(), figure()],
                },
            ],
        }],
        runs: vec![run(), run()],
        sources: vec![Source {
            path: t(),
            digest: t(),
            about: t(),
        }],
        made_by: t(),
    }
}

/// How often each character that means something to HTML is there.
fn marks(page: &Page) -> [usize; 3] {
    let text = html(page);
    ['<', '>', '"'].map(|mark| text.matches(mark).count())
}

proptest! {
    #[test]
    fn no_text_is_ever_markup(text in "[<>\"'&a-z0-9/=\\- ]{1,24}") {
        let text = format!("x{text}");
        // A quotation mark means something only inside a tag, where maud escapes it; in the text
        // it may stand as it is.
        let quotes = |page: &Page| html(page).split('<').filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag.matches('"').count()).sum::<usize>();
        prop_assert_eq!(marks(&page(&text))[..2].to_vec(), marks(&page("x"))[..2].to_vec());
        prop_assert_eq!(quotes(&page(&text)), quotes(&page("x")));
    }
}

#[test]
fn the_policy_names_the_very_style_and_script_that_are_there() {
    let text = html(&page("x"));
    for tag in ["style", "script"] {
        let start = text.find(&format!("<{tag}>")).unwrap() + tag.len() + 2;
        let end = text.find(&format!("</{tag}>")).unwrap();
        let digest = BASE64.encode(Sha256::digest(&text.as_bytes()[start..end]));
        assert!(
            text.contains(&format!("{tag}-src 'sha256-{digest}'")),
            "{tag}"
        );
    }
    assert!(!text.contains(" style=") && !text.contains(" onclick"));
}

#[test]
fn sections_of_one_title_have_names_of_their_own() {
    let section = |title: &str| Section {
        title: title.to_owned(),
        text: Vec::new(),
        items: Vec::new(),
    };
    let page = Page {
        sections: ["Table I", "Table I", "表", "§"].map(section).into(),
        ..Page::default()
    };
    let text = html(&page);
    for id in ["s-table-i", "s-table-i-2", "s-", "s--2"] {
        assert!(text.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
}

#[test]
fn an_empty_page_has_its_title_and_nothing_that_is_empty() {
    let page = Page {
        title: "T".to_owned(),
        made_by: "restage".to_owned(),
        ..Page::default()
    };
    let text = html(&page);
    assert!(text.contains("<h1>T</h1>"));
    assert!(!text.contains("<section") && !text.contains("<table"));
}
