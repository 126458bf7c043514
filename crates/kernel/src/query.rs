//! One question to a list: filter, order, place, size. Every noun's list takes it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::{Cursor, CustomField, Error, Field, Filter, Position, Result};

/// How many records a page holds unless the caller says otherwise.
pub const DEFAULT_LIMIT: u16 = 50;
/// How many records a page holds at most.
pub const LARGEST_LIMIT: u16 = 200;

/// A question to a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// The kind of record that is asked for, as its cursors name it: `contact`. Empty where only one kind is ever asked for.
    pub of: &'static str,
    /// What to narrow to.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// The custom field that decides the order in place of the sort's own; it is one that the database keeps in order.
    pub custom_sort: Option<Arc<CustomField>>,
    /// Records per page, 1 to [`LARGEST_LIMIT`].
    pub limit: u16,
    /// Behind which record the page begins.
    pub after: Option<Position>,
    /// Living records, the bin, or both.
    pub deleted: Deleted,
    /// Whether to say how many there are in all.
    pub count: Count,
    /// Whether what it costs is asked before it runs.
    pub cost: Cost,
}

/// Which records take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deleted {
    /// Only living records.
    #[default]
    Exclude,
    /// Only the bin; for owner and admin.
    Only,
}

/// Whether a list is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Count {
    /// No: the cheap way.
    #[default]
    Skip,
    /// Up to a bound, see [`crate::Total`].
    Bounded,
}

/// What is known of what a list costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cost {
    /// Nothing: it is asked, and what would read too much is refused.
    #[default]
    Unknown,
    /// The first page was affordable, and what was begun with it must not end in the middle: the statement timeout alone bounds the others.
    Accepted,
}

/// One key and its direction; the id breaks ties in the same direction, records without a value come last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sort {
    /// A sortable field of the noun.
    pub field: &'static Field,
    /// Which way.
    pub direction: Direction,
}

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

impl ListQuery {
    /// Everything alive, in this order, first page.
    #[must_use]
    pub fn all(sort: Sort) -> Self {
        let (filter, limit) = (Filter::default(), DEFAULT_LIMIT);
        let (deleted, count, cost) = (Deleted::Exclude, Count::Skip, Cost::Unknown);
        Self { of: "", filter, sort, custom_sort: None, limit, after: None, deleted, count, cost }
    }

    /// Continues behind a cursor.
    ///
    /// # Errors
    /// `Malformed` when the cursor is damaged or was issued for other records, another filter or order.
    pub fn continue_after(mut self, cursor: &str) -> Result<Self> {
        let cursor = Cursor::decode(cursor)?;
        if cursor.question != self.fingerprint() {
            return Err(Error::malformed("cursor", "cursor", "this cursor was issued for another list, filter or sort"));
        }
        self.after = Some(cursor.position);
        Ok(self)
    }

    /// The cursor that continues behind this place of this question.
    #[must_use]
    pub fn cursor(&self, position: Position) -> String {
        Cursor { position, question: self.fingerprint() }.encode()
    }

    /// Ties a cursor to what was asked: all that decides which records come in which order.
    fn fingerprint(&self) -> String {
        let mut asked = format!("{} {} {:?} {:?}", self.of, self.filter.asked(), self.sort, self.deleted);
        if let Some(custom) = &self.custom_sort {
            asked.push_str(&format!(" {} {:?}", custom.id, custom.ordered));
        }
        Sha256::digest(asked).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}
