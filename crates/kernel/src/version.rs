//! Optimistic concurrency: every record has a version, every change may name the one it was made from.

/// Which versions a change accepts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Whatever it is now: the last writer wins.
    #[default]
    Any,
    /// One of these; otherwise the change is `Stale` and nothing happens.
    OneOf(Vec<i32>),
}

impl Expected {
    /// Whether this version is accepted.
    #[must_use]
    pub fn accepts(&self, version: i32) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }

    /// Whether every version is accepted, as SQL wants it: one parameter beside the list.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// The accepted versions; empty when every one is.
    #[must_use]
    pub fn versions(&self) -> Vec<i32> {
        match self {
            Self::Any => Vec::new(),
            Self::OneOf(versions) => versions.clone(),
        }
    }
}
