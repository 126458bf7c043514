//! The contract of members, and its use cases on PostgreSQL.

use async_trait::async_trait;
use crm_kernel::{
    Context, Count, Error, Expected, ListQuery, OperationId, Page, Position, Result, Role, Total, UserId, validation,
};

use super::{
    handover,
    model::{
        Handover, Led, Member, MemberChanges, MemberStatus, OwnedCollection, OwnedRecords, ReassignedCollection, SettableStatus,
    },
    store,
};
use crate::{Db, Tx, identity::password_proof};

/// Those who belong to one organisation. A person of another one does not exist here: every method says `NotFound`.
#[async_trait]
pub trait Members: Send + Sync {
    /// A page of members, by name.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Member>>;

    /// One member, removed ones included: records may still name them.
    async fn get(&self, context: &Context, id: UserId) -> Result<Member>;

    /// Those of these people who belong here, in no particular order; at most as many as asked for.
    async fn get_many(&self, context: &Context, ids: &[UserId]) -> Result<Vec<Member>>;

    /// Whoever is in the caller's team, the caller included; nobody when the caller is in none.
    async fn team_mates(&self, context: &Context) -> Result<Vec<UserId>>;

    /// Changes role, status, title, manager or team; for owner and admin, an owner for owners alone. Whoever is suspended has no
    /// session and no API token there any more.
    async fn update(&self, context: &Context, id: UserId, expected: &Expected, changes: &MemberChanges) -> Result<Member>;

    /// Removes a member: every session and API token there ends at once. With `reassign_to` all that the member had goes to that
    /// one, in the same transaction; otherwise it stays and can be handed over later.
    async fn remove(&self, context: &Context, id: UserId, expected: &Expected, reassign_to: Option<UserId>) -> Result<Handover>;

    /// The caller goes, in the same way. The last active owner cannot.
    async fn leave(&self, context: &Context, reassign_to: Option<UserId>) -> Result<Handover>;

    /// What the member has that could be handed over; for owner and admin.
    async fn records(&self, context: &Context, id: UserId) -> Result<OwnedRecords>;

    /// Hands over what the member has; teams and people only of one who is no longer active. For owner and admin.
    async fn reassign(&self, context: &Context, id: UserId, to: UserId) -> Result<Handover>;
}

/// Members kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgMembers {
    db: Db,
}

impl PgMembers {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// A transaction whose changes all carry one operation id.
    async fn begin_operation(&self, context: &Context) -> Result<(Tx, OperationId)> {
        let operation_id = context.operation_id.unwrap_or_else(OperationId::generate);
        let context = Context { operation_id: Some(operation_id), ..context.clone() };
        Ok((self.db.begin(&context).await?, operation_id))
    }
}

