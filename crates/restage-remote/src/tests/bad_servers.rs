//! Servers that fail, and servers that lie: never a wrong byte, and the message names the cause.

use super::server::Mischief;
use super::*;

fn get(path: &'static str, what: Mischief) -> impl Fn(&server::Asked, usize) -> Option<Mischief> {
    move |asked, _| (asked.method == "GET" && asked.path.contains(path)).then_some(what)
}

/// A server with a result, and the result.
fn scene() -> (Server, Remote, Arc<Record>, Trusted, (TempDir, Signer)) {
    let (server, here, me) = (Server::start(), Bench::new(), signer("ada"));
    let (remote, record) = (s3(&server), here.record(1, &[b"some text", b"more"]));
    here.push(&remote, &me.1).push(&[Arc::clone(&record)]);
    let trusted = trusting(&[&me.1]);
    (server, remote, record, trusted, me)
}

#[test]
fn what_passes_is_tried_again_until_it_works() {
    let (server, remote, record, trusted, _me) = scene();
    for what in [
        Mischief::Status(500),
        Mischief::Status(503),
        Mischief::Status(429),
        Mischief::Cut,
        Mischief::Hangs,
        Mischief::Slow(Duration::from_millis(3)),
    ] {
        // Each name fails twice.
        server.state().asked.clear();
        server.judge(move |asked, before| {
            (asked.method == "GET" && asked.query.is_empty() | !asked.query.contains("list-type"))
                .then_some(what)
                .filter(|_| before < 2)
        });
        let there = Bench::new();
        let pull = there.pull(&remote, &trusted);
        let found = wanted(pull.find(&[record.key]).expect("an answer"));
        let pulled = pull.bring(&found);
        assert!(
            pulled.ended.is_none() && pulled.failed.is_empty(),
            "{what:?}: {pulled:?}"
        );
        there.has(&record);
    }
}

#[test]
fn what_does_not_pass_ends_it_with_its_cause() {
    for (what, cause) in [
        (Mischief::Status(500), "answered 500 (Told500) (4 tries)"),
        (Mischief::Status(429), "answered 429 (Told429) (4 tries)"),
        (
            Mischief::Status(403),
            "refuses the key in AWS_ACCESS_KEY_ID: 403 (Told403)",
        ),
        (
            Mischief::Status(401),
            "refuses the key in AWS_ACCESS_KEY_ID: 401",
        ),
        (Mischief::Status(301), "answered 301 (Told301)"),
        (Mischief::Hangs, "can't be reached"),
        (
            Mischief::Slow(Duration::from_secs(20)),
            "can't be reached: timeout",
        ),
    ] {
        let (server, _, record, trusted, _me) = scene();
        // A remote is given up once: each has its own.
        let mut patience = PATIENCE;
        patience.wait = Duration::from_millis(200);
        let config = RemoteConfig {
            url: "s3://cache/lab".to_owned(),
            endpoint: Some(format!("http://{}", server.address)),
            ..RemoteConfig::default()
        };
        let variable = |name: &str| name.starts_with("AWS_").then(|| "x".to_owned());
        let variable = |name: &str| variable(name).filter(|_| name.contains("KEY"));
        let around = Surroundings {
            variable: &variable,
            patience,
        };
        let remote = open("lab", &config, &around).expect("a remote");
        let there = Bench::new();
        let pull = there.pull(&remote, &trusted);
        server.judge(get("/objects/", what));
        let pulled = pull.bring(&[Arc::clone(&record)]);
        let ended = pulled.ended.expect("an end").to_string();
        assert!(ended.contains(cause), "{what:?}: {ended}");
        assert!(
            !ended.contains("X-Amz") && !ended.contains("Signature"),
            "{ended}"
        );
        assert!(there.store.records().all().expect("records").is_empty());
        there.is_sound();
    }
}

#[test]
fn a_server_that_is_not_there_is_given_up_once() {
    let (_dir, me) = signer("ada");
    let here = Bench::new();
    let records = [here.record(1, &[b"x"])];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let remote = at("s3://cache", Some(&format!("http://{address}")));
    let ended = here
        .push(&remote, &me)
        .push(&records)
        .ended
        .expect("an end");
    assert!(ended.to_string().contains("can't be reached"), "{ended}");
    assert!(!ended.is_repeated() && ended.is_remote());
    let ended = here
        .push(&remote, &me)
        .push(&records)
        .ended
        .expect("an end");
    assert!(ended.is_repeated(), "{ended}");
}

