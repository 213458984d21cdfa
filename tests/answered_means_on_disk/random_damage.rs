//! Damage of any file at any place: the store opens all the same, what wasn't hit is there, and what is lost is told.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use atoms_relay::{
    model::{DeadReason, Delivery, EventId, Order, Verdict},
    store::{
        Acceptance, Damage, EventFilter, Store,
        embedded::{Embedded, Options},
    },
};
use fastrand::Rng;

use crate::{
    bench::{Bench, LEASE, everything, name, open, settlement, wait_until_left},
    sim_disk::SimDisk,
    trials::{Broken, Tally, asked_for, block_on, folder, run},
};

/// Starts a frame of the journal; no body holds it.
const MARK: &[u8] = b"arec";
/// Mark, length and checksum; the kind of the record follows.
const FRAME_HEAD: usize = 12;
const KIND_OF_EVENTS: u8 = 1;
const BLOCK: usize = 4096;
const SEGMENT_BYTES: u64 = 16 * 1024;

/// A store that is to be damaged, and what was in it.
struct Victim {
    bench: Bench,
    disk: SimDisk,
    dice: Rng,
    events: BTreeMap<EventId, Content>,
    was_closed: bool,
}

struct Content {
    number: u32,
    body: Vec<u8>,
    deliveries: Vec<Delivery>,
}

/// What was hit.
struct Hit {
    events: BTreeSet<EventId>,
    /// Whether something was that says what became of deliveries.
    others: bool,
    /// Whether it was what a crash left last. Nobody can tell that from what was being written when the crash came.
    crash: bool,
}

