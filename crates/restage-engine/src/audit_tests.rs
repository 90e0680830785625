//! What counts as undeclared, in made-up traces.

use std::ffi::OsString;

use super::*;
use crate::workspace::Workspace;
use restage_pipeline::{LoadOptions, load};

const STAGES: &str = r"
  make: {cmd: make, outs: [made]}
  s: {cmd: run, deps: [data/a.txt, src/, 'tables/*.csv', made], outs: [out.txt]}
";

struct Bench {
    _dir: tempfile::TempDir,
    root: PathBuf,
    graph: Graph,
    ws: Workspace,
}

fn bench(path: &str) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("home/ws");
    std::fs::create_dir_all(root.join("data")).unwrap();
    let text = format!("schema: 1\nname: p\nstages:{STAGES}");
    let pipeline = load("p", &text, &LoadOptions::default()).expect("a valid pipeline");
    let graph = Graph::build(pipeline).expect("a graph");
    let home = root.parent().unwrap().to_owned();
    let path = path.replace("~", home.to_str().unwrap());
    let env = [("HOME", home.into_os_string()), ("PATH", path.into())];
    let env = HostEnv::new(env.map(|(name, value)| (OsString::from(name), value)));
    let ws = Workspace::open(&root, "default", &graph, env).unwrap();
    Bench {
        _dir: dir,
        root,
        graph,
        ws,
    }
}

impl Bench {
    /// Accesses as `call path`; `?` after the call means that nothing is there.
    fn audit(&self, accesses: &[&str]) -> Audited {
        self.audit_in(accesses, false)
    }

    /// `viewed`: as of a stage with a view of the workspace.
    fn audit_in(&self, accesses: &[&str], viewed: bool) -> Audited {
        let accesses = accesses.iter().map(|text| {
            let (call, path) = text.split_once(' ').unwrap();
            restage_exec::Access {
                path: self
                    .root
                    .join(path.replace("~", "/x").trim_start_matches("./")),
                absent: call.ends_with('?'),
                call: match call.trim_end_matches('?') {
                    "read" => Call::Read,
                    "list" => Call::List,
                    "look" => Call::Look,
                    "write" => Call::Write,
                    "run" => Call::Run,
                    other => panic!("{other}"),
                },
            }
        });
        let trace = Trace {
            accesses: accesses.collect(),
            unseen: 0,
        };
        let id = self.graph.named("s").unwrap().into_iter().next().unwrap();
        audit(&self.ws, &self.graph, id, &trace, viewed)
    }

    fn found(&self, accesses: &[&str]) -> Vec<String> {
        let audited = self.audit(accesses);
        let shown = audited.files.iter().map(|file| {
            let add = file
                .add
                .as_ref()
                .map(|(field, item)| format!(" {field} {item}"));
            format!("{} {}{}", file.access, file.path, add.unwrap_or_default())
        });
        shown.collect()
    }
}

#[test]
fn what_is_declared_is_never_reported() {
    let bench = bench("");
    let declared = [
        "read data/a.txt",
        "look data/a.txt",
        "list src",
        "read src/deep/b.rs",
        "read tables/x.csv",
        "read? tables/y.csv",
        "read made/inside",
    ];
    assert_eq!(bench.audit(&declared), Audited::default());
}

#[test]
fn what_is_not_declared_is_reported_with_what_to_add() {
    let bench = bench("");
    let found = bench.found(&[
        "read data/b.txt",
        "read data/b.txt",
        "read srcs/x",
        "list data",
        "look? data/c.txt",
        "read? none/c.txt",
        "look tables/deep/x.csv",
        "run tool.sh",
        "write extra.txt",
    ]);
    assert_eq!(
        found,
        [
            "read data/b.txt deps data/b.txt",
            "read srcs/x deps srcs/x",
            "listed data/ deps data/",
            "looked for data/c.txt deps data/",
            "looked for none/c.txt",
            "looked at tables/deep/x.csv deps tables/deep/x.csv",
            "ran tool.sh deps tool.sh",
            "wrote extra.txt outs extra.txt",
        ]
    );
}