#[test]
fn wrong_bytes_are_never_kept() {
    for what in [Mischief::Wrong, Mischief::TooMuch] {
        let (server, remote, record, trusted, _me) = scene();
        server.judge(get("/objects/", what));
        let there = Bench::new();
        let pulled = there.pull(&remote, &trusted).bring(&[Arc::clone(&record)]);
        assert!(
            pulled.keys.is_empty() && pulled.objects == 0,
            "{what:?}: {pulled:?}"
        );
        assert!(pulled.ended.is_none());
        let why = pulled.failed[0].1.to_string();
        assert!(
            why.contains("damaged") || why.contains("more than"),
            "{why}"
        );
        assert!(there.store.records().all().expect("records").is_empty());
        there.is_sound();
        // The same store takes the right ones afterwards.
        server.behave();
        there.pull(&remote, &trusted).bring(&[Arc::clone(&record)]);
        there.has(&record);
    }
}

#[test]
fn an_object_that_the_remote_lost_makes_its_result_lost_and_no_other() {
    let (server, remote, record, trusted, me) = scene();
    let here = Bench::new();
    let other = here.record(2, &[b"another"]);
    here.push(&remote, &me.1).push(&[Arc::clone(&other)]);
    let lost = Digest::of(b"more").to_string();
    let name = server.names(&lost[2..]).remove(0);
    server.state().files.remove(&name);
    let there = Bench::new();
    let pull = there.pull(&remote, &trusted);
    let pulled = pull.bring(&[Arc::clone(&record), Arc::clone(&other)]);
    assert_eq!(pulled.keys, [other.key].into());
    assert!(
        pulled.failed[0].1.to_string().contains("is not there"),
        "{pulled:?}"
    );
    there.has(&other);
}

#[test]
fn a_write_that_is_refused_says_by_whom_and_leaves_no_record() {
    let (_dir, me) = signer("ada");
    let (server, here) = (Server::start(), Bench::new());
    let remote = s3(&server);
    here.push(&remote, &me).push(&[here.record(1, &[b"a"])]);
    server.judge(|asked, _| {
        (asked.method == "PUT" && asked.path.contains("/objects/")).then_some(Mischief::Status(403))
    });
    let pushed = here.push(&remote, &me).push(&[here.record(2, &[b"b"])]);
    let ended = pushed.ended.expect("an end");
    assert!(ended.to_string().contains("refuses the key"), "{ended}");
    assert!(
        ended
            .hint()
            .is_some_and(|hint| hint.contains("s3:PutObject"))
    );
    assert_eq!(server.names("/records/").len(), 1);
}

#[test]
fn something_else_at_the_address_is_not_taken_for_a_remote() {
    let server = Server::start();
    let remote = s3(&server);
    let name = "/cache/lab/v1/format".to_owned();
    server
        .state()
        .files
        .insert(name, b"restage remote 2\n".to_vec());
    let error = remote.check().expect_err("another layout");
    assert!(matches!(error, RemoteError::Layout { .. }), "{error}");
    let (_dir, me) = signer("ada");
    let here = Bench::new();
    let pushed = here.push(&remote, &me).push(&[here.record(1, &[b"a"])]);
    assert!(matches!(pushed.ended, Some(RemoteError::Layout { .. })));
    assert_eq!(server.names("/objects/"), [] as [&str; 0]);
}

#[test]
fn a_folder_that_is_not_mounted_is_not_an_empty_remote() {
    let dir = TempDir::new().expect("a folder");
    let url = format!("file://{}/mnt/lab", dir.path().display());
    let remote = at(&url, None);
    let error = remote.check().expect_err("no folder").to_string();
    assert!(error.ends_with("is not a folder"), "{error}");
    // A new remote is made in a folder that is there.
    let (_key, me) = signer("ada");
    let here = Bench::new();
    let pushed = here
        .push(&at(&url, None), &me)
        .push(&[here.record(1, &[b"a"])]);
    assert!(pushed.ended.is_some());
    std::fs::create_dir(dir.path().join("mnt")).expect("a folder");
    let pushed = here
        .push(&at(&url, None), &me)
        .push(&[here.record(1, &[b"a"])]);
    assert!(pushed.ended.is_none(), "{pushed:?}");
}