#[async_trait]
impl Members for PgMembers {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Member>> {
        let mut tx = self.db.begin(context).await?;
        let rows = store::page(&mut tx, query).await?;
        let total = match query.count {
            Count::Bounded => Some(Total::bounded(store::count(&mut tx, query).await?)),
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, |member, _| Position::new(member.full_name.as_str(), member.user_id)))
    }

    async fn get(&self, context: &Context, id: UserId) -> Result<Member> {
        store::get(&mut self.db.begin(context).await?, id).await
    }

    async fn get_many(&self, context: &Context, ids: &[UserId]) -> Result<Vec<Member>> {
        store::get_many(&mut self.db.begin(context).await?, ids).await
    }

    async fn team_mates(&self, context: &Context) -> Result<Vec<UserId>> {
        let mut tx = self.db.begin(context).await?;
        let Some(team) = store::get(&mut tx, context.user_id).await?.team_id else { return Ok(Vec::new()) };
        store::of_team(&mut tx, team).await
    }

    async fn update(&self, context: &Context, id: UserId, expected: &Expected, changes: &MemberChanges) -> Result<Member> {
        let mut tx = self.db.begin(context).await?;
        if let Some(refusal) = store::refusal(&mut tx, id, expected).await? {
            return Err(refusal);
        }
        if changes.role == Some(Role::Owner) && tx.role() != Role::Owner {
            return Err(Error::forbidden("only an owner may make an owner"));
        }
        validation::check(changes)?;
        if (MemberChanges { password: None, ..changes.clone() }) == MemberChanges::default() {
            return store::get(&mut tx, id).await;
        }
        if makes_a_manager(&mut tx, id, changes).await? {
            // No transaction waits for a password.
            drop(tx);
            password_proof::require_in_session(&self.db, context, changes.password.as_deref()).await?;
            tx = self.db.begin(context).await?;
            if let Some(refusal) = store::refusal(&mut tx, id, expected).await? {
                return Err(refusal);
            }
        }
        let member = store::update(&mut tx, id, expected, changes).await?;
        tx.commit().await?;
        Ok(member)
    }

    async fn remove(&self, context: &Context, id: UserId, expected: &Expected, reassign_to: Option<UserId>) -> Result<Handover> {
        let (mut tx, operation_id) = self.begin_operation(context).await?;
        if let Some(refusal) = store::refusal(&mut tx, id, expected).await? {
            return Err(refusal);
        }
        if store::get(&mut tx, id).await?.status == MemberStatus::Removed {
            return Err(Error::invalid("/status", "member_removed", "this member was removed before"));
        }
        if let Some(to) = reassign_to {
            receiver(&mut tx, id, to, "/reassign_to").await?;
        }
        // First, because here it shows whether it may be: who hands over much for nothing has waited for nothing.
        store::remove(&mut tx, id, expected).await?;
        let handover = hand_over(&mut tx, id, reassign_to, operation_id).await?;
        tx.commit().await?;
        Ok(handover)
    }

    async fn leave(&self, context: &Context, reassign_to: Option<UserId>) -> Result<Handover> {
        let (mut tx, operation_id) = self.begin_operation(context).await?;
        let caller = tx.user_id();
        if let Some(to) = reassign_to {
            tx.require(Role::may_write, "hand over records")?;
            receiver(&mut tx, caller, to, "/reassign_to").await?;
        }
        let role = handover::leave(&mut tx).await?;
        let role = role.ok_or_else(|| Error::unauthenticated("no longer an active member of this organisation"))?;
        // As it is now, with the membership held: it may have been changed while this waited.
        if reassign_to.is_some() && !role.may_write() {
            return Err(Error::forbidden(format!("the role {role} may not hand over records")));
        }
        let handover = hand_over(&mut tx, caller, reassign_to, operation_id).await?;
        tx.commit().await?;
        Ok(handover)
    }

    async fn records(&self, context: &Context, id: UserId) -> Result<OwnedRecords> {
        let mut tx = self.db.begin(context).await?;
        store::get(&mut tx, id).await?;
        tx.require(Role::is_manager, "see what can be handed over")?;
        let (records, led) = (handover::owned(&mut tx, id).await?, handover::led(&mut tx, id).await?);
        Ok(OwnedRecords { user_id: id, records, led })
    }

    async fn reassign(&self, context: &Context, id: UserId, to: UserId) -> Result<Handover> {
        let (mut tx, operation_id) = self.begin_operation(context).await?;
        store::get(&mut tx, id).await?;
        tx.require(Role::is_manager, "hand over the records of others")?;
        receiver(&mut tx, id, to, "/to").await?;
        let handover = hand_over(&mut tx, id, Some(to), operation_id).await?;
        tx.commit().await?;
        Ok(handover)
    }
}

/// Refuses who cannot be given records.
async fn receiver(tx: &mut Tx, from: UserId, to: UserId, pointer: &'static str) -> Result<()> {
    let member = store::get(tx, to).await.map_err(|error| match error {
        Error::NotFound(_) => Error::invalid(pointer, "reference", "no such record"),
        error => error,
    })?;
    if to == from {
        return Err(Error::invalid(pointer, "same_member", "records are handed over to somebody else"));
    }
    if member.status != MemberStatus::Active {
        return Err(Error::invalid(pointer, "member_not_active", "not an active member"));
    }
    Ok(())
}

/// What the member has goes to `to`, or is only counted.
/// Whether somebody is an active owner or admin afterwards who was none before, or one by another role.
async fn makes_a_manager(tx: &mut Tx, id: UserId, changes: &MemberChanges) -> Result<bool> {
    match (changes.role, changes.status) {
        (Some(role), _) => Ok(role.is_manager()),
        (None, Some(SettableStatus::Active)) => {
            let member = store::get(tx, id).await?;
            Ok(member.role.is_manager() && member.status != MemberStatus::Active)
        }
        _ => Ok(false),
    }
}

async fn hand_over(tx: &mut Tx, from: UserId, to: Option<UserId>, operation_id: OperationId) -> Result<Handover> {
    let still_active = store::get(tx, from).await?.status == MemberStatus::Active;
    let (records, led_moved) = match to {
        Some(to) if still_active => (handover::reassign(tx, from, to).await?, Led::default()),
        Some(to) => (handover::reassign(tx, from, to).await?, handover::hand_over_led(tx, from, to).await?),
        None => (handover::owned(tx, from).await?.into_iter().map(untouched).collect(), Led::default()),
    };
    let led_remaining = handover::led(tx, from).await?;
    Ok(Handover { user_id: from, reassigned_to: to, operation_id, records, led_moved, led_remaining })
}

fn untouched(OwnedCollection { collection, field, living, in_bin }: OwnedCollection) -> ReassignedCollection {
    ReassignedCollection { collection, field, moved: 0, remaining: living, in_bin }
}
