//! The index over real sled, against a model: what is recent and what is written, in one order.

use std::{collections::BTreeMap, ops::RangeBounds};

use proptest::prelude::*;

use super::*;
use crate::model::{Name, Timestamp};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn timed_keys_sort_by_time_and_read_back() {
    let event = EventId::from_bytes([9; 16]);
    let (early, late) = (Timestamp::from_millis(255), Timestamp::from_millis(256));
    assert!(timed_key(&name("crm"), early, event) < timed_key(&name("crm"), late, event));
    assert_eq!(parse_timed_key(&timed_key(&name("crm"), late, event)), Some((name("crm"), late, event)));
}

#[test]
fn one_name_never_finds_the_keys_of_another() {
    let event = EventId::from_bytes([0; 16]);
    let longer = timed_key(&name("crm-eu"), Timestamp::EPOCH, event);
    assert!(!longer.starts_with(&timed_prefix(&name("crm"))));
    assert!(!call_key("CALL-12", event).starts_with(&call_prefix("CALL-1")));
}

#[test]
fn changes_to_several_tables_are_made_together() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path()).unwrap();
    let mut changes = Changes::default();
    changes.insert(Table::Dedup, &[1; 16], encode(&EventId::from_bytes([2; 16])));
    changes.insert(Table::Due, b"gone", Vec::new());
    changes.remove(Table::Due, b"gone");
    index.apply(changes).unwrap();
    assert_eq!(index.first_with(DedupKey::from_bytes([1; 16])).unwrap(), Some(EventId::from_bytes([2; 16])));
    assert_eq!(index.scan(Table::Due, EVERYTHING).count(), 0);
}

const TABLES: [Table; 4] = [Table::Event, Table::Due, Table::Call, Table::Dedup];

/// Something that is done to an index.
#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<(Table, u16, Option<u16>)>),
    /// More than half of what fills a shelf comes, or goes.
    ApplyMany(bool),
    Flush,
    Reopen,
    /// A copy of the files is begun.
    Copy,
    /// It is gone on with.
    GoOn,
    /// It is finished and takes their place.
    Compact,
}

fn change() -> impl Strategy<Value = (Table, u16, Option<u16>)> {
    (prop::sample::select(TABLES.to_vec()), 0_u16..400, prop::option::weighted(0.6, 0_u16..300))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(change(), 1..120).prop_map(Step::Apply),
        1 => any::<bool>().prop_map(Step::ApplyMany),
        2 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => Just(Step::Copy),
        4 => Just(Step::GoOn),
        1 => Just(Step::Compact),
    ]
}

fn event(number: u16) -> EventId {
    EventId::from_bytes(u128::from(number).to_be_bytes())
}

/// Keys as the table has them: for calls, some hundred of some ten calls.
fn key(table: Table, number: u16) -> Vec<u8> {
    match table {
        Table::Call => call_key(&format!("CALL-{}", number % 9), event(number)),
        Table::Dedup => {
            u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c2e_4f2b_9a11).to_be_bytes().to_vec()
        }
        _ => event(number).as_bytes().to_vec(),
    }
}

type Model = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

fn apply(index: &Index, model: &mut Model, changes: &[(Table, u16, Option<u16>)]) {
    let mut batch = Changes::default();
    for (table, number, value) in changes {
        let key = key(*table, *number);
        // Some values are as long as a page, so that pages are split.
        let value = value.map(|len| vec![7; usize::from(len) * usize::from(len) / 30]);
        let Some(value) = value else {
            model.remove(&(*table, key.clone()));
            batch.remove(*table, &key);
            continue;
        };
        if model.insert((*table, key.clone()), value.clone()).is_some() {
            batch.insert(*table, &key, value);
        } else {
            batch.insert_new(*table, &key, value);
        }
    }
    index.apply(batch).unwrap();
}

fn expected(model: &Model, table: Table, range: &Range) -> Vec<Item> {
    let of_table = model.range((table, Vec::new())..).take_while(|((of, _), _)| *of == table);
    let within = of_table.filter(|((_, key), _)| range.contains(key));
    within.map(|((_, key), value)| (key.clone(), value.clone())).collect()
}

fn is_what(index: &Index, model: &Model, table: Table, range: &Range) {
    let mut expected = expected(model, table, range);
    let found: Vec<_> = index.scan(table, range.clone()).map(Result::unwrap).collect();
    assert_eq!(found, expected, "{table:?} {range:?}");
    expected.reverse();
    let found: Vec<_> = index.scan_back(table, range.clone()).map(Result::unwrap).collect();
    assert_eq!(found, expected, "{table:?} {range:?}, back");
}

