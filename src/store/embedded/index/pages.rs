//! Pages: many small items of ours in one value of sled's.
//!
//! sled splits a node at 16 items, and keeps some 200 bytes in memory for each node, whether it is in the cache or not. With
//! an item for each of ours, a million events would take 100 MB of memory before anything is cached, and 14 µs a key to
//! write. So a sorted stretch of items is one value, behind the key where the stretch began when it was made:
//!
//! ```text
//! sled's key     space ‖ first key         sled's value   key length u16 │ value length u32 │ key │ value │ … the next item
//! ```
//!
//! A space is what starts the keys in sled: a table's number, for scattered tables ([`super::shelves`]) also that of a shelf.
//! A page reaches up to where the next one of its space begins. It is split when it is too long, and removed when nothing is
//! left in it; two pages are never joined, so that whoever goes from page to page while others write misses nothing.

use std::ops::Bound;

use super::{IndexError, Item, Range, changes::Change, files::Write, recent::Towards};

/// Pages are about this long. sled's nodes have up to 16 of them and have to stay below 128 KiB, beyond which sled would put
/// them into files that it never syncs.
pub(super) const PAGE_BYTES: usize = 2048;
/// Lengths of key and value.
const ITEM_HEAD: usize = 6;

/// The pages in sled.
#[derive(Clone)]
pub(super) struct Pages(pub(super) sled::Db);

/// A page as it is in sled.
struct Page {
    /// Its key in sled.
    at: Vec<u8>,
    items: sled::IVec,
}

impl Pages {
    /// The value of a key.
    pub(super) fn get(&self, space: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let Some(page) = self.page_of(space, key)? else { return Ok(None) };
        for item in items(&page.items) {
            let (found, value) = item?;
            if found >= key {
                return Ok((found == key).then(|| value.to_vec()));
            }
        }
        Ok(None)
    }

    /// Up to `limit` items of a range, and some more, the nearest first as `towards` goes. Fewer mean that there are no others.
    pub(super) fn range(
        &self,
        space: &[u8],
        range: &Range,
        limit: usize,
        towards: Towards,
    ) -> Result<Vec<Item>, IndexError> {
        let mut found = Vec::new();
        let mut next = match (towards, range) {
            (Towards::End, (Bound::Included(key) | Bound::Excluded(key), _)) => match self.page_of(space, key)? {
                None => self.page_after(space, &[space, key].concat())?,
                page => page,
            },
            (Towards::End, _) => self.first_page(space)?,
            (Towards::Start, (_, Bound::Included(key) | Bound::Excluded(key))) => self.page_of(space, key)?,
            (Towards::Start, _) => self.page_before(space, &past(space))?,
        };
        while let Some(page) = next.take() {
            let start = page.at.get(space.len()..).unwrap_or_default();
            if towards == Towards::End && is_after(&range.1, start) {
                break;
            }
            take_within(&page.items, range, towards, &mut found)?;
            if found.len() >= limit {
                break;
            }
            next = match towards {
                Towards::End => self.page_after(space, &page.at)?,
                Towards::Start if is_before(&range.0, start) => None,
                Towards::Start => self.page_before(space, &page.at)?,
            };
        }
        Ok(found)
    }