impl Victim {
    /// Some events, some of them settled; closed in good order, or not.
    async fn new(seed: u64) -> Self {
        let bench = Bench::new_in(folder());
        let mut victim = Self {
            bench,
            disk: SimDisk::default(),
            dice: Rng::with_seed(seed),
            events: BTreeMap::new(),
            was_closed: false,
        };
        let store = open(&victim.options()).unwrap();
        for number in 0..victim.dice.u32(5..40) {
            let size = if victim.dice.u8(0..4) == 0 { 6_000 } else { 100 };
            let body = format!(r#"{{"id":"event number {number}","event":"a.b","pad":"{}"}}"#, "x".repeat(size));
            let new = victim.bench.event_with(body.clone().into(), &["crm"]);
            let content = Content { number, body: body.into(), deliveries: Vec::new() };
            victim.events.insert(new.event.id, content);
            assert_eq!(store.accept(new).await.unwrap(), Acceptance::Created);
            victim.bench.pass(std::time::Duration::from_millis(1));
        }
        victim.settle_some(&store).await;
        victim.was_closed = victim.dice.bool();
        if victim.was_closed {
            store.close().await.unwrap();
        }
        victim
    }

    async fn settle_some(&mut self, store: &Embedded) {
        let now = self.bench.now();
        for claim in store.claim(&name("crm"), self.dice.usize(0..8), LEASE, Order::None).await.unwrap() {
            let verdict = if self.dice.bool() { Verdict::Done } else { Verdict::Dead(DeadReason::Rejected) };
            store.settle(vec![settlement(&claim, verdict, now)]).await.unwrap();
        }
        for summary in store.events(EventFilter::default(), everything()).await.unwrap().items {
            self.events.get_mut(&summary.id).unwrap().deliveries = summary.deliveries;
        }
    }

    fn options(&self) -> Options {
        Options {
            disk: Arc::new(self.disk.clone()),
            boot_id: "this boot".into(),
            segment_bytes: SEGMENT_BYTES,
            ..self.bench.options()
        }
    }

    /// Damages a file, and says what that hit.
    fn harm(&mut self) -> (String, Hit) {
        let nothing = Hit { events: BTreeSet::new(), others: false, crash: false };
        match self.dice.u8(0..10) {
            0..2 => (self.harm_index(), nothing),
            2 if self.disk.files().contains_key(&self.bench.path().join("checkpoint")) => {
                let checkpoint = self.bench.path().join("checkpoint");
                (self.harm_file(&checkpoint).0, nothing)
            }
            which => {
                let segments: Vec<PathBuf> = self.disk.files().into_keys().filter(|file| is_segment(file)).collect();
                let segment = self.dice.choice(&segments).unwrap().clone();
                let (mut what, before, after) = self.harm_file(&segment);
                if which < 6 {
                    fs::remove_dir_all(self.bench.path().join("index")).unwrap();
                    what.push_str(", and the index is gone");
                }
                let crash = !self.was_closed && segments.last() == Some(&segment);
                (what, Hit { crash, ..self.hit(&before, &after) })
            }
        }
    }

    fn harm_index(&mut self) -> String {
        let entries = fs::read_dir(self.bench.path().join("index")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
        files.sort();
        let file = self.dice.choice(&files).unwrap();
        let mut bytes = fs::read(file).unwrap();
        let what = harm(&mut bytes, &mut self.dice);
        fs::write(file, bytes).unwrap();
        format!("{}: {what}", file.file_name().unwrap().display())
    }

    fn harm_file(&mut self, file: &Path) -> (String, Vec<u8>, Vec<u8>) {
        let before = self.disk.files().remove(file).unwrap();
        let mut after = before.clone();
        let what = harm(&mut after, &mut self.dice);
        self.disk.replace(file, after.clone());
        (format!("{}: {what}", file.file_name().unwrap().display()), before, after)
    }

    /// Which records of a segment aren't what they were.
    fn hit(&self, before: &[u8], after: &[u8]) -> Hit {
        let mut hit = Hit { events: BTreeSet::new(), others: false, crash: false };
        let frames = (0..before.len()).step_by(8).filter(|at| before[*at..].starts_with(MARK));
        for start in frames {
            let len = u32::from_le_bytes(*before[start + MARK.len()..].first_chunk().unwrap());
            let frame = start..start + FRAME_HEAD + usize::try_from(len).unwrap();
            if after.get(frame.clone()) == before.get(frame.clone()) {
                continue;
            }
            let frame = &before[frame];
            hit.others |= frame[FRAME_HEAD] != KIND_OF_EVENTS;
            hit.events.extend(self.events.iter().find(|(_, event)| frame.ends_with(&event.body)).map(|(id, _)| *id));
        }
        hit
    }

    /// Whether all is there that wasn't hit. `Ok(false)` when the store said that it doesn't work.
    async fn examine(&self, store: &Embedded, hit: &Hit) -> Result<bool, Broken> {
        let Ok(listing) = store.events(EventFilter::default(), everything()).await else { return Ok(false) };
        let listed: BTreeMap<EventId, Vec<Delivery>> =
            listing.items.into_iter().map(|event| (event.id, event.deliveries)).collect();
        for (id, event) in self.events.iter().filter(|(id, _)| !hit.events.contains(id)) {
            let Ok(stored) = store.event(*id).await else { return Ok(false) };
            let body = stored.map(|stored| stored.event.body);
            if body.as_deref() != Some(event.body.as_slice()) {
                return Err(Broken::Lost(format!("event {id}, which wasn't hit")));
            }
            if !hit.others && listed.get(id) != Some(&event.deliveries) {
                return Err(Broken::Lost(format!("what became of event {id}, which wasn't hit")));
            }
        }
        if !self.examine_hit(store, hit).await? {
            return Ok(false);
        }
        let report = store.report();
        let lost = self.events.keys().filter(|id| !listed.contains_key(id)).count();
        if lost > 0 && report.damaged_bytes == 0 && !hit.crash {
            return Err(Broken::Wrong(format!("{lost} events were lost in silence: {report:?}")));
        }
        self.use_it(store, hit).await
    }

    /// Whether what was hit is what it was, or is told to be damaged. `Ok(false)` when the store said that it doesn't work.
    async fn examine_hit(&self, store: &Embedded, hit: &Hit) -> Result<bool, Broken> {
        for id in &hit.events {
            let Ok(stored) = store.event(*id).await else { return Ok(false) };
            let is_told = hit.crash || store.stats().damage != Damage::default();
            match stored {
                Some(stored) if stored.event.body != self.events[id].body => {
                    return Err(Broken::Wrong(format!("event {id} has another body, and passes for whole")));
                }
                None if !is_told => return Err(Broken::Wrong(format!("event {id} can't be read, and nobody is told"))),
                _ => {}
            }
        }
        Ok(true)
    }

    /// Whether the store does its work.
    async fn use_it(&self, store: &Embedded, hit: &Hit) -> Result<bool, Broken> {
        for (id, event) in self.events.iter().filter(|(id, _)| !hit.events.contains(id)).take(3) {
            let again = self.bench.event_with(event.body.clone(), &["crm"]);
            match store.accept(again).await {
                Ok(Acceptance::Duplicate(first)) if first == *id => {}
                Ok(answer) => return Err(Broken::Lost(format!("the receipt of event {}: {answer:?}", event.number))),
                Err(_) => return Ok(false),
            }
        }
        let claims = store.claim(&name("crm"), 100, LEASE, Order::None).await;
        let Ok(claims) = claims else { return Ok(false) };
        let settlements = claims.iter().map(|claim| settlement(claim, Verdict::Release, self.bench.now())).collect();
        Ok(store.settle(settlements).await.is_ok() && store.tidy().await.is_ok() && store.close().await.is_ok())
    }
}

fn is_segment(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "journal")
}

/// Damages bytes in one of the ways in which disks do it, and says how.
fn harm(bytes: &mut Vec<u8>, dice: &mut Rng) -> String {
    if bytes.is_empty() {
        return "nothing, it is empty".into();
    }
    let at = dice.usize(0..bytes.len());
    let block = at / BLOCK * BLOCK..(at / BLOCK * BLOCK + BLOCK).min(bytes.len());
    match dice.u8(0..4) {
        0 => {
            let bit = dice.u8(0..8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at} is flipped")
        }
        1 => {
            bytes[block].fill(0);
            format!("the block of byte {at} is zeros")
        }
        2 => {
            bytes[block].fill_with(|| dice.u8(..));
            format!("the block of byte {at} is nonsense")
        }
        _ => {
            bytes.truncate(at);
            format!("cut off at {at}")
        }
    }
}

async fn trial(seed: u64, tally: &mut Tally) -> Result<(), Broken> {
    let mut victim = Victim::new(seed).await;
    wait_until_left(victim.bench.path());
    let (what, hit) = victim.harm();
    tally.trials += 1;
    tally.acknowledged += victim.events.len() as u64;
    let outcome = async {
        // A store that finds damage while it runs says so and ends; the next start makes it good.
        for _ in 0..2 {
            let store = open(&victim.options()).map_err(|refusal| Broken::Unopenable(refusal.to_string()))?;
            if victim.examine(&store, &hit).await? {
                return Ok(());
            }
        }
        Err(Broken::Unopenable("it opens, but doesn't work".into()))
    };
    outcome.await.map_err(|broken| broken.during(&what))
}

/// Found by it: damage of the last records of a segment was taken for its end, and told to nobody.
#[test]
fn whatever_is_damaged_the_store_opens_with_all_that_was_not_hit() {
    run("damage", asked_for("damage").unwrap_or(40), |seed, tally| block_on(trial(seed, tally)));
}
