//! Reading a body: whole, within its bounds of bytes and time.
//!
//! What bodies may take in memory: every connection has one body at a time, and up to [`FREE_BYTES`] of it are free.
//! Longer ones draw on a budget shared by all once so much of them is there, and wait for it when it is spent. So a flood of
//! long bodies, authentic or not, makes other long ones wait but never the usual short ones, and all bodies together take at
//! most `connections × FREE_BYTES + LONGEST_AT_ONCE × max_body`. A body keeps its share until its commit has ended.
//!
//! While somebody waits for a share, a body that has one and takes its time to come is given up ([`LONG_ENOUGH`]): nobody
//! knows yet whether it is authentic, and eight that trickle would keep all others out until their deadline.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::answer::Refused;

/// What each body may take without asking. A call of an hour has a transcript of about 50 kB.
const FREE_BYTES: u64 = 64 * 1024;

/// So many bodies of the greatest length fit into the shared budget: 64 MiB with the default of 8 MiB.
const LONGEST_AT_ONCE: usize = 8;

/// So long a body may take for the rest of its bytes when others wait for its share. The longest comes in a second over 64 Mbit/s.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// How often to look for one that took so long, while somebody waits.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The budget is counted in these, so that every length fits into a semaphore's `u32`.
const UNIT_BYTES: u64 = 1024;

/// The budget for long bodies.
pub(super) struct Memory {
    units: Arc<Semaphore>,
    /// The bodies that have a share and aren't whole yet, oldest first.
    coming: Mutex<VecDeque<Arc<Coming>>>,
}

/// A body that has a share and isn't whole yet.
#[derive(Debug)]
struct Coming {
    since: Instant,
    give_up: Notify,
}

/// A share of the budget, given back when it is dropped; nothing for a short body.
#[derive(Debug)]
pub(super) struct Share {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Keeps a body among those that are coming until it is dropped.
struct Arrival<'a> {
    memory: &'a Memory,
    coming: Arc<Coming>,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        self.memory.lock_coming().retain(|coming| !Arc::ptr_eq(coming, &self.coming));
    }
}

impl Memory {
    pub(super) fn for_bodies_up_to(max_body: u64) -> Self {
        let units = usize::try_from(units(max_body)).unwrap_or(usize::MAX);
        let units = units.saturating_mul(LONGEST_AT_ONCE).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), coming: Mutex::default() }
    }

    /// A share for `length` bytes, as soon as there is one.
    async fn share(&self, length: u64, deadline: Instant) -> Result<Share, Refused> {
        let mut permit = pin!(Arc::clone(&self.units).acquire_many_owned(units(length)));
        loop {
            let look_again = (Instant::now() + LOOK_AGAIN).min(deadline);
            match timeout_at(look_again, &mut permit).await {
                Ok(Ok(permit)) => return Ok(Share { _permit: Some(permit) }),
                Err(_elapsed) if look_again < deadline => self.give_up_the_oldest(),
                Ok(Err(_)) | Err(_) => return Err(Refused::NoMemory),
            }
        }
    }

    /// Notes a body that comes from now on.
    fn arrival(&self) -> Arrival<'_> {
        let coming = Arc::new(Coming { since: Instant::now(), give_up: Notify::new() });
        self.lock_coming().push_back(Arc::clone(&coming));
        Arrival { memory: self, coming }
    }

    fn give_up_the_oldest(&self) {
        let mut coming = self.lock_coming();
        if coming.front().is_some_and(|oldest| oldest.since.elapsed() >= LONG_ENOUGH)
            && let Some(oldest) = coming.pop_front()
        {
            oldest.give_up.notify_one();
        }
    }

    fn lock_coming(&self) -> MutexGuard<'_, VecDeque<Arc<Coming>>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
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
    let mut gathered = Gathered { declared, ..Gathered::default() };
    while let Some(data) = next(&mut body, gathered.len(), max).await? {
        gathered.push(data);
        if gathered.len() > FREE_BYTES {
            // The whole share in one step: readers that hold a part each and wait for more would wait for each other.
            let share = memory.share(declared.unwrap_or(max), deadline).await?;
            return Ok((gather_rest(body, max, gathered, memory).await?, share));
        }
    }
    Ok((gathered.into_bytes(), Share { _permit: None }))
}

/// The body, now that it has a share; unless others wait for that and it takes its time.
async fn gather_rest<B>(mut body: B, max: u64, mut gathered: Gathered, memory: &Memory) -> Result<Bytes, Refused>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let arrival = memory.arrival();
    let rest = async {
        while let Some(data) = next(&mut body, gathered.len(), max).await? {
            gathered.push(data);
        }
        Ok::<_, Refused>(())
    };
    tokio::select! {
        biased;
        whole = rest => whole?,
        () = arrival.coming.give_up.notified() => return Err(Refused::TooSlow),
    }
    Ok(gathered.into_bytes())
}

/// The next piece of a body of which so many bytes have been read.
async fn next<B>(body: &mut B, read: u64, max: u64) -> Result<Option<Bytes>, Refused>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| Refused::Broken(error.to_string()))?.into_data() else {
            continue; // trailers: nobody signed them
        };
        return if read + data.len() as u64 > max { Err(Refused::TooLarge { max }) } else { Ok(Some(data)) };
    }
    Ok(None)
}

/// What was read so far. Most bodies come in one piece, and that is not copied.
#[derive(Default)]
struct Gathered {
    /// The length that was declared.
    declared: Option<u64>,
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
    fn len(&self) -> u64 {
        (self.first.len() + self.all.len()) as u64
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.reserve(self.declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0));
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
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body::Frame;
    use http_body_util::Full;
    use tokio::{task::JoinSet, time::sleep_until};

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
    async fn a_long_body_that_does_not_come_makes_room_for_one_that_does() {
        let (memory, deadline) = (Arc::new(Memory::for_bodies_up_to(MAX)), soon() + 10 * LONG_ENOUGH);
        let mut trickling = JoinSet::new();
        for _ in 0..LONGEST_AT_ONCE {
            let (memory, mut body) = (Arc::clone(&memory), pieces(&[FREE_BYTES + 1]));
            body.ends = false;
            trickling.spawn(async move { read(body, MAX, &memory, deadline).await });
        }
        assert!(timeout_at(soon(), trickling.join_next()).await.is_err(), "as long as nobody waits there is time");
        let coming = read(pieces(&[FREE_BYTES + 1]), MAX, &memory, deadline);
        let (given_up, came) = tokio::join!(trickling.join_next(), coming);
        assert!(matches!(given_up, Some(Ok(Err(Refused::TooSlow)))), "{given_up:?}");
        assert!(came.is_ok(), "{came:?}");
        assert!(timeout_at(soon(), trickling.join_next()).await.is_err(), "one was enough");
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
