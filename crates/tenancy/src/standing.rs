//! Why a change touched no row. Row-level security does not say: a row that may not be changed is simply not there for
//! an UPDATE. So the store looks a second time, as a reader, and this module decides in the order the API promises:
//! 404, 403, 412.

use crm_kernel::{Error, Expected, Result, Role, Timestamp, UserId};

use crate::{Entity, Tx};

/// A record as a reader sees it, with what decides about changing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it lies in the bin.
    pub deleted: bool,
    /// Its version now.
    pub version: i32,
    /// Whether the caller owns it, created it or is assigned to it.
    pub own: bool,
}

impl Standing {
    /// Of a record that `people` (who owns it, who created it, who is assigned) call their own.
    #[must_use]
    pub fn of(tx: &Tx, deleted_at: Option<Timestamp>, version: i32, people: &[Option<UserId>]) -> Self {
        Self { deleted: deleted_at.is_some(), version, own: people.contains(&Some(tx.user_id())) }
    }

    /// What forbids the change, if anything does. `seen` is the second look.
    ///
    /// # Errors
    /// When the second look failed otherwise than by finding nothing.
    pub fn refusal(seen: Result<Self>, tx: &Tx, entity: Entity, expected: &Expected) -> Result<Option<Error>> {
        let standing = match seen {
            Ok(standing) if !standing.deleted => standing,
            Ok(_) | Err(Error::NotFound(_)) => return Ok(Some(Error::NotFound(entity.name))),
            Err(error) => return Err(error),
        };
        if !standing.changeable_by(tx.role()) {
            return Ok(Some(Error::forbidden(format!("the role {} may not change this {}", tx.role(), entity.name))));
        }
        Ok((!expected.accepts(standing.version)).then_some(Error::Stale(entity.name)))
    }

    /// The same table as the policies of the database; they decide, this only explains.
    #[must_use]
    pub fn changeable_by(self, role: Role) -> bool {
        match role {
            Role::Owner | Role::Admin => true,
            Role::Member => self.own,
            Role::Viewer => false,
        }
    }
}
