//! Pages and cursors. Keyset only: the place is the sort key and id of the last record seen, so page one million costs
//! what page one costs, and a record that appears meanwhile moves nothing.
//!
//! Must stay true: a cursor is a bookmark, not a permission; it carries nothing that its holder has not seen.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{Error, Result};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// The records, in order.
    pub data: Vec<T>,
    /// Where it goes on.
    pub page: PageInfo,
}

/// Where a list goes on, and how long it is if that was asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct PageInfo {
    /// Pass as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// How many records match; only with `count=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Total>,
}

/// How many records match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
pub struct Total {
    /// The number counted.
    pub count: i64,
    /// False when counting stopped at the bound: there are more than `count`.
    pub exact: bool,
}

/// Counting stops here: an exact count of a million costs hundreds of times what this does.
pub const COUNT_BOUND: i64 = 10_000;

impl Total {
    /// From a count that looked at one record more than the bound.
    #[must_use]
    pub fn bounded(counted: i64) -> Self {
        Self { count: counted.min(COUNT_BOUND), exact: counted <= COUNT_BOUND }
    }
}

impl<T> Page<T> {
    /// Makes a page from up to `limit + 1` records: the one too many only tells that there are more.
    #[must_use]
    pub fn from_rows(query: &crate::ListQuery, mut rows: Vec<T>, total: Option<Total>, place: fn(&T, &str) -> Position) -> Self {
        let has_more = rows.len() > usize::from(query.limit);
        rows.truncate(usize::from(query.limit));
        let last = rows.last().filter(|_| has_more);
        let key = if query.custom_sort.is_some() { CUSTOM_SORT } else { query.sort.field.name };
        let next_cursor = last.map(|row| query.cursor(place(row, key)));
        Self { data: rows, page: PageInfo { next_cursor, has_more, total } }
    }

    /// The same page with each record changed into something else.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(change).collect(), page: self.page }
    }
}

/// What a list calls its key when a custom field decides the order.
pub const CUSTOM_SORT: &str = "custom_fields";

/// The place of a record in an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The value of the sort key; null where the record has none.
    #[serde(rename = "k")]
    pub key: Value,
    /// Breaks ties.
    #[serde(rename = "i")]
    pub id: Uuid,
}

impl Position {
    /// The place of a record with this key.
    pub fn new(key: impl Into<Value>, id: impl Into<Uuid>) -> Self {
        Self { key: key.into(), id: id.into() }
    }

    /// The key as the type the order compares, or a complaint about the cursor.
    ///
    /// # Errors
    /// `Malformed` when someone has put another value there.
    pub fn key<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.key.clone()).map_err(|_| damaged())
    }
}

/// A place together with the question it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Where to go on.
    #[serde(rename = "p")]
    pub position: Position,
    /// Fingerprint of kind of record, filter and order.
    #[serde(rename = "q")]
    pub question: String,
}

impl Cursor {
    /// As opaque text.
    #[must_use]
    pub fn encode(&self) -> String {
        // Serialising plain data into a vector cannot fail; an empty cursor would only be refused when it comes back.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// From opaque text.
    ///
    /// # Errors
    /// `Malformed` when it is not one of ours.
    pub fn decode(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
        let cursor: Self = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        // PostgreSQL text cannot hold U+0000: refuse it here, where the parameter can still be named.
        if cursor.position.key.as_str().is_some_and(|key| key.contains('\0')) { Err(damaged()) } else { Ok(cursor) }
    }
}

fn damaged() -> Error {
    Error::malformed("cursor", "cursor", "not a cursor of this list")
}