#[test]
fn the_line_to_add_names_no_file_of_a_folder_that_it_names() {
    let bench = bench("");
    let audited = bench.audit(&["read data/b.txt", "list data", "read data-b", "write x"]);
    assert_eq!(
        audited.advice[1..3],
        ["  deps: [..., data-b, data/]", "  outs: [..., x]"]
    );
    let many: Vec<String> = (0..30).map(|i| format!("read f{i:02}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let audited = bench.audit(&many);
    assert!(
        audited.advice[1].ends_with("f07, ...]"),
        "{:?}",
        audited.advice
    );
}

#[test]
fn what_a_stage_wrote_itself_is_not_an_input() {
    let bench = bench("");
    assert_eq!(
        bench.found(&["write x", "read x", "look x"]),
        ["wrote x outs x"]
    );
    let after = bench.found(&["look x", "read x", "write x"]);
    assert_eq!(after, ["read x deps x", "wrote x outs x"]);
}

#[test]
fn its_own_outs_cannot_be_declared_as_inputs() {
    let bench = bench("");
    let audited = bench.audit(&["read out.txt", "write out.txt"]);
    assert!(audited.files.iter().all(|file| file.add.is_none()));
    assert_eq!(audited.files.len(), 2);
    assert!(audited.advice[0].contains("RESTAGE_SCRATCH"));
}

#[test]
fn settings_that_a_program_looks_for_on_its_way_up_are_not_reported() {
    let bench = bench("");
    let found = bench.found(&[
        "look? .restage/work/package.json",
        "read? .restage/package.json",
        "read? package.json",
        "read? data/package.json",
        "read? other.json",
        "read .restage/objects/ab/cd",
    ]);
    assert_eq!(
        found,
        [
            "looked for data/package.json deps data/",
            "looked for other.json",
            "read .restage/objects/ab/cd",
        ]
    );
}

#[test]
fn elsewhere_only_contents_count_and_programs_bring_their_installation() {
    let bench = bench("");
    let found = bench.found(&[
        "look /data/x",
        "read /data/x",
        "run /data/env/bin/python",
        "read /data/env/lib/module.py",
        "run /data/tool",
    ]);
    assert_eq!(found, ["read /data/x", "ran /data/tool"]);
}

#[test]
fn the_scope_leaves_out_the_system_and_the_installations_in_path() {
    let bench = bench("/data/env/bin:~/bin:~/.local/bin:/usr/bin");
    let scratch = bench.root.join(".restage/scratch/k");
    let home = bench.root.parent().unwrap();
    let scope = scope(&bench.root, &bench.ws.env, &[&scratch]);
    let noted = [
        bench.root.join("data/b.txt"),
        bench.root.join(".restage/objects/x"),
        home.join(".config/x"),
        home.join("x"),
        "/data/x".into(),
    ];
    let ignored = [
        scratch.join("x"),
        home.join("bin/x"),
        home.join(".local/lib/x"),
        "/data/env/lib/x".into(),
        "/usr/lib/x".into(),
        "/tmp/x".into(),
    ];
    for path in noted {
        assert!(scope.covers(&path), "{}", path.display());
    }
    for path in ignored {
        assert!(!scope.covers(&path), "{}", path.display());
    }
}

#[test]
fn in_a_view_only_what_is_missing_there_and_not_outside_is_undeclared() {
    let bench = bench("/usr/bin");
    std::fs::write(bench.root.join("data/b.txt"), "b").unwrap();
    let asked = [
        "read data/a.txt",
        "list ./",
        "write made.tmp",
        "read? data/b.txt",
        "look? data/b.txt",
        "read? data/none",
        "look? data",
        "read /elsewhere/x",
    ];
    let audited = bench.audit_in(&asked, true);
    let shown: Vec<_> = audited
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.access))
        .collect();
    assert_eq!(
        shown,
        [("data/b.txt", Access::Read), ("/elsewhere/x", Access::Read)]
    );
}
