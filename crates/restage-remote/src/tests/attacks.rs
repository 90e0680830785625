//! Somebody may write to the bucket, and wants us to use what he made.

use super::*;

/// A server with a record of ours, and what its files are called there.
struct Scene {
    server: Server,
    remote: Remote,
    record: Arc<Record>,
    me: Signer,
    other: Signer,
    _dirs: [TempDir; 2],
}

impl Scene {
    fn new() -> Self {
        let (server, here) = (Server::start(), Bench::new());
        let ((mine, me), (theirs, other)) = (signer("main"), signer("evil"));
        let (remote, record) = (s3(&server), here.record(1, &[b"right"]));
        here.push(&remote, &me).push(&[Arc::clone(&record)]);
        Self {
            server,
            remote,
            record,
            me,
            other,
            _dirs: [mine, theirs],
        }
    }

    fn name(&self, key: &Digest, signer: &Signer) -> String {
        let hex = key.to_string();
        let signer = signer.public().signer();
        format!("/cache/lab/v1/records/{}/{hex}.{signer}", &hex[..2])
    }

    fn text(&self, name: &str) -> Vec<u8> {
        self.server.state().files[name].clone()
    }

    fn put(&self, name: &str, text: &[u8]) {
        self.server
            .state()
            .files
            .insert(name.to_owned(), text.to_vec());
    }

    /// What somebody who trusts `me` finds of a key.
    fn finds(&self, key: &Digest) -> Wanted {
        let (there, trusted) = (Bench::new(), trusting(&[&self.me]));
        let found = there.pull(&self.remote, &trusted).find(&[*key]);
        found.expect("an answer").remove(0).what
    }

    #[track_caller]
    fn refuses(&self, key: &Digest, why: &str) {
        match self.finds(key) {
            Wanted::Refused(said) => assert!(said.contains(why), "{said}"),
            found => panic!("{found:?}"),
        }
    }
}

#[test]
fn a_strangers_record_is_named_and_not_used_and_does_not_hide_ours() {
    let scene = Scene::new();
    let evil = Bench::new();
    let forged = evil.record(1, &[b"evil!"]);
    evil.push(&scene.remote, &scene.other).push(&[forged]);
    assert!(
        matches!(scene.finds(&scene.record.key), Wanted::Record(record) if record == scene.record)
    );
    let alone = evil.record(2, &[b"evil"]);
    evil.push(&scene.remote, &scene.other)
        .push(&[Arc::clone(&alone)]);
    match scene.finds(&alone.key) {
        Wanted::Strangers(signers) => assert_eq!(signers, [scene.other.public().signer()]),
        found => panic!("{found:?}"),
    }
}

#[test]
fn a_record_under_our_name_that_somebody_else_signed_is_refused() {
    let scene = Scene::new();
    let evil = Bench::new();
    evil.push(&scene.remote, &scene.other)
        .push(&[evil.record(1, &[b"evil!"])]);
    let key = &scene.record.key;
    let (ours, theirs) = (scene.name(key, &scene.me), scene.name(key, &scene.other));
    let (right, forged) = (scene.text(&ours), scene.text(&theirs));
    scene.put(&ours, &forged);
    scene.refuses(key, "somebody else signed it");
    // Its lines with the name of our signature, and with our signature itself.
    let cut = |text: &[u8]| {
        let end = text[..text.len() - 1]
            .iter()
            .rposition(|byte| *byte == b'\n');
        text.split_at(end.expect("lines") + 1).0.to_vec()
    };
    let (_, our_signature) = right.split_at(cut(&right).len());
    scene.put(&ours, &[cut(&forged), our_signature.to_vec()].concat());
    scene.refuses(key, "its signature is wrong");
    for (text, why) in [
        (right[..right.len() - 1].to_vec(), "it was cut"),
        (right[..right.len() / 2].to_vec(), ""),
        (cut(&right), "somebody else signed it"),
        (Vec::new(), "it was cut"),
        (b"\n\n\n".to_vec(), ""),
        (vec![0xff; 4000], "it was cut"),
    ] {
        scene.put(&ours, &text);
        scene.refuses(key, why);
    }
    let mut wrong = right.clone();
    let at = wrong.len() - 20;
    wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
    scene.put(&ours, &wrong);
    scene.refuses(key, "signature");
    scene.put(&ours, &right);
    assert!(matches!(scene.finds(key), Wanted::Record(_)));
}

