//! Large files: in parts there and back.

use super::server::Mischief;
use super::*;

fn large(seed: u8) -> Vec<u8> {
    let length = 20_u32 << 20;
    (0..length / 4)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761) ^ u32::from(seed)).to_le_bytes())
        .collect()
}

#[test]
fn a_large_file_goes_and_comes_in_parts() {
    let (_dir, me) = signer("ada");
    let server = Server::start();
    let (here, there) = (Bench::new(), Bench::new());
    let record = here.record(1, &[&large(1)]);
    let remote = s3(&server);
    let pushed = here.push(&remote, &me).push(&[Arc::clone(&record)]);
    assert_eq!(pushed.put, 1, "{pushed:?}");
    let name = Digest::of(&large(1)).to_string()[2..].to_owned();
    assert_eq!(server.count("PUT", &name), 3);
    let trusted = trusting(&[&me]);
    there.pull(&remote, &trusted).bring(&[Arc::clone(&record)]);
    there.has(&record);
    assert_eq!(server.count("GET", &name), 3);
    let notes = std::fs::read_dir(here.notes()).expect("a folder");
    assert_eq!(notes.count(), 0, "a note is left");
}

#[test]
fn an_upload_that_was_broken_off_is_continued() {
    let (_dir, me) = signer("ada");
    let (server, here) = (Server::start(), Bench::new());
    let record = here.record(1, &[&large(2)]);
    // The third part fails, as if we had been killed.
    server.judge(|asked, _| {
        asked
            .query
            .contains("partNumber=3")
            .then_some(Mischief::Status(500))
    });
    let pushed = here.push(&s3(&server), &me).push(&[Arc::clone(&record)]);
    assert!(pushed.ended.is_some() && server.names("/records/").is_empty());
    let name = Digest::of(&large(2)).to_string()[2..].to_owned();
    assert_eq!(
        server.names(&name),
        [] as [&str; 0],
        "half of it can be seen"
    );
    server.behave();
    let before = server.count("PUT", &name);
    let pushed = here.push(&s3(&server), &me).push(&[Arc::clone(&record)]);
    assert_eq!(pushed.put, 1, "{pushed:?}");
    assert_eq!(
        server.count("PUT", &name) - before,
        1,
        "parts were sent again"
    );
}

#[test]
fn an_upload_that_the_server_gave_up_is_begun_again() {
    let (_dir, me) = signer("ada");
    let (server, here) = (Server::start(), Bench::new());
    let bytes = large(3);
    let record = here.record(1, &[&bytes]);
    let digest = Digest::of(&bytes);
    std::fs::create_dir(here.notes()).expect("a folder");
    let hex = digest.to_string();
    let to = format!("s3://cache/lab/v1/objects/{}/{}", &hex[..2], &hex[2..]);
    let note = json!({"to": to, "size": bytes.len(), "part": 8 << 20, "upload": "gone", "tags": {"1": "x"}});
    let path = here.notes().join(format!("{digest}.json"));
    for text in [note.to_string(), "{".to_owned()] {
        std::fs::write(&path, text).expect("a note");
        server.state().files.clear();
        let pushed = here.push(&s3(&server), &me).push(&[Arc::clone(&record)]);
        assert_eq!(pushed.put, 1, "{pushed:?}");
        assert!(server.state().files.values().any(|file| *file == bytes));
    }
}

#[test]
fn an_upload_that_is_lost_at_its_end_is_no_upload() {
    let (_dir, me) = signer("ada");
    let (server, here) = (Server::start(), Bench::new());
    let record = here.record(1, &[&large(4)]);
    server.judge(|asked, _| (asked.method == "POST").then_some(Mischief::Forgets));
    let pushed = here.push(&s3(&server), &me).push(&[record]);
    assert_eq!((pushed.put, pushed.failed.len()), (0, 1), "{pushed:?}");
    let why = pushed.failed[0].1.to_string();
    assert!(why.contains("not there as a whole"), "{why}");
    assert!(server.names("/records/").is_empty());
}

#[test]
fn parts_that_are_others_or_none_are_noticed() {
    let (_dir, me) = signer("ada");
    let (server, here) = (Server::start(), Bench::new());
    let record = here.record(1, &[&large(5)]);
    here.push(&s3(&server), &me).push(&[Arc::clone(&record)]);
    let trusted = trusting(&[&me]);
    for (what, cause) in [
        (Mischief::OtherPart, Some("another part")),
        (Mischief::LiesOfPart, Some("is damaged")),
        (Mischief::Wrong, Some("is damaged")),
        // Then all of it is fetched at once.
        (Mischief::NoParts, None),
    ] {
        let name = Digest::of(&large(5)).to_string()[2..].to_owned();
        server.judge(move |asked, _| {
            let later = asked.head.to_lowercase().contains("range: bytes=8388608-");
            (asked.path.contains(&name) && (later || what == Mischief::NoParts)).then_some(what)
        });
        let there = Bench::new();
        let pulled = there
            .pull(&s3(&server), &trusted)
            .bring(&[Arc::clone(&record)]);
        match cause {
            None => there.has(&record),
            Some(cause) => {
                let failed = pulled.failed.first().map(|(_, error)| error.to_string());
                let said = failed.or(pulled.ended.map(|error| error.to_string()));
                assert!(
                    said.as_ref().is_some_and(|said| said.contains(cause)),
                    "{said:?}"
                );
                there.is_sound();
                assert!(there.store.records().all().expect("records").is_empty());
            }
        }
    }
}
