//! What a note must keep when it is made or changed. All faults at once.
//!
//! Must stay true: what a note is about is a kind and an id or neither; whom it mentions are ids, each once, so many at most. That they
//! are active members is the database's to say, when they are named: whoever left since stays mentioned. No foreign key holds a mention to its
//! membership, because the ids stand in a JSON list, which is what the index of `mentions` answers for. None is missing either: leaving
//! ends a membership and never deletes it, and no role that programs log in as may (a test asks).

use std::collections::HashSet;

use crm_kernel::{Error, FieldError, Result, Tags, validation};
use uuid::Uuid;

use crate::{
    model::{NewNote, NoteChanges, RelatedType},
    store::Held,
};

/// How many members a note may mention.
pub const MOST_MENTIONS: usize = 50;

/// Whether these can be the ids of members, in the one spelling that they are kept in.
pub(crate) fn mentions(mentions: &Tags, (): &()) -> garde::Result {
    if mentions.0.len() > MOST_MENTIONS {
        return Err(garde::Error::new(format!("too_many: at most {MOST_MENTIONS} members")));
    }
    let mut known = HashSet::new();
    for (index, id) in mentions.0.iter().enumerate() {
        if Uuid::try_parse(id).map(|id| id.to_string()).as_ref() != Ok(id) {
            return Err(garde::Error::new(format!("id: mention {index} must be the id of a member")));
        }
        if !known.insert(id) {
            return Err(garde::Error::new(format!("duplicate: mention {index} is there twice")));
        }
    }
    Ok(())
}

/// Whether this note may be made; `faults` are those of its custom fields.
pub(crate) fn judge_new(new: &NewNote, faults: Vec<FieldError>) -> Result<()> {
    judge(&NoteChanges::from(new.clone()), (None, None), faults)
}

/// Whether a note that is held may be changed so; `faults` are those of custom fields.
pub(crate) fn judge_change(held: &Held, changes: &NoteChanges, faults: Vec<FieldError>) -> Result<()> {
    judge(changes, (held.related_to_type, held.related_to_id), faults)
}

fn judge(changes: &NoteChanges, before: (Option<RelatedType>, Option<Uuid>), faults: Vec<FieldError>) -> Result<()> {
    let mut faults = match validation::check_with(changes, faults) {
        Err(Error::Invalid(faults)) => faults,
        other => other.map(|()| Vec::new())?,
    };
    let kind = changes.related_to_type.unwrap_or(before.0);
    let id = changes.related_to_id.unwrap_or(before.1);
    if kind.is_none() && id.is_some() {
        faults.push(FieldError::new("/related_to_type", "pair", "say what kind of record it is"));
    }
    if kind.is_some() && id.is_none() {
        faults.push(FieldError::new("/related_to_id", "pair", "say which record it is"));
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}
