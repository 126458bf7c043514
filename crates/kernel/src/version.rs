//! Optimistic concurrency: every record has a version, every change may name the one it was made from.

/// Which versions a change accepts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Whatever it is now: the last writer wins.
    #[default]
    Any,
    /// Whatever it is now, but it must be there: what would be made otherwise is `Stale`.
    Present,
    /// One of these; otherwise the change is `Stale` and nothing happens.
    OneOf(Vec<i32>),
}

impl Expected {
    /// Whether this version is accepted.
    #[must_use]
    pub fn accepts(&self, version: i32) -> bool {
        match self {
            Self::Any | Self::Present => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }

    /// Whether every version is accepted, as SQL wants it: one parameter beside the list.
    #[must_use]
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Any | Self::Present)
    }

    /// Whether the record may be made when it is not there.
    #[must_use]
    pub fn allows_creation(&self) -> bool {
        *self == Self::Any
    }

    /// The accepted versions; empty when every one is.
    #[must_use]
    pub fn versions(&self) -> Vec<i32> {
        match self {
            Self::Any | Self::Present => Vec::new(),
            Self::OneOf(versions) => versions.clone(),
        }
    }
}
