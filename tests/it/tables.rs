//! `foreach` over a table: a row is an instance.

use crate::space::{Said, Space};

const ALIGN: &str = r"
  align:
    foreach: {table: samples.csv, key: sample}
    cmd: echo ${key} ${item.condition} ${item.depth} > out/${key}.txt
    outs: ['out/${key}.txt']
  all: {cmd: cat out/*.txt > all.txt, deps: ['out/*.txt'], outs: [all.txt]}
";

const SAMPLES: &str = "sample,condition,depth,note\ns1,treated,30,\ns2, control ,007,x\n";

fn space(samples: &str) -> Space {
    let space = Space::new(ALIGN);
    space.write("samples.csv", samples);
    space
}

#[test]
fn each_row_is_an_instance_with_its_own_values() {
    let space = space(SAMPLES);
    assert_eq!(space.ran(&["-j1"]), ["align@s1", "align@s2", "all"]);
    assert_eq!(space.read("all.txt"), "s1 treated 30\ns2 control 007\n");
}

#[test]
fn adding_or_editing_a_row_runs_its_instance_alone() {
    let space = space(SAMPLES);
    space.ran(&[]);
    let more = format!("{SAMPLES}s3,control,5,\n");
    space.write("samples.csv", &more);
    assert_eq!(space.ran(&["-j1"]), ["align@s3", "all"]);
    space.write("samples.csv", &more.replace("treated", "control"));
    assert_eq!(space.ran(&["-j1"]), ["align@s1", "all"]);
}

#[test]
fn what_no_stage_uses_and_the_order_of_rows_do_not_matter() {
    let space = space(SAMPLES);
    space.ran(&[]);
    space.write(
        "samples.csv",
        "\u{feff}depth,new,sample,condition,note\r\n\r\n007,1,s2,control,\"a, b\"\r\n30,2,s1,treated,\r\n",
    );
    assert_eq!(space.ran(&[]), [""; 0]);
}

#[test]
fn an_edit_of_the_table_ends_the_answer_that_nothing_is_to_do() {
    let space = space(SAMPLES);
    space.ran(&[]);
    // Files that were touched a moment ago could change unnoticed, so they are not remembered.
    std::thread::sleep(std::time::Duration::from_millis(60));
    space.restage(&["reproduce"]).exits(0).says("done: 3 fresh");
    assert!(space.path(".restage/noop").read_dir().unwrap().count() > 0);
    space.write("samples.csv", "sample,condition,depth\ns1,treated,30\n");
    space.restage(&["reproduce"]).exits(0).says("done: 1 ran");
    assert_eq!(space.read("all.txt"), "s1 treated 30\n");
}

#[test]
fn tabs_separate_the_cells_of_a_tsv_and_a_parameter_can_name_it() {
    let space = Space::new(
        "  one:\n    foreach: {table: 'sheet.${a}.tsv', key: id}\n    cmd: echo '${item.x}' > ${key}\n    \
         outs: ['${key}']\n",
    );
    space.write("sheet.1.tsv", "id\tx\nu\t1,5\n");
    assert_eq!(space.ran(&[]), ["one@u"]);
    assert_eq!(space.read("u"), "1,5\n");
    // The sheets of some programs.
    space.write("sheet.1.tsv", "x\tid\n1,5\tu\n");
    space.stages(
        &space
            .read("pipeline.yaml")
            .split_once("stages:\n")
            .unwrap()
            .1
            .replace("sheet.${a}.tsv", "semi.csv"),
    );
    space.write("semi.csv", "id;x\nu;1,5\n");
    assert_eq!(space.ran(&[]), [""; 0]);
}

/// What `status` says of a table that can't be used.
fn wrong(samples: &str) -> Said {
    space(samples).restage(&["status"]).exits(2)
}

#[test]
fn a_table_that_can_not_be_used_is_told_with_its_line() {
    let said = wrong("smaple,condition,depth\ns1,a,1\n");
    insta::assert_snapshot!(said.err, @"
    error: `samples.csv`, the table of stage `align`, has no column `sample`
     --> pipeline.yaml:7:40
      |
    7 |     foreach: {table: samples.csv, key: sample}
      |                                        ^^^^^^ no such column
      |
      = hint: did you mean `smaple`?
    ");
    let said = wrong("sample,condition,depth\ns1,a,1\n\ns1,b,2\n,c,3\ns 4/x,d,4\ns5,e\n");
    insta::assert_snapshot!(said.err, @"
    error: `samples.csv` has two rows whose `sample` is `s1`
     --> samples.csv:4:1
      |
    2 | s1,a,1
      | -- the first
    3 |
    4 | s1,b,2
      | ^^ again here
      |
      = hint: each instance needs a name of its own: rename one, or take another column as `key`

    error: `samples.csv` has a row whose `sample` is empty
     --> samples.csv:5:1
      |
    5 | ,c,3
      | ^^^^ has no name
      |
      = hint: each row needs a name of its own: it names the instance

    error: `s 4/x` cannot name an instance of stage `align`
     --> samples.csv:6:1
      |
    6 | s 4/x,d,4
      | ^^^^^ expands to this name
      |
      = hint: names are made of letters, digits, `_`, `.` and `-`: write `s_4_x`

    error: `samples.csv` has 2 cells in a row, and 3 columns
     --> samples.csv:7:1
      |
    7 | s5,e
      | ^^^^ row of 2
      |
      = hint: give it as many; a cell that holds the delimiter, a quote or a line break stands in double quotes
    ");
    wrong("").says("`samples.csv`, the table of stage `align`, is empty");
    wrong("sample,condition,depth\n").says("`foreach` of stage `align` has nothing to expand");
    wrong("sample,a,a\ns,1,2\n").says("`samples.csv` has two columns `a`");
    let said = wrong("sample,conditon,depth\ns1,a,1\n");
    said.says("did you mean `${item.conditon}`?");
}

#[test]
fn a_quote_that_is_not_closed_swallows_no_rows() {
    let said = wrong("sample,condition,depth\ns1,\"a,1\ns2,b,2\n");
    insta::assert_snapshot!(said.err, @r#"
    error: `samples.csv` has a quoted cell that is never closed
     --> samples.csv:2:4
      |
    2 | s1,"a,1
      |    ^^^^ this quote is never closed
      |
      = hint: close it before the delimiter or the end of the line; a quote within it is written twice, as in `"say ""hello"""`
    "#);
    // Here the quote of the next row closes it, and the cells are as many as they should be.
    let said = wrong("sample,condition,depth\ns1,\"a,1\ns2,\"b,2\n");
    said.says("`samples.csv` has a quoted cell that ends before its cell does");
    let fine = "\u{feff}\"sample\",condition,depth\r\n\"s1\" ,\"a, \"\"b\"\"\r\nc\",1\r\ns2,5\" disk,\"\"\r\n\"s3\",\"\"\"\",\"1\"";
    let said = space(fine).restage(&["status", "align"]).exits(0);
    assert_eq!(said.out.matches("never ran").count(), 3, "{}", said.out);
}

#[test]
fn a_table_that_is_not_there_or_that_a_stage_writes_is_refused() {
    let space = Space::new(ALIGN);
    let said = space.restage(&["status"]).exits(2);
    said.says("`samples.csv`, the table of stage `align`, does not exist");
    let split = "  split: {cmd: make-samples > samples.csv, outs: [samples.csv]}\n";
    space.stages(&format!("{ALIGN}{split}"));
    let said = space.restage(&["status"]).exits(2);
    insta::assert_snapshot!(said.err, @"
    error: `samples.csv` is a table of instances, and stage `split` writes it
      --> pipeline.yaml:7:22
       |
     7 |     foreach: {table: samples.csv, key: sample}
       |                      ^^^^^^^^^^^ read before any stage runs
    ...
    11 |   split: {cmd: make-samples > samples.csv, outs: [samples.csv]}
       |                                                   ----------- `split` writes `samples.csv`
       |
       = hint: make it before restage is called, and remove it from `outs`; where only a stage knows how many there are, let one stage read the whole folder that it writes
    ");
    space.write("samples.csv", SAMPLES);
    let said = space.restage(&["status"]).exits(2);
    said.says("`samples.csv` is a table of instances, and stage `split` writes it");
}

#[test]
fn misspelt_fields_of_a_table_are_told() {
    let space = Space::new(&ALIGN.replace("key: sample", "kye: sample"));
    space.write("samples.csv", SAMPLES);
    let said = space.restage(&["status"]).exits(2);
    said.says("hint: did you mean `key`?");
}

#[test]
fn instances_that_are_called_table_are_still_instances() {
    let space = Space::new(
        "  one: {foreach: {table: oak, chair: pine}, cmd: 'echo ${item} > ${key}', outs: ['${key}']}\n",
    );
    assert_eq!(space.ran(&["-j1"]), ["one@table", "one@chair"]);
}