    /// All items of a space.
    pub(super) fn all(&self, space: &[u8]) -> impl Iterator<Item = Result<Item, IndexError>> + Send + use<> {
        self.0.range(space.to_vec()..past(space)).flat_map(|found| match page(Some(found)) {
            Ok(page) => page.iter().flat_map(|page| items(&page.items)).map(owned).collect(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Adds to `writes` what makes `changes`, which are sorted and all of this space.
    pub(super) fn update<'a>(
        &self,
        space: &[u8],
        changes: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
        writes: &mut Vec<Write>,
    ) -> Result<(), IndexError> {
        let mut changes = changes.into_iter().peekable();
        while let Some((first, _)) = changes.peek().copied() {
            let page = self.page_of(space, first)?;
            let from = page.as_ref().map_or_else(|| [space, first].concat(), |page| page.at.clone());
            let end = self.page_after(space, &[space, first].concat())?.map(|page| page.at);
            let end = end.as_ref().and_then(|end| end.get(space.len()..));
            let mut of_page = Vec::new();
            while let Some(change) = changes.next_if(|(key, _)| end.is_none_or(|end| *key < end)) {
                of_page.push(change);
            }
            let old = page.as_ref().map_or(&[][..], |page| &page.items);
            rewrite(space, &from, &merged(old, &of_page)?, writes);
        }
        Ok(())
    }

    /// The page that has a key, if any has.
    fn page_of(&self, space: &[u8], key: &[u8]) -> Result<Option<Page>, IndexError> {
        let at = [space, key].concat();
        page(self.0.range(space.to_vec()..=at).next_back())
    }

    fn page_after(&self, space: &[u8], at: &[u8]) -> Result<Option<Page>, IndexError> {
        page(self.0.range((Bound::Excluded(at.to_vec()), Bound::Excluded(past(space)))).next())
    }

    fn page_before(&self, space: &[u8], at: &[u8]) -> Result<Option<Page>, IndexError> {
        page(self.0.range(space.to_vec()..at.to_vec()).next_back())
    }

    fn first_page(&self, space: &[u8]) -> Result<Option<Page>, IndexError> {
        page(self.0.range(space.to_vec()..past(space)).next())
    }
}

fn page(found: Option<sled::Result<(sled::IVec, sled::IVec)>>) -> Result<Option<Page>, IndexError> {
    let Some(found) = found else { return Ok(None) };
    let (at, items) = found?;
    if items.is_empty() {
        return Err(IndexError::Unreadable);
    }
    Ok(Some(Page { at: at.to_vec(), items }))
}

/// The first key behind all of a space. No space ends with the greatest byte: tables and shelves are counted from below.
fn past(space: &[u8]) -> Vec<u8> {
    match super::prefixed(space.to_vec()).1 {
        Bound::Excluded(end) => end,
        Bound::Included(_) | Bound::Unbounded => Vec::new(),
    }
}

/// Whether `key` and all after it lie behind the end of a range.
fn is_after(to: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    match to {
        Bound::Included(to) => key > to.as_slice(),
        Bound::Excluded(to) => key >= to.as_slice(),
        Bound::Unbounded => false,
    }
}

/// Whether `key` and all before it lie in front of the start of a range.
fn is_before(from: &Bound<Vec<u8>>, key: &[u8]) -> bool {
    match from {
        Bound::Included(from) => key < from.as_slice(),
        Bound::Excluded(from) => key <= from.as_slice(),
        Bound::Unbounded => false,
    }
}

fn take_within(page: &[u8], range: &Range, towards: Towards, found: &mut Vec<Item>) -> Result<(), IndexError> {
    let start = found.len();
    for item in items(page) {
        let (key, value) = item?;
        if !is_before(&range.0, key) && !is_after(&range.1, key) {
            found.push((key.to_vec(), value.to_vec()));
        }
    }
    if towards == Towards::Start {
        found.get_mut(start..).unwrap_or_default().reverse();
    }
    Ok(())
}

/// An item where it lies.
pub(super) type Borrowed<'a> = (&'a [u8], &'a [u8]);

/// The items of a page.
pub(super) fn items(mut rest: &[u8]) -> impl Iterator<Item = Result<Borrowed<'_>, IndexError>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((item, after)) = split_item(rest) else {
            rest = &[];
            return Some(Err(IndexError::Unreadable));
        };
        rest = after;
        Some(Ok(item))
    })
}

fn owned(item: Result<Borrowed<'_>, IndexError>) -> Result<Item, IndexError> {
    item.map(|(key, value)| (key.to_vec(), value.to_vec()))
}

fn split_item(bytes: &[u8]) -> Option<(Borrowed<'_>, &[u8])> {
    let ([k0, k1, v0, v1, v2, v3], rest) = bytes.split_first_chunk::<ITEM_HEAD>()?;
    let (key, rest) = rest.split_at_checked(u16::from_le_bytes([*k0, *k1]).into())?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes([*v0, *v1, *v2, *v3]) as usize)?;
    Some(((key, value), rest))
}

/// Appends an item to a page.
pub(super) fn push_item(page: &mut Vec<u8>, (key, value): Borrowed<'_>) {
    page.extend(u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
    page.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    page.extend_from_slice(key);
    page.extend_from_slice(value);
}

/// The items of a page after `changes`.
fn merged<'a>(old: &'a [u8], changes: &[(&'a [u8], Option<&'a [u8]>)]) -> Result<Vec<Borrowed<'a>>, IndexError> {
    let mut changes = changes.iter().copied().peekable();
    let mut merged = Vec::new();
    let set = |(key, value): (&'a [u8], Option<&'a [u8]>)| value.map(|value| (key, value));
    for item in items(old) {
        let (key, value) = item?;
        while let Some(change) = changes.next_if(|(changed, _)| *changed < key) {
            merged.extend(set(change));
        }
        match changes.next_if(|(changed, _)| *changed == key) {
            Some(change) => merged.extend(set(change)),
            None => merged.push((key, value)),
        }
    }
    merged.extend(changes.filter_map(set));
    Ok(merged)
}

/// Writes what is now in the page at `from`, as one page or several of about the same length.
fn rewrite(space: &[u8], from: &[u8], items: &[Borrowed<'_>], writes: &mut Vec<Write>) {
    if items.is_empty() {
        writes.push((from.to_vec(), None));
        return;
    }
    let total: usize = items.iter().map(|(key, value)| ITEM_HEAD + key.len() + value.len()).sum();
    let each = total.div_ceil(total.div_ceil(PAGE_BYTES));
    let (mut at, mut page) = (from.to_vec(), Vec::with_capacity(PAGE_BYTES));
    for item in items {
        if page.len() >= each {
            writes.push((std::mem::replace(&mut at, [space, item.0].concat()), Some(std::mem::take(&mut page))));
        }
        push_item(&mut page, *item);
    }
    writes.push((at, Some(page)));
}

/// A change as [`Pages::update`] takes it.
pub(super) fn as_update<'a>((key, change): (&'a [u8], &'a Change)) -> (&'a [u8], Option<&'a [u8]>) {
    (key, change.value().map(Vec::as_slice))
}
