//! `index-chunks` on a real OpenSearch that fails: killed and started again, too busy, its disk full; and with a DynamoDB that throttles. Nothing is
//! lost, nothing is there twice, nothing is parked.
//!
//! `MILLRACE_OPENSEARCH_URL` says where a server is (`tests/real/opensearch.sh` starts one); the test that kills one starts its own. Messages come back
//! when their visibility timeout ends, as Lambda's do; the circuit breaker goes by the wall's clock, so the world's goes as fast.

use std::{
    env,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use millrace_cloud::{Arbiter, Call, Fault};
use millrace_documents::progress::Status;
use millrace_tests::{Indexed, World, has_failed};
use millrace_vectors::{Auth, Engine, OpenSearchIndex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::RwLock,
};

use crate::document;

const DOCUMENTS: u8 = 12;
/// Events that `filled` leaves for `index-chunks`.
const EVENTS: usize = 16;
const WORKER: &str = "index-chunks";

/// Written by whoever changes what the whole server does, read by whoever shares it.
pub(crate) static SERVER: RwLock<()> = RwLock::const_new(());

/// Where the server is; `None`, said so, where there is none.
pub(crate) fn url() -> Option<String> {
    if let Ok(url) = env::var("MILLRACE_OPENSEARCH_URL") {
        return Some(url);
    }
    let is_required =
        env::var("CI").is_ok() && env::var("MILLRACE_REQUIRE_REAL").is_ok_and(|value| value == "1");
    assert!(
        !is_required,
        "MILLRACE_REQUIRE_REAL is set, and MILLRACE_OPENSEARCH_URL is not"
    );
    eprintln!("skipped: MILLRACE_OPENSEARCH_URL is not set");
    None
}

/// A world with an index of its own on that server.
async fn world_on(url: &str) -> (World, String) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("faults-{}-{number}", std::process::id());
    let index = OpenSearchIndex::new(url, Auth::None, &name).unwrap();
    // The plugin as it comes from Maven Central has no native library, so no faiss.
    let index = index.with_engine(Engine::Lucene);
    (World::with_index(Arc::new(index)).await, name)
}

/// Documents of some chunks each; some of them are uploaded twice. Everybody but `index-chunks` has handled them.
async fn filled(world: &World) {
    for round in 0..2 {
        for number in (0..DOCUMENTS).filter(|number| round == 0 || number % 3 == 0) {
            let text: String = (0..400)
                .map(|sentence| {
                    format!("Sentence {sentence} of text {number}, as written in round {round}, says what the mill needs. ")
                })
                .collect();
            let document = document("ada", number);
            world
                .upload(&document, &format!("{number}.txt"), text.as_bytes())
                .await;
            world.later();
        }
        world.quiet_without(&[WORKER]).await;
    }
}

/// Everything in the index. Each document is ready by then, and nothing is parked.
async fn end(world: &World) -> Vec<Indexed> {
    for number in 0..DOCUMENTS {
        let progress = world.observer.documents().progress();
        let row = progress.read(&document("ada", number)).await.unwrap();
        assert_eq!(row.unwrap().status, Status::Ready, "document {number}");
    }
    let parked = world.receive(&format!("{WORKER}-dlq")).await;
    assert!(parked.is_empty(), "{parked:?}");
    let mut entries = world.index.entries().await;
    entries.sort();
    entries
}

/// The end where nothing fails, on the embedded index.
async fn calm() -> Vec<Indexed> {
    let world = World::in_process().await;
    filled(&world).await;
    world.quiet().await;
    let end = end(&world).await;
    assert!(end.len() > 5 * usize::from(DOCUMENTS), "{}", end.len());
    end
}

/// What waits for `index-chunks` and is visible is delivered, some at once. What fails stays hidden for as long as its delivery said. Answers what the
/// failures said.
async fn one_round(world: &World) -> Vec<String> {
    let pending = world.receive(WORKER).await;
    let said = stream::iter(&pending)
        .map(async |pending| {
            let report = world.deliver(WORKER, &pending.event).await;
            if !has_failed(&report) {
                world.delete(pending).await;
            }
            let reasons = report
                .records
                .into_iter()
                .filter_map(|record| record.reason);
            reasons.map(|reason| reason.message).collect::<Vec<_>>()
        })
        .buffer_unordered(4)
        .collect::<Vec<_>>()
        .await;
    said.concat()
}

/// Until nothing waits any more, visible or hidden. Answers what failures said on the way.
async fn go_on(world: &World) -> Vec<String> {
    let said = go_on_for(world, Duration::from_secs(240), 1).await;
    assert!(!waits(world).await, "it fails for too long: {said:#?}");
    said
}

/// The same, but for so long at most, and with a clock of the world that goes so many times as fast as the wall's.
async fn go_on_for(world: &World, most: Duration, pace: u32) -> Vec<String> {
    let began = Instant::now();
    let mut last = began;
    let mut said = Vec::new();
    while waits(world).await && began.elapsed() < most {
        said.extend(one_round(world).await);
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = Instant::now();
        world.wait((now - last) * pace);
        last = now;
    }
    said
}

/// Whether a message is in the queue of `index-chunks`, visible or hidden.
async fn waits(world: &World) -> bool {
    let queues = &world.services().queues;
    let counts = queues.counts(&format!("millrace-{WORKER}")).await.unwrap();
    counts.total() > 0
}

/// Compares the end with that of a calm world.
async fn compare(world: &World) {
    world.quiet().await;
    assert_eq!(end(world).await, calm().await);
}

/// A node on a port of its own.
struct Node {
    pid: String,
    url: String,
    is_dead: AtomicBool,
}

