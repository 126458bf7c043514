//! What values may be, on the data that others have gathered about it; `tests/data/SOURCE.txt` says whose it is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod codes;
mod email;
mod phone;
mod texts;
