//! What was asked, before anyone knows whether the fields exist: what the text and the JSON form have in common.
//!
//! Must stay true: each part knows its place, so that whatever is wrong with it can be said there.

use super::{Operator, Relative};
use crate::FieldError;

/// A condition in the caller's words.
#[derive(Debug, Clone)]
pub(super) enum Syntax {
    /// Joined by AND.
    All(Place, Vec<Self>),
    /// Joined by OR.
    Any(Place, Vec<Self>),
    /// Behind a NOT.
    Not(Place, Box<Self>),
    /// A path of names, an operator and values.
    Compare(Vec<Word>, At<Operator>, Vec<At<Spelling>>),
}

/// Something and where it was said.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) place: Place,
    pub(super) what: T,
}

/// A name on the way to a field.
pub(super) type Word = At<String>;

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind so many bytes of the text.
    Text(usize),
    /// RFC 6901 pointer into the body.
    Json(String),
}

/// A value in the caller's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spelling {
    /// In quotes.
    Quoted(String),
    /// A number, a date or a time without quotes.
    Bare(String),
    Null,
    Boolean(bool),
    Relative(Relative),
    /// `*`: any value at all.
    Present,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) place: Place,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Complaint {
    pub(super) fn new(place: &Place, code: &'static str, message: impl Into<String>) -> Self {
        Self { place: place.clone(), code, message: message.into() }
    }

    /// As the one error of the API. A place in a text is told by line and column, both counted from 1 in characters.
    pub(super) fn about(self, text: &str) -> FieldError {
        match self.place {
            Place::Json(pointer) => FieldError::new(pointer, self.code, self.message),
            Place::Text(offset) => {
                let before = text.get(..offset).unwrap_or(text);
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                FieldError::new("filter", self.code, format!("line {line}, column {column}: {}", self.message))
            }
        }
    }
}