impl Node {
    /// A new one, or the one of this port again, with what it kept.
    fn start(port: u16, goes_on: bool) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("real/opensearch.sh");
        let mut command = Command::new("bash");
        command
            .arg(script)
            .arg(port.to_string())
            .env("MILLRACE_OPENSEARCH_HEAP", "512m")
            .env("MILLRACE_OPENSEARCH_KEEP", if goes_on { "1" } else { "" });
        let said = command.output().unwrap();
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let ready = text
            .lines()
            .find_map(|line| line.strip_prefix("READY pid="));
        let (pid, url) = ready
            .and_then(|ready| ready.split_once(' '))
            .unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&said.stderr)));
        Self {
            pid: pid.to_owned(),
            url: url.to_owned(),
            is_dead: AtomicBool::new(false),
        }
    }

    /// Once: its number may be another's afterwards.
    fn kill(&self) {
        if !self.is_dead.swap(true, Ordering::Relaxed) {
            let killed = Command::new("kill").args(["-9", &self.pid]).status();
            assert!(killed.unwrap().success());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a node before the sixth bulk request is sent, while others are on their way.
struct KillsAtTheSixth {
    node: Arc<Node>,
    puts: AtomicUsize,
}

#[async_trait]
impl Arbiter for KillsAtTheSixth {
    async fn before(&self, call: Call) -> Option<Fault> {
        if call.name == "index.put" && self.puts.fetch_add(1, Ordering::Relaxed) == 5 {
            self.node.kill();
        }
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_killed_in_the_middle_of_indexing_loses_nothing() {
    if url().is_none() {
        return;
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Its transport port is a hundred above, so not too high.
    let port = free.local_addr().unwrap().port() % 20_000 + 10_000;
    let node = Arc::new(Node::start(port, false));
    let (world, _) = world_on(&node.url).await;
    filled(&world).await;
    world.tap.obey(Arc::new(KillsAtTheSixth {
        node: node.clone(),
        puts: AtomicUsize::new(0),
    }));
    let said = one_round(&world).await;
    assert!((8..EVENTS).contains(&said.len()), "{said:#?}");
    world.tap.arm(None);
    let start = tokio::task::spawn_blocking(move || Node::start(port, true));
    let (later, again) = tokio::join!(go_on(&world), start);
    let again = again.unwrap();
    assert_eq!(again.url, node.url);
    assert!(!later.is_empty(), "nothing was tried without a server");
    compare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_with_a_full_disk_is_waited_for() {
    let Some(url) = url() else { return };
    let _shared = SERVER.read().await;
    let (world, name) = world_on(&url).await;
    filled(&world).await;
    let path = format!("/{name}/_settings");
    let blocked = |is_blocked: bool| {
        format!(r#"{{"index": {{"blocks.read_only_allow_delete": {is_blocked}}}}}"#)
    };
    put(&url, &path, &blocked(true)).await;
    let said = one_round(&world).await;
    assert_eq!(said.len(), EVENTS);
    let of_the_block = { said.iter() }.filter(|said| said.contains("cluster_block_exception"));
    assert!(of_the_block.count() >= 5, "{said:#?}");
    assert_eq!(world.index.entries().await, []);
    put(&url, &path, &blocked(false)).await;
    go_on(&world).await;
    compare(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_that_has_too_much_to_do_is_asked_again() {
    let Some(url) = url() else { return };
    let _alone = SERVER.write().await;
    let (world, _) = world_on(&url).await;
    filled(&world).await;
    // The server's own: it answers 429 to requests beyond so many bytes that are under way.
    let limit = |limit: &str| {
        format!(r#"{{"transient": {{"network.breaker.inflight_requests.limit": {limit}}}}}"#)
    };
    put(&url, "/_cluster/settings", &limit(r#""10kb""#)).await;
    let said = one_round(&world).await;
    put(&url, "/_cluster/settings", &limit(r#""250kb""#)).await;
    let later = go_on_for(&world, Duration::from_secs(20), 1).await;
    put(&url, "/_cluster/settings", &limit("null")).await;
    assert_eq!(said.len(), EVENTS);
    let refused = said.iter().filter(|said| said.contains("status 429"));
    assert!(refused.count() >= 5, "{said:#?}");
    assert!(
        waits(&world).await || !later.is_empty(),
        "nothing was refused for a limit that some requests pass"
    );
    go_on(&world).await;
    compare(&world).await;
}

/// Throttles the first twenty calls to DynamoDB, then ten of each hundred, one after the other.
#[derive(Default)]
struct Throttles {
    seen: AtomicUsize,
    throttled: AtomicUsize,
}

#[async_trait]
impl Arbiter for Throttles {
    async fn before(&self, call: Call) -> Option<Fault> {
        if !call.name.starts_with("DynamoDB_") {
            return None;
        }
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        if seen >= 20 && seen % 100 >= 10 {
            return None;
        }
        self.throttled.fetch_add(1, Ordering::Relaxed);
        Some(Fault::Throttle)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamodb_that_throttles_while_chunks_are_indexed_is_asked_again() {
    let Some(url) = url() else { return };
    let _shared = SERVER.read().await;
    let (world, _) = world_on(&url).await;
    filled(&world).await;
    let throttles = Arc::new(Throttles::default());
    world.tap.obey(throttles.clone());
    let said = go_on_for(&world, Duration::from_secs(60), 20).await;
    world.tap.arm(None);
    assert!(!waits(&world).await, "it fails for too long: {said:#?}");
    assert!(throttles.throttled.load(Ordering::Relaxed) > EVENTS);
    assert!(!said.is_empty(), "nothing failed");
    compare(&world).await;
}

/// A request of the test's own.
async fn put(url: &str, path: &str, body: &str) {
    let server = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(server).await.unwrap();
    let request = format!(
        "PUT {path} HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