fn is_the_same(index: &Index, model: &Model, between: (u16, u16)) {
    for table in [Table::Event, Table::Due] {
        let (from, to) = (key(table, between.0), key(table, between.1));
        is_what(index, model, table, &EVERYTHING);
        is_what(index, model, table, &(Bound::Included(from.clone()), Bound::Excluded(to.clone())));
        is_what(index, model, table, &(Bound::Excluded(from), Bound::Included(to.clone())));
        is_what(index, model, table, &(Bound::Unbounded, Bound::Excluded(to)));
    }
    for call in 0..10 {
        let prefix = call_prefix(&format!("CALL-{call}"));
        is_what(index, model, Table::Call, &prefixed(prefix.clone()));
        let some = (Bound::Included(prefix), Bound::Excluded(call_key(&format!("CALL-{call}"), event(between.1))));
        is_what(index, model, Table::Call, &some);
    }
    for number in 0..400 {
        let key = key(Table::Dedup, number);
        let known = model.get(&(Table::Dedup, key.clone()));
        assert_eq!(index.value(Table::Dedup, &key).unwrap().as_ref(), known, "{number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn an_index_has_what_a_sorted_map_has(steps in prop::collection::vec(step(), 1..30), from in 0_u16..400, to in 0_u16..400) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let mut index = Some(Index::open(&path).unwrap());
        let mut model = Model::new();
        for step in &steps {
            let open = index.take().unwrap();
            index = Some(match step {
                Step::Apply(changes) => {
                    apply(&open, &mut model, changes);
                    open
                }
                Step::ApplyMany(comes) => {
                    let changes: Vec<_> =
                        (400..5_400).map(|number| (Table::Dedup, number, comes.then_some(3))).collect();
                    apply(&open, &mut model, &changes);
                    open
                }
                Step::Flush => {
                    open.flush().unwrap();
                    open
                }
                Step::Reopen => {
                    open.persist().unwrap();
                    drop(open);
                    Index::open(&path).unwrap()
                }
                Step::Copy => {
                    open.writer().copy = Some(Copy::start(&path).unwrap());
                    open
                }
                Step::GoOn => {
                    let mut writer = open.writer();
                    writer.copy.as_mut().map(|copy| copy.advance(&open.files()).unwrap());
                    drop(writer);
                    open
                }
                Step::Compact => {
                    assert!(open.copy_all(|| false).is_ok());
                    open.replace_files().unwrap();
                    open
                }
            });
            is_the_same(index.as_ref().unwrap(), &model, (from, to));
        }
        let index = index.unwrap();
        for table in [Table::Call, Table::Dedup] {
            let mut found: Vec<_> = index.scan(table, EVERYTHING).map(Result::unwrap).collect();
            found.sort();
            prop_assert_eq!(found, expected(&model, table, &EVERYTHING));
        }
    }
}

#[test]
fn a_place_in_the_queue_that_came_and_went_never_reached_sled() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path()).unwrap();
    // Fewer than make a write due.
    for round in 0..400_u64 {
        let key = timed_key(&name("crm"), Timestamp::EPOCH, EventId::from_bytes(u128::from(round).to_be_bytes()));
        let (mut came, mut went) = (Changes::default(), Changes::default());
        came.insert_new(Table::Due, &key, Vec::new());
        went.remove(Table::Due, &key);
        index.apply(came).unwrap();
        index.apply(went).unwrap();
    }
    assert_eq!(index.recent.read().changes.of(Table::Due).count(), 0);
    assert!(index.files().db.is_empty());
}

const MANY: u64 = 2_000;

#[test]
fn keys_of_many_shelves_are_all_found_and_shelves_that_are_empty_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let index = Index::open(dir.path()).unwrap();
    let keys =
        || (0_u128..20_000).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c2e_4f2b_9a11).to_be_bytes());
    let mut all = Changes::default();
    keys().for_each(|key| all.insert_new(Table::Dedup, &key, vec![1]));
    index.apply(all).unwrap();
    index.flush().unwrap();
    assert_eq!(index.shelves().of(Table::Dedup), [0, 1]);
    assert!(keys().all(|key| index.contains(Table::Dedup, &key).unwrap()));
    let in_vain =
        (0_u128..10_000).filter(|number| !index.shelves().with(Table::Dedup, &number.to_be_bytes()).is_empty());
    assert!(in_vain.count() < 100, "the filters keep most lookups from sled");

    let mut none = Changes::default();
    keys().for_each(|key| none.remove(Table::Dedup, &key));
    index.apply(none).unwrap();
    index.flush().unwrap();
    assert_eq!(index.shelves().of(Table::Dedup), [1], "the newest stays");
    assert!(!keys().any(|key| index.contains(Table::Dedup, &key).unwrap()));
}