#[test]
fn no_byte_of_a_record_can_be_another_one_and_no_part_of_it_is_enough() {
    let scene = Scene::new();
    let key = &scene.record.key;
    let by = scene.me.public();
    let right = scene.text(&scene.name(key, &scene.me));
    assert_eq!(sign::read(&right, key, by), Ok(Arc::clone(&scene.record)));
    // Unoptimised, each takes milliseconds: all of the third line, and a part of the others.
    let last = right.len() - 120;
    for at in (0..last).step_by(11).chain(last..right.len()) {
        assert!(sign::read(&right[..at], key, by).is_err(), "{at}");
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        assert!(sign::read(&wrong, key, by).is_err(), "{at}");
    }
}

#[test]
fn our_own_record_under_another_key_is_refused() {
    let scene = Scene::new();
    let other = Digest::of(b"another key");
    let text = scene.text(&scene.name(&scene.record.key, &scene.me));
    scene.put(&scene.name(&other, &scene.me), &text);
    scene.refuses(&other, "its signature is wrong");
}

#[test]
fn a_signed_record_that_is_not_about_its_key_or_has_other_outs_is_refused() {
    let scene = Scene::new();
    let bench = Bench::new();
    let forge = |change: &dyn Fn(&mut Record)| {
        let mut record = Record::clone(&bench.record(1, &[b"x"]));
        change(&mut record);
        let name = scene.name(&record.key, &scene.me);
        scene.put(&name, scene.me.signed(&record).as_bytes());
        record.key
    };
    let key = forge(&|record| record.key = Digest::of(b"the key that is wanted"));
    scene.refuses(&key, "another key");
    let key = forge(&|record| record.outs[0].path = "elsewhere".to_owned());
    scene.refuses(&key, "other outs");
    let key = forge(&|record| drop(record.outs.pop()));
    scene.refuses(&key, "other outs");
    let key = forge(&|record| record.outs[0].path = "../../.ssh/authorized_keys".to_owned());
    scene.refuses(&key, "no path inside a workspace");
    let key = forge(&|record| record.format = 7);
    scene.refuses(&key, "format 7");
}

#[test]
fn another_object_in_the_place_of_a_right_one_is_never_used() {
    let scene = Scene::new();
    let name = scene.server.names("/objects/").into_iter();
    for name in name {
        let right = scene.text(&name);
        let mut wrong = right.clone();
        wrong[0] ^= 1;
        scene.put(&name, &wrong);
        let (there, trusted) = (Bench::new(), trusting(&[&scene.me]));
        let pull = there.pull(&scene.remote, &trusted);
        let pulled = pull.bring(&[Arc::clone(&scene.record)]);
        assert!(
            pulled.keys.is_empty() && pulled.ended.is_none(),
            "{pulled:?}"
        );
        let (stage, error) = &pulled.failed[0];
        assert_eq!(stage, "quick/stage1");
        assert!(error.to_string().contains("is damaged"), "{error}");
        there.is_sound();
        assert!(there.store.records().all().expect("records").is_empty());
        scene.put(&name, &right);
    }
}

#[test]
fn without_a_key_that_is_trusted_nothing_is_used() {
    let scene = Scene::new();
    let (there, nobody) = (Bench::new(), Trusted::default());
    let found = there.pull(&scene.remote, &nobody).find(&[scene.record.key]);
    let found = found.expect("an answer").remove(0).what;
    assert!(matches!(found, Wanted::Strangers(_)), "{found:?}");
}

#[test]
fn keys_are_for_their_owner_alone_and_weak_ones_are_none() {
    let (dir, me) = signer("ada lovelace");
    let path = dir.path().join("key");
    let again = Signer::read(&path, "ada lovelace").expect("a key");
    let again = again.expect("it is there");
    assert_eq!(again.public(), me.public());
    assert_eq!(me.public().name, "adalovelace");
    let text = me.public().to_string();
    assert_eq!(PublicKey::parse(&text).expect("a key"), *me.public());
    restage_core::fs::set_mode(&path, 0o640).expect("a mode");
    assert!(matches!(Signer::read(&path, "x"), Err(KeyError::Open(_))));
    restage_core::fs::set_mode(&path, 0o600).expect("a mode");
    std::fs::write(&path, "something else").expect("a file");
    assert!(matches!(
        Signer::read(&path, "x"),
        Err(KeyError::NotPrivate(_))
    ));
    assert!(
        Signer::read(&dir.path().join("none"), "x")
            .expect("no error")
            .is_none()
    );
    let weak = format!("x:{}=", "A".repeat(43));
    for text in ["", "x", "x:", ":AAAA", "x:????", weak.as_str()] {
        assert!(PublicKey::parse(text).is_err(), "{text}");
    }
}