#[test]
fn what_a_killed_push_left_in_a_folder_is_removed_once_it_is_old() {
    let dir = TempDir::new().expect("a folder");
    let url = format!("file://{}/r", dir.path().display());
    let tmp = dir.path().join("r/v1/tmp");
    std::fs::create_dir_all(&tmp).expect("a folder");
    let ago = |days: u64| std::time::SystemTime::now() - Duration::from_secs(days * 86_400);
    for (name, days) in [
        (".old.restage-7-1", 8),
        (".new.restage-7-2", 6),
        ("mine", 8),
    ] {
        let file = std::fs::File::create(tmp.join(name)).expect("a file");
        file.set_modified(ago(days)).expect("a time");
    }
    let ((_key, me), here) = (signer("ada"), Bench::new());
    let pushed = here
        .push(&at(&url, None), &me)
        .push(&[here.record(1, &[b"a"])]);
    assert!(pushed.ended.is_none(), "{pushed:?}");
    let left = restage_core::fs::read_dir(&tmp).expect("a folder");
    assert_eq!(left, [".new.restage-7-2", "mine"]);
}

#[test]
fn a_link_or_a_pipe_in_a_folder_is_not_followed_and_not_waited_for() {
    let dir = TempDir::new().expect("a folder");
    let url = format!("file://{}/r", dir.path().display());
    let (_key, me) = signer("ada");
    let (here, there) = (Bench::new(), Bench::new());
    let record = here.record(1, &[b"a"]);
    here.push(&at(&url, None), &me).push(&[Arc::clone(&record)]);
    let hex = Digest::of(b"a").to_string();
    let path = dir
        .path()
        .join("r/v1/objects")
        .join(&hex[..2])
        .join(&hex[2..]);
    let trusted = trusting(&[&me]);
    for make in [
        (|path: &std::path::Path| std::os::unix::fs::symlink("/etc/passwd", path).expect("a link"))
            as fn(&std::path::Path),
        |path| restage_core::fs::make_pipe(path).expect("a pipe"),
    ] {
        std::fs::remove_file(&path).expect("it was there");
        make(&path);
        let remote = at(&url, None);
        let pulled = there.pull(&remote, &trusted).bring(&[Arc::clone(&record)]);
        assert!(pulled.keys.is_empty(), "{pulled:?}");
        there.is_sound();
    }
}

#[test]
fn addresses_that_can_not_be_meant_are_refused_before_anything_is_asked() {
    let variable = |name: &str| (name == "RESTAGE_REMOTE_LAB_TOKEN").then(|| "secret".to_owned());
    let around = Surroundings {
        variable: &variable,
        patience: PATIENCE,
    };
    for (url, why) in [
        ("lab", "no address"),
        ("ftp://x/y", "has the kind `ftp`"),
        ("file:///", "no folder"),
        ("file://relative/x", "no folder"),
        ("s3:///x", "no bucket"),
        ("s3://bucket/../other", "no bucket"),
        ("s3://b?x/y", "no bucket"),
        ("https://u:secret@host/x", "user or password"),
        ("https://host/x?y", "more than a path"),
        ("https://host/\u{1b}x", "control characters"),
        ("http://example.org/x", "use `https://`"),
    ] {
        let config = RemoteConfig {
            url: url.to_owned(),
            ..RemoteConfig::default()
        };
        let error = open("lab", &config, &around).expect_err(url).to_string();
        assert!(error.contains(why) && !error.contains("secret"), "{error}");
    }
}

#[test]
fn a_token_is_sent_and_never_shown() {
    let server = Server::start();
    let variable = |name: &str| (name == "RESTAGE_REMOTE_LAB_TOKEN").then(|| "s3cr3t".to_owned());
    let around = Surroundings {
        variable: &variable,
        patience: PATIENCE,
    };
    let config = RemoteConfig {
        url: format!("http://{}/x", server.address),
        ..RemoteConfig::default()
    };
    let remote = open("lab", &config, &around).expect("a remote");
    assert!(!format!("{remote:?}").contains("s3cr3t"));
    assert!(!remote.check().expect("an answer"));
    let head = server.state().asked[0].head.to_lowercase();
    assert!(head.contains("authorization: bearer s3cr3t"), "{head}");
    server.judge(|_, _| Some(Mischief::Status(403)));
    let error = remote.check().expect_err("refused").to_string();
    assert!(
        error.contains("RESTAGE_REMOTE_LAB_TOKEN") && !error.contains("s3cr3t"),
        "{error}"
    );
}
