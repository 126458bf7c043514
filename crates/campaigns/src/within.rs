//! The use cases that write, within a transaction that the caller has begun and commits: for programs that make several changes at
//! once or not at all.
//!
//! Must stay true: after an error the transaction can only be dropped, unless the call was inside [`Tx::attempt`].

use crm_kernel::{CampaignId, ContactId, Error, Expected, FieldError, Result, Role};
use crm_tenancy::{
    Tx,
    custom_fields::{RecordKind, judged_change, judged_new},
};

use crate::{
    audience::{self, Audience, MOST_IDS, MembersAdded},
    member::{CampaignContact, CampaignContactChanges},
    member_store,
    model::{Campaign, CampaignChanges, NewCampaign},
    rules, store,
};

/// See [`Campaigns::create`](crate::Campaigns::create).
///
/// # Errors
/// As there.
pub async fn create(tx: &mut Tx, new: NewCampaign) -> Result<Campaign> {
    tx.require(Role::may_write, "create campaigns")?;
    let new = completed(tx, new).await?;
    store::insert(tx, &new).await
}

/// Creates all of them with one statement, in this order, or none.
///
/// # Errors
/// As [`create`], without saying which of them is at fault.
pub async fn create_all(tx: &mut Tx, all: Vec<NewCampaign>) -> Result<Vec<Campaign>> {
    tx.require(Role::may_write, "create campaigns")?;
    let mut every = Vec::with_capacity(all.len());
    for new in all {
        every.push(judged(tx, new).await?);
    }
    let mut all = rules::completed(tx, every).await?;
    for new in &mut all {
        new.id.get_or_insert_with(CampaignId::generate);
    }
    store::insert_all(tx, &all).await
}

async fn completed(tx: &mut Tx, new: NewCampaign) -> Result<NewCampaign> {
    let judged = judged(tx, new).await?;
    let mut completed = rules::completed(tx, vec![judged]).await?;
    completed.pop().ok_or_else(|| Error::internal("one campaign came in and none came out"))
}

/// With its custom fields as they are kept, and what is wrong with them.
async fn judged(tx: &mut Tx, mut new: NewCampaign) -> Result<(NewCampaign, Vec<FieldError>)> {
    let (custom_fields, faults) = judged_new(tx, RecordKind::Campaign, new.custom_fields.take()).await?;
    new.custom_fields = custom_fields;
    Ok((new, faults))
}

/// See [`Campaigns::replace`](crate::Campaigns::replace).
///
/// # Errors
/// As there.
pub async fn replace(tx: &mut Tx, id: CampaignId, expected: &Expected, new: NewCampaign) -> Result<Campaign> {
    update(tx, id, expected, &CampaignChanges::from(new)).await
}

/// See [`Campaigns::update`](crate::Campaigns::update).
///
/// # Errors
/// As there.
pub async fn update(tx: &mut Tx, id: CampaignId, expected: &Expected, changes: &CampaignChanges) -> Result<Campaign> {
    // Definitions are held before the campaign is: whoever changes them takes both in this order.
    let (custom_fields, faults) = judged_change(tx, RecordKind::Campaign, id.uuid(), &changes.custom_fields).await?;
    let held = store::hold(tx, id, expected).await?;
    let changes = CampaignChanges { custom_fields, ..changes.clone() };
    rules::settled(tx, &held, &changes, faults).await?;
    store::update(tx, id, &changes).await
}

/// See [`Campaigns::delete`](crate::Campaigns::delete).
///
/// # Errors
/// As there.
pub async fn delete(tx: &mut Tx, id: CampaignId, expected: &Expected) -> Result<()> {
    store::delete(tx, id, expected).await
}

/// See [`Campaigns::restore`](crate::Campaigns::restore).
///
/// # Errors
/// As there.
pub async fn restore(tx: &mut Tx, id: CampaignId) -> Result<Campaign> {
    store::restore(tx, id).await
}

/// See [`CampaignContacts::add`](crate::CampaignContacts::add).
///
/// # Errors
/// As there.
pub async fn add_contacts(tx: &mut Tx, id: CampaignId, contacts: &[ContactId]) -> Result<MembersAdded> {
    store::require_changeable(tx, id).await?;
    if contacts.is_empty() || contacts.len() > MOST_IDS {
        return Err(Error::invalid("/contact_ids", "length", format!("1 to {MOST_IDS} ids")));
    }
    audience::add(tx, id, contacts).await
}

/// See [`CampaignContacts::update`](crate::CampaignContacts::update).
///
/// # Errors
/// As there.
pub async fn update_member(
    tx: &mut Tx,
    id: CampaignId,
    contact: ContactId,
    expected: &Expected,
    changes: &CampaignContactChanges,
) -> Result<CampaignContact> {
    member_store::update(tx, id, contact, expected, changes).await
}

/// How many contacts an audience has that is to be added to this campaign.
///
/// # Errors
/// `NotFound` and `Forbidden` as adding it has; `TooCostly` when the filter would read too much, `Invalid` when more than
/// [`MOST_ADDED`](crate::MOST_ADDED) match.
pub async fn audience_size(tx: &mut Tx, id: CampaignId, audience: &Audience) -> Result<i64> {
    store::require_changeable(tx, id).await?;
    audience::size(tx, audience).await
}

/// Adds the next contacts of an audience behind `after`, and says behind whom the next step begins; behind nobody when it was the last.
///
/// # Errors
/// As [`CampaignContacts::add`](crate::CampaignContacts::add).
pub async fn add_step(
    tx: &mut Tx,
    id: CampaignId,
    audience: &Audience,
    after: Option<ContactId>,
) -> Result<(MembersAdded, Option<ContactId>)> {
    audience::step(tx, id, audience, after).await
}
