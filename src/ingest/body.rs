//! Reading a body: whole, within its bounds of bytes and time.
//!
//! What bodies may take in memory: every connection has one body at a time, and up to [`FREE_BYTES`] of it are free.
//! Longer ones draw on a budget shared by all, and wait for it when it is spent. So a flood of long bodies, authentic
//! or not, makes other long ones wait but never the usual short ones, and all bodies together take at most
//! `connections × FREE_BYTES + LONGEST_AT_ONCE × max_body`. A body keeps its share until its commit has ended.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::answer::Refused;

/// What each body may take without asking. A call of an hour has a transcript of about 50 kB.
const FREE_BYTES: u64 = 64 * 1024;

/// So many bodies of the greatest length fit into the shared budget: 64 MiB with the default of 8 MiB.
const LONGEST_AT_ONCE: usize = 8;

/// The budget is counted in these, so that every length fits into a semaphore's `u32`.
const UNIT_BYTES: u64 = 1024;

/// The budget for long bodies.
pub(super) struct Memory {
    units: Arc<Semaphore>,
}

/// A share of the budget, given back when it is dropped; nothing for a short body.
#[derive(Debug)]
pub(super) struct Share(Option<OwnedSemaphorePermit>);

impl Memory {
    pub(super) fn for_bodies_up_to(max_body: u64) -> Self {
        let units = usize::try_from(units(max_body)).unwrap_or(usize::MAX);
        Self { units: Arc::new(Semaphore::new(units.saturating_mul(LONGEST_AT_ONCE).min(Semaphore::MAX_PERMITS))) }
    }

    /// A share for `length` bytes, as soon as there is one.
    async fn share(&self, length: u64, deadline: Instant) -> Result<Share, Refused> {
        if length <= FREE_BYTES {
            return Ok(Share(None));
        }
        match timeout_at(deadline, Arc::clone(&self.units).acquire_many_owned(units(length))).await {
            Ok(Ok(permit)) => Ok(Share(Some(permit))),
            Ok(Err(_)) | Err(_) => Err(Refused::NoMemory),
        }
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

/// Reads `body`, which may have `max` bytes, until `deadline`.
pub(super) async fn read<B>(body: B, max: u64, memory: &Memory, deadline: Instant) -> Result<(Bytes, Share), Refused>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    timeout_at(deadline, gather(body, max, memory, deadline)).await.unwrap_or(Err(Refused::TooSlow))
}

async fn gather<B>(mut body: B, max: u64, memory: &Memory, deadline: Instant) -> Result<(Bytes, Share), Refused>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let declared = body.size_hint().exact();
    let mut share = memory.share(declared.unwrap_or(0), deadline).await?;
    let mut gathered = Gathered::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| Refused::Broken(error.to_string()))?.into_data() else {
            continue; // trailers: nobody signed them
        };
        let length = gathered.len() + data.len() as u64;
        if length > max {
            return Err(Refused::TooLarge { max });
        }
        // Without a declared length the whole share is taken in one step: readers that hold a part each and wait for
        // more would wait for each other.
        if length > FREE_BYTES && share.0.is_none() {
            share = memory.share(max, deadline).await?;
        }
        gathered.push(data, declared);
    }
    Ok((gathered.into_bytes(), share))
}

/// What was read so far. Most bodies come in one piece, and that is not copied.
#[derive(Default)]
struct Gathered {
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
    fn len(&self) -> u64 {
        (self.first.len() + self.all.len()) as u64
    }

    fn push(&mut self, data: Bytes, declared: Option<u64>) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.reserve(declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0));
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
        time::Duration,
    };

    use http_body::Frame;
    use http_body_util::Full;
    use tokio::time::sleep_until;

    use super::*;

    const MAX: u64 = 256 * 1024;

    /// A body without a declared length that comes in pieces; with nothing left it never ends unless told to.
    struct Pieces {
        left: VecDeque<Bytes>,
        ends: bool,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.left.pop_front() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                None if self.ends => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn pieces(lengths: &[u64]) -> Pieces {
        let piece = |length: &u64| Bytes::from(vec![b'x'; usize::try_from(*length).unwrap()]);
        Pieces { left: lengths.iter().map(piece).collect(), ends: true }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_in_pieces_comes_out_whole() {
        let mut body = pieces(&[]);
        body.left = [&b"one, "[..], b"", b"two, ", b"three"].map(Bytes::from_static).into();
        let (bytes, _) = read(body, MAX, &Memory::for_bodies_up_to(MAX), soon()).await.unwrap();
        assert_eq!(bytes, "one, two, three");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_declared_length_the_first_byte_too_many_ends_it() {
        let memory = Memory::for_bodies_up_to(MAX);
        assert!(read(pieces(&[MAX - 1, 1]), MAX, &memory, soon()).await.is_ok());
        let refused = read(pieces(&[MAX - 1, 2]), MAX, &memory, soon()).await.unwrap_err();
        assert!(matches!(refused, Refused::TooLarge { max: MAX }), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up_at_the_deadline() {
        let (deadline, mut body) = (soon(), pieces(&[1]));
        body.ends = false;
        let refused = read(body, MAX, &Memory::for_bodies_up_to(MAX), deadline).await.unwrap_err();
        assert!(matches!(refused, Refused::TooSlow), "{refused}");
        assert!(Instant::now() >= deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn long_bodies_wait_for_memory_and_short_ones_do_not() {
        let memory = Memory::for_bodies_up_to(MAX);
        let mut held = Vec::new();
        for _ in 0..LONGEST_AT_ONCE {
            held.push(read(pieces(&[FREE_BYTES + 1]), MAX, &memory, soon()).await.unwrap());
        }
        let refused = read(pieces(&[FREE_BYTES + 1]), MAX, &memory, soon()).await.unwrap_err();
        assert!(matches!(refused, Refused::NoMemory), "{refused}");
        assert!(read(pieces(&[FREE_BYTES]), MAX, &memory, soon()).await.is_ok());

        let (deadline, half_way) = (soon(), soon() - Duration::from_millis(500));
        let waiting = read(pieces(&[FREE_BYTES + 1]), MAX, &memory, deadline);
        let release = async {
            sleep_until(half_way).await;
            held.pop();
        };
        assert!(tokio::join!(waiting, release).0.is_ok(), "a share given back goes to whoever waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_declared_length_takes_no_more_than_it_needs() {
        let memory = Memory::for_bodies_up_to(MAX);
        let body = Full::new(Bytes::from(vec![b'x'; 65 * 1024]));
        let (_, share) = read(body, MAX, &memory, soon()).await.unwrap();
        let all = 256 * LONGEST_AT_ONCE;
        assert_eq!(memory.units.available_permits(), all - 65);
        drop(share);
        assert_eq!(memory.units.available_permits(), all);
    }
}
