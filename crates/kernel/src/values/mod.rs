//! Values whose outside shape is a promise: money as a decimal string, times in UTC with microseconds, plain dates,
//! JSON objects and what a merge patch does to them.
//!
//! Must stay true: no float ever holds money; what was accepted comes back as it was sent.

mod money;
mod object;
mod time;

pub use money::Money;
pub use object::{Object, ObjectChange, Tags};
pub use time::{Date, Timestamp};

use serde::{Deserialize, Deserializer};

/// For merge patches, where `null` and absence differ: `null` becomes `Some(None)`, a value `Some(Some(value))`.
/// Use with `#[serde(default, deserialize_with = "nullable")]`.
///
/// # Errors
/// Those of the inner type.
pub fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// For merge patches of fields that cannot be emptied: `null` is an error instead of silently meaning "absent".
/// Use with `#[serde(default, deserialize_with = "present")]`.
///
/// # Errors
/// Those of the inner type, `null` included.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