#[test]
fn keys_that_come_and_go_leave_no_notes_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let index = Index::open(&path).unwrap();
    let write = |changes| {
        index.apply(changes).unwrap();
        index.write_recent(&mut index.writer()).unwrap();
    };
    for number in 0..MANY {
        let (mut came, mut went) = (Changes::default(), Changes::default());
        came.insert_new(Table::Dedup, &number.to_be_bytes(), vec![1]);
        went.remove(Table::Dedup, &number.checked_sub(10).unwrap_or(MANY).to_be_bytes());
        write(came);
        write(went);
    }
    assert!(index.files().db.scan_prefix([Table::Note as u8]).count() <= 1024);
    index.persist().unwrap();
    drop(index);
    let again = Index::open(&path).unwrap();
    let left = (0..MANY).filter(|number| again.contains(Table::Dedup, &number.to_be_bytes()).unwrap());
    assert_eq!(left.collect::<Vec<_>>(), (MANY - 10..MANY).collect::<Vec<_>>());
}

/// An index with `many` events in sled, and after that without most of them.
fn emptied(path: &Path, many: u128) -> Index {
    let index = Index::open(path).unwrap();
    let key = |number: u128| number.to_be_bytes();
    let (mut all, mut most) = (Changes::default(), Changes::default());
    (0..many).for_each(|number| all.insert(Table::Event, &key(number), vec![9; 400]));
    (10..many).for_each(|number| most.remove(Table::Event, &key(number)));
    for changes in [all, most] {
        index.apply(changes).unwrap();
        index.flush().unwrap();
    }
    index
}

#[test]
fn files_that_a_backlog_has_left_become_small_again_and_hold_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let index = emptied(&path, 20_000);
    let (bytes, held) = (index.bytes(), index.scan(Table::Event, EVERYTHING).map(Result::unwrap).collect::<Vec<_>>());
    assert!(index.is_bloated(10, 0), "{bytes} bytes");
    assert!(!index.is_bloated(10, bytes), "what is small enough is left alone");
    assert!(!index.is_bloated(bytes / compaction::BYTES_PER_EVENT, 0), "so is what holds as much as it takes");
    index.compact(|| false).unwrap();
    assert!(index.bytes() < bytes / 4, "{} of {bytes} bytes", index.bytes());
    assert!(!index.is_bloated(10, 0), "once is enough");
    assert_eq!(index.scan(Table::Event, EVERYTHING).map(Result::unwrap).collect::<Vec<_>>(), held);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    drop(index);
    let again = Index::open(&path).unwrap();
    assert_eq!(again.scan(Table::Event, EVERYTHING).map(Result::unwrap).collect::<Vec<_>>(), held);
}

#[test]
fn a_copy_that_is_called_off_leaves_the_files_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let index = emptied(&dir.path().join("index"), 2_000);
    let bytes = index.bytes();
    index.compact(|| true).unwrap();
    assert_eq!(index.bytes(), bytes);
    assert_eq!(index.scan(Table::Event, EVERYTHING).count(), 10);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn whoever_writes_while_the_files_are_copied_finds_it_in_the_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let index = emptied(&dir.path().join("index"), 20_000);
    std::thread::scope(|threads| {
        let compaction = threads.spawn(|| index.compact(|| false).unwrap());
        let mut written = 0_u128;
        while written < 1_000 {
            let mut one = Changes::default();
            one.insert(Table::Event, &(written << 64).to_be_bytes(), vec![8; 2_000]);
            index.apply(one).unwrap();
            written += 1;
            assert!(index.contains(Table::Event, &((written - 1) << 64).to_be_bytes()).unwrap());
        }
        compaction.join().unwrap();
        for number in 0..written {
            assert!(index.contains(Table::Event, &(number << 64).to_be_bytes()).unwrap(), "{number} of {written}");
        }
    });
}
