//! How large a filter may be: what one request can cost before the database is asked.
//!
//! Must stay true: every spelling is held to the same bounds, and a filter beyond one is refused by that bound's name.

/// Characters in the text of a filter, and in one value of its other spellings.
pub const LONGEST_TEXT: usize = 4_000;
/// Conditions within conditions.
pub const DEEPEST: usize = 16;
/// Comparisons in one filter.
pub const MOST_COMPARISONS: usize = 100;
/// Values in one list.
pub const MOST_VALUES: usize = 100;
/// Values in all lists together.
pub const MOST_VALUES_IN_ALL: usize = 1_000;
/// Characters in the name of a key of an object.
pub const LONGEST_KEY: usize = 200;
/// Digits in a number that is compared with a key of an object.
pub const MOST_DIGITS: usize = 40;
/// Days that a moment is moved by at most: a hundred years.
pub const MOST_DAYS: i32 = 36_525;
/// Periods that a start lies before or after the present one at most.
pub const MOST_PERIODS: i32 = 1_200;
