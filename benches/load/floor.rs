//! The least that "answered means on disk" costs: read, verify, parse, append, sync in groups, answer.
//!
//! Made of the relay's own crates, its verifier and its parser. No deduplication, no routing, no index, no deliveries, no
//! bounds, no recovery.

use std::{
    convert::Infallible,
    fs::{self, File},
    net::SocketAddr,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use atoms_relay::{model::Reading, verify::Verifier};
use bytes::Bytes;
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime, sync::oneshot, task::JoinSet};

use crate::{bodies::SECRET, server::ADDRESS_FILE};

/// The log starts over after so many bytes, which were written once before: nothing is quicker for a disk than to
/// overwrite what is there.
const LOG_BYTES: u64 = 256 * 1024 * 1024;

/// Bodies that wait for the writer.
const WAITING: usize = 4096;

type Job = (Bytes, oneshot::Sender<()>);

struct Floor {
    verifier: Verifier,
    log: mpsc::SyncSender<Job>,
}

/// Serves until it is killed.
pub(crate) fn serve(directory: &str) {
    let directory = Path::new(directory);
    let address: SocketAddr = fs::read_to_string(directory.join(ADDRESS_FILE)).unwrap().parse().unwrap();
    let verifier = Verifier::new(HeaderName::from_static("x-signature"), [SECRET]).unwrap();
    let floor = Arc::new(Floor { verifier, log: start_log(directory) });
    runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let floor = Arc::clone(&floor);
            let service = service_fn(move |request| answer(request, Arc::clone(&floor)));
            connections.spawn(async move {
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
}

async fn answer(request: Request<Incoming>, floor: Arc<Floor>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_accepted = request.method() == Method::GET || accept(request, &floor).await.is_some();
    let mut response = Response::new(Full::from(r#"{"status":"accepted"}"#));
    if !is_accepted {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    Ok(response)
}

async fn accept(request: Request<Incoming>, floor: &Floor) -> Option<()> {
    let (head, body) = request.into_parts();
    #[expect(clippy::disallowed_methods, reason = "the floor has no bounds")]
    let body = body.collect().await.ok()?.to_bytes();
    let (body, _) = floor.verifier.verify(&head.headers, body).ok()?.into_parts();
    Reading::of(&body).envelope()?;
    let (done, durable) = oneshot::channel();
    floor.log.send((body, done)).ok()?;
    durable.await.ok()
}

/// Starts the one thread that writes: it takes what waits, writes it, syncs once and answers all.
fn start_log(directory: &Path) -> mpsc::SyncSender<Job> {
    let (log, jobs) = mpsc::sync_channel::<Job>(WAITING);
    let file = zeros(&directory.join("journal"));
    thread::spawn(move || {
        let (mut at, mut buffer, mut waiting) = (0, Vec::new(), Vec::new());
        while let Ok(first) = jobs.recv() {
            buffer.clear();
            for (body, done) in std::iter::once(first).chain(jobs.try_iter().take(WAITING)) {
                buffer.extend_from_slice(&u64::try_from(body.len()).unwrap().to_le_bytes());
                buffer.extend_from_slice(&body);
                waiting.push(done);
            }
            file.write_all_at(&buffer, at).unwrap();
            file.sync_data().unwrap();
            at = (at + u64::try_from(buffer.len()).unwrap()) % LOG_BYTES;
            for done in waiting.drain(..) {
                done.send(()).ok();
            }
        }
    });
    log
}

fn zeros(path: &Path) -> File {
    let file = File::create_new(path).unwrap();
    let block = vec![0; 1024 * 1024];
    for at in (0..LOG_BYTES).step_by(block.len()) {
        file.write_all_at(&block, at).unwrap();
    }
    file.sync_data().unwrap();
    file
}
