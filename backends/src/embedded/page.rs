//! Pages of lists that are ordered by time and id. A page starts after an entry, not at a count, so that
//! entries that come and go between two pages move nothing.

use crate::store::{PAGE_LIMIT, Page, PageRequest};

/// The place of an entry in its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: i64,
    pub(super) id: String,
}

impl Place {
    /// Where the page starts; none for the first one.
    pub(super) fn after(request: &PageRequest) -> Option<Self> {
        let (at, id) = request.after.as_deref()?.split_once('.')?;
        Some(Self { at: at.parse().ok()?, id: id.to_owned() })
    }

    fn to_text(&self) -> String {
        format!("{}.{}", self.at, self.id)
    }
}

/// How many entries the page has at most.
pub(super) fn size(request: &PageRequest) -> usize {
    usize::try_from(request.limit.clamp(1, PAGE_LIMIT)).unwrap_or(1)
}

/// The page of the first `size` of `items`, of which there should be one more if there is another page.
pub(super) fn cut<T>(mut items: Vec<T>, size: usize, place: impl FnOnce(&T) -> Place) -> Page<T> {
    let has_more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| has_more).map(|item| place(item).to_text());
    Page { items, next }
}
