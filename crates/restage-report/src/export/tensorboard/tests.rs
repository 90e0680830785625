//! Event files and their format: known checksums, known bytes, and our own reader.

use proptest::prelude::*;

use super::*;
use message::{HParamsData, Kind, Session};
use restage_claims::tables::Lookup;

/// The records of a file; every length and checksum must hold.
fn read(mut file: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    while !file.is_empty() {
        let (length, rest) = file.split_first_chunk::<8>().expect("a length");
        let (crc, rest) = rest.split_first_chunk::<4>().expect("its checksum");
        assert_eq!(u32::from_le_bytes(*crc), record::masked_crc(length));
        let (bytes, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let (crc, rest) = rest.split_first_chunk::<4>().expect("a checksum");
        assert_eq!(u32::from_le_bytes(*crc), record::masked_crc(bytes));
        events.push(Event::decode(bytes).expect("an event"));
        file = rest;
    }
    events
}

fn run(table: &str) -> Run {
    let mut run = Run::default();
    let table = Lookup::parse("t.csv", table.as_bytes(), &[]).unwrap();
    run.scalars.add(&table, "step").unwrap();
    run
}

/// Step, tag and number of every scalar, in the file's order.
fn scalars(file: &[u8]) -> Vec<(i64, String, f32)> {
    let mut found = Vec::new();
    for event in read(file) {
        let Some(What::Summary(summary)) = event.what else {
            continue;
        };
        for value in summary.value {
            if let Some(Written::SimpleValue(number)) = value.value {
                found.push((event.step, value.tag, number));
            }
        }
    }
    found
}

fn error(table: &str) -> String {
    let table = Lookup::parse("t.csv", table.as_bytes(), &[]).unwrap();
    let error = Scalars::default().add(&table, "step").unwrap_err();
    error.to_string()
}

#[test]
fn checksums_are_castagnolis_masked() {
    // RFC 3720, B.4: 32 bytes of 0 have the CRC-32C 8a9136aa; "123456789" has e3069283. Masked by
    // another program, bit by bit.
    assert_eq!(record::masked_crc(&[0; 32]), 0x0fd7_fffa);
    assert_eq!(record::masked_crc(b"123456789"), 0xc78a_b0e5);
}

#[test]
fn a_small_file_has_exactly_these_bytes() {
    let file = run("step,loss\n3,0.5\n").to_bytes();
    // Lengths, field by field; checksums as TensorFlow's writer gives them.
    let version: &[u8] = b"\x1a\x0dbrain.Event:2";
    let scalar: &[u8] = b"\x10\x03\x2a\x0d\x0a\x0b\x0a\x04loss\x15\x00\x00\x00\x3f";
    assert_eq!((version.len(), scalar.len()), (15, 17));
    let expected: Vec<u8> = [
        &[15, 0, 0, 0, 0, 0, 0, 0][..],
        &VERSION_LENGTH_CRC,
        version,
        &VERSION_CRC,
        &[17, 0, 0, 0, 0, 0, 0, 0],
        &SCALAR_LENGTH_CRC,
        scalar,
        &SCALAR_CRC,
    ]
    .concat();
    assert_eq!(file, expected);
}

const VERSION_LENGTH_CRC: [u8; 4] = [0x6d, 0x53, 0x2b, 0x09];
const VERSION_CRC: [u8; 4] = [0xfc, 0x98, 0x51, 0x29];
const SCALAR_LENGTH_CRC: [u8; 4] = [0x9d, 0x6d, 0xb5, 0x2e];
const SCALAR_CRC: [u8; 4] = [0x69, 0xd9, 0x40, 0x26];

#[test]
fn numbers_that_are_none_and_cells_that_are_empty_are_as_the_table_has_them() {
    let file = run("step,a,b,c,d\n1,NaN,,x,\n2,-inf,1e300, 7 ,\n").to_bytes();
    let found = scalars(&file);
    assert_eq!(found.len(), 3);
    assert!(found[0].2.is_nan() && (found[0].0, &*found[0].1) == (1, "a"));
    assert_eq!(found[1], (2, "a".to_owned(), f32::NEG_INFINITY));
    assert_eq!(found[2], (2, "b".to_owned(), f32::INFINITY));
}

#[test]
fn json_lines_have_scalars_by_step_and_a_step_may_have_several_lines() {
    let lines = "{\"step\": 1, \"loss\": {\"train\": 2.5}}\n{\"step\": 1, \"acc\": 0.5, \"note\": \"x\"}\n\
                 {\"step\": 2, \"loss\": {\"train\": NaN}, \"acc\": null}\n";
    let table = Lookup::parse("log.jsonl", lines.as_bytes(), &[]).unwrap();
    for step in ["step", "/step"] {
        let mut run = Run::default();
        run.scalars.add(&table, step).unwrap();
        let found = scalars(&run.to_bytes());
        let names: Vec<_> = found.iter().map(|one| (one.0, one.1.as_str())).collect();
        assert_eq!(names, [(1, "acc"), (1, "loss/train"), (2, "loss/train")]);
        assert!(found[2].2.is_nan());
    }
}

#[test]
fn tables_of_one_run_share_its_steps_and_must_not_share_a_column() {
    let mut run = run("step,a\n1,1\n3,3\n");
    let more = Lookup::parse("t.csv", b"n,b\n1,10\n2,20\n", &[]).unwrap();
    run.scalars.add(&more, "n").unwrap();
    let steps: Vec<i64> = scalars(&run.to_bytes()).iter().map(|s| s.0).collect();
    assert_eq!(steps, [1, 1, 2, 3]);
    let before = run.scalars.clone();
    let again = Lookup::parse("t.csv", b"n,c,b\n1,1,1\n", &[]).unwrap();
    let error = run.scalars.add(&again, "n").unwrap_err();
    assert_eq!(error, ScalarsError::Twice("b".to_owned()));
    assert_eq!(run.scalars, before, "half of a table was added");
}

#[test]
fn what_has_no_steps_or_no_numbers_is_refused() {
    assert_eq!(
        error("epoch,a\n1,1\n"),
        "has no column `step` to number its steps by"
    );
    for cell in ["", "1.5", "x", "-1", "99999999999999999999"] {
        let text = error(&format!("step,a\n{cell},1\n"));
        assert!(
            text.starts_with(&format!("has step `{cell}` in row 1")),
            "{text}"
        );
    }
    assert!(error("step,a\n1,1\n1,2\n").starts_with("has step `1` in row 2"));
    assert_eq!(
        error("step,a\n1,x\n"),
        "has no column of numbers besides `step`"
    );
    assert_eq!(error("step,a\n"), "has no column of numbers besides `step`");
}

#[test]
fn parameters_become_a_session_of_the_hparams_page() {
    let mut run = run("step,a\n1,1\n");
    let params = serde_json::json!({"filters": [1, 2], "rate": 0.5, "skip": true, "name": "adam"});
    run.origin = Some(Origin {
        started: WallTime {
            seconds: 1_795_449_196,
            nanos: 0,
        },
        seconds: 2.5,
        params: BTreeMap::from([("seed".to_owned(), 42.into()), ("m".to_owned(), params)]),
        adopted: None,
    });
    assert_eq!(run.file_name(), "events.out.tfevents.1795449196.restage");
    let events = read(&run.to_bytes());
    assert!(
        events
            .iter()
            .all(|event| event.wall_time == 1_795_449_196.0)
    );
    let data = |event: &Event| {
        let Some(What::Summary(summary)) = &event.what else {
            panic!("no summary")
        };
        let metadata = summary.value[0].metadata.clone().unwrap();
        let plugin = metadata.plugin_data.unwrap();
        assert_eq!(plugin.plugin_name, "hparams");
        HParamsData::decode(&plugin.content[..])
            .unwrap()
            .data
            .unwrap()
    };
    let Session::Start(start) = data(&events[1]) else {
        panic!("no start")
    };
    let Session::End(end) = data(&events[2]) else {
        panic!("no end")
    };
    assert_eq!((end.status, end.end_time_secs), (1, 1_795_449_198.5));
    let kinds: Vec<(&str, Kind)> = start
        .hparams
        .iter()
        .map(|(name, value)| (name.as_str(), value.kind.clone().unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("m.filters", Kind::Text("[1,2]".to_owned())),
            ("m.name", Kind::Text("adam".to_owned())),
            ("m.rate", Kind::Number(0.5)),
            ("m.skip", Kind::Bool(true)),
            ("seed", Kind::Number(42.0)),
        ]
    );
}

proptest! {
    #[test]
    fn every_number_of_a_table_is_read_back_and_the_bytes_are_the_same_each_time(
        rows in proptest::collection::vec((1_i64..1000, any::<Option<f32>>(), any::<f32>()), 1..20),
        tag in "[a-z\u{e9}/ \"]{1,12}",
    ) {
        // Blanks around a column's name don't count.
        let tag = tag.trim_end();
        let mut text = format!("step,\"a{}\",b\n", tag.replace('"', "\"\""));
        let (mut step, mut expected) = (0, Vec::new());
        for (gap, a, b) in &rows {
            step += gap;
            let cell = a.map_or_else(String::new, |a| a.to_string());
            text += &format!("{step},{cell},{b}\n");
            expected.extend(a.map(|a| (step, format!("a{tag}"), a.to_bits())));
            expected.push((step, "b".to_owned(), b.to_bits()));
        }
        let file = run(&text).to_bytes();
        let mut found = Vec::new();
        for (step, tag, number) in scalars(&file) {
            found.push((step, tag, number.to_bits()));
        }
        // A NaN has one text.
        let nan = |(step, tag, bits): (i64, String, u32)| {
            let bits = if f32::from_bits(bits).is_nan() { f32::NAN.to_bits() } else { bits };
            (step, tag, bits)
        };
        let expected: Vec<_> = expected.into_iter().map(nan).collect();
        prop_assert_eq!(found.into_iter().map(nan).collect::<Vec<_>>(), expected);
        prop_assert_eq!(run(&text).to_bytes(), file);
    }
}
