//! The page in a headless Chromium, where one is installed.

use std::path::Path;

use serde_json::Value;

use super::browser::Browser;
use super::reproduced;
use crate::space::Space;

/// Path of axe-core's axe.min.js (npm): if set, it checks each page too. It is too long to include
/// here.
const AXE: &str = "RESTAGE_AXE";

/// A folder for screenshots of each page, for people to look at.
const SHOTS: &str = "RESTAGE_SCREENSHOTS";

fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        eprintln!("skipped: there is no Chromium here (Debian: apt-get install chromium)");
    }
    browser
}

/// The page of the paper, from the committed results.
fn paper() -> Space {
    let space = Space::empty();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("pipeline.yaml")).expect("the pipeline");
    space.write("pipeline.yaml", &text);
    copy(&root.join("results/quick"), &space.path("results/quick"));
    space
        .restage(&["report", "-p", "quick", "--out", "out/report.html"])
        .exits(0);
    space
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

/// Texts of the visible cells in a table's column, from top to bottom.
fn column(browser: &mut Browser, table: &str, column: usize) -> Vec<String> {
    let cells = browser.evaluate(&format!(
        "[...document.querySelector({table:?}).tBodies[0].rows].map(r => r.cells[{column}].textContent)"
    ));
    let cells = cells.as_array().expect("cells").iter();
    cells
        .filter_map(|cell| cell.as_str().map(ToOwned::to_owned))
        .collect()
}

fn keep(browser: &mut Browser, name: &str) {
    let Some(folder) = std::env::var_os(SHOTS) else {
        return;
    };
    use base64::Engine;
    let picture = browser.picture();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(picture)
        .expect("base64");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).expect("a file");
}

/// What must hold for a page at any size, in any colours.
fn sound(browser: &mut Browser, what: &str) {
    let overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
    assert!(
        overflow.as_f64() <= Some(0.0),
        "{what}: wider than the window by {overflow}"
    );
    let wrong = browser.evaluate(include_str!("audit.js"));
    assert_eq!(wrong, Value::Array(Vec::new()), "{what}");
    if let Some(axe) = std::env::var_os(AXE) {
        let source = std::fs::read_to_string(axe).expect("axe.min.js");
        browser.evaluate(&format!("{source}\n;0"));
        let wrong = browser.evaluate(
            "axe.run().then(said => said.violations.map(one => \
             `${one.id}: ${one.nodes.map(node => node.html.slice(0, 160)).join('; ')}`))",
        );
        assert_eq!(wrong, Value::Array(Vec::new()), "{what}");
    }
}

#[test]
fn it_is_sound_light_and_dark_on_a_desk_and_on_a_phone() {
    let Some(mut browser) = browser() else { return };
    for (name, space) in [("small", reproduced()), ("paper", paper())] {
        space
            .restage(&[
                "report",
                "-p",
                if name == "paper" { "quick" } else { "default" },
                "--out",
                "out/report.html",
            ])
            .exits(0);
        let mut backgrounds = Vec::new();
        for scheme in ["light", "dark"] {
            for (size, width) in [("desk", 1280), ("phone", 375)] {
                browser.size(width, 800);
                browser.scheme(scheme);
                browser.open(&space.path("out/report.html"));
                let what = format!("{name}-{scheme}-{size}");
                for event in [
                    "Runtime.exceptionThrown",
                    "Log.entryAdded",
                    "Runtime.consoleAPICalled",
                ] {
                    assert!(
                        browser.named(event).is_empty(),
                        "{what}: {:?}",
                        browser.named(event)
                    );
                }
                for request in browser.named("Network.requestWillBeSent") {
                    let url = request["request"]["url"].as_str().unwrap_or_default();
                    assert!(
                        url.starts_with("file:") || url.starts_with("data:"),
                        "{what}: {url}"
                    );
                }
                let drawn = browser.evaluate(
                    "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth > 0)))",
                );
                let drawn = drawn.as_array().expect("pictures");
                assert!(
                    drawn.len() >= 3 && drawn.iter().all(|drawn| *drawn == true),
                    "{what}: {drawn:?}"
                );
                sound(&mut browser, &what);
                keep(&mut browser, &what);
                browser
                    .evaluate("document.querySelectorAll('details').forEach(d => d.open = true)");
                sound(&mut browser, &format!("{what}, all open"));
                keep(&mut browser, &format!("{what}-open"));
                backgrounds
                    .push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
            }
        }
        assert_eq!(backgrounds[0], backgrounds[1]);
        assert_ne!(backgrounds[0], backgrounds[2], "dark is another colour");
    }
}

#[test]
fn its_tables_sort_by_click_and_by_keyboard() {
    let Some(mut browser) = browser() else { return };
    let space = reproduced();
    space.restage(&["report"]).exits(0);
    browser.size(1280, 800);
    browser.open(&space.path("out/report.html"));
    let table = "#s-scores table";
    let as_it_was = ["a", "b", "c", "sum"];
    assert_eq!(column(&mut browser, table, 0), as_it_was);
    let heading = "#s-scores table th:nth-child(3) button";
    let sorted =
        "document.querySelector('#s-scores table th:nth-child(3)').getAttribute('aria-sort')";
    // By number, not by text: -3 < 12000; empty cells stay last.
    browser.click(heading);
    assert_eq!(column(&mut browser, table, 0), ["a", "b", "c", "sum"]);
    assert_eq!(browser.evaluate(sorted), "ascending");
    browser.click(heading);
    assert_eq!(column(&mut browser, table, 0), ["b", "a", "c", "sum"]);
    assert_eq!(browser.evaluate(sorted), "descending");
    browser.click(heading);
    assert_eq!(column(&mut browser, table, 0), as_it_was);
    assert_eq!(browser.evaluate(sorted), Value::Null);
    // With only the keyboard: from the top of the page to the second heading.
    browser.open(&space.path("out/report.html"));
    let at_heading = "document.activeElement === document.querySelector('#s-scores table th:nth-child(2) button')";
    let mut steps = 0;
    while browser.evaluate(at_heading) != true {
        browser.press("Tab", 9, "");
        steps += 1;
        assert!(steps < 100, "the heading is not reached");
    }
    browser.press("Enter", 13, "\r");
    assert_eq!(column(&mut browser, table, 0)[..3], ["b", "c", "a"]);
    browser.press(" ", 32, " ");
    assert_eq!(column(&mut browser, table, 0)[..3], ["sum", "a", "c"]);
    let said = browser.evaluate("document.getElementById('said').textContent");
    assert_eq!(said, "Sorted by x, descending");
}
