//! `restage.local.toml`: what it says that no data needs.

use crate::space::Space;

#[test]
fn a_name_in_the_local_file_that_no_data_has_is_warned_of_with_its_line() {
    let elsewhere = tempfile::TempDir::new().expect("a temporary folder");
    std::fs::write(elsewhere.path().join("f"), "1\n").expect("a file");
    let space = Space::empty();
    let zeros = "0".repeat(64);
    let data = format!(
        "data:\n  photos: {{path: \"{}\"}}\n  labels: {{url: \"file:///nowhere\", sha256: \"{zeros}\"}}\n",
        elsewhere.path().display()
    );
    let stages = "  s: {cmd: cat data/photos/f > o, deps: [data/photos], outs: [o]}\n";
    space.write(
        "pipeline.yaml",
        &format!("schema: 1\nname: x\n{data}stages:\n{stages}"),
    );
    // A slip: the path in pipeline.yaml stays in use.
    space.write(
        "restage.local.toml",
        "[data]\nlabels = \"/l\"\nphoto = \"/mnt/photos\"\n",
    );
    for args in [&["status"][..], &["reproduce", "s"], &["data"]] {
        let said = space.restage(args).exits(0);
        let said = said.says("restage.local.toml:3: pipeline.yaml has no data `photo`");
        let said = said.says("did you mean `photos`?");
        let _ = said.says("restage.local.toml:2: data `labels` is downloaded");
    }
    let line = format!("[data]\nphotos = \"{}\"\n", elsewhere.path().display());
    space.write("restage.local.toml", &line);
    let said = space.restage(&["status"]).exits(0);
    assert!(!said.err.contains("restage.local.toml"), "{}", said.err);
}
