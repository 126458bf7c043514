//! A member of a campaign: one contact in one campaign, and how far it has come there.

use crm_kernel::{CampaignContactId, CampaignId, ContactId, Timestamp, values::present};
use diesel::{Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::{audience::MOST_IDS, schema::q_campaign_contacts};

crm_kernel::text_enum!(
    /// How far a contact has come in a campaign.
    MemberStatus {
        /// Nothing was sent yet.
        Pending = "pending",
        /// It was sent.
        Sent = "sent",
        /// It arrived.
        Delivered = "delivered",
        /// It was opened.
        Opened = "opened",
        /// What it leads to was visited.
        Clicked = "clicked",
        /// It came back.
        Bounced = "bounced",
        /// The contact opted out, of this and of every campaign.
        Unsubscribed = "unsubscribed",
    }
);

impl MemberStatus {
    /// Whether a member may go from here to there; the guard of the database has the same table.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use MemberStatus::{Bounced, Clicked, Delivered, Opened, Pending, Sent, Unsubscribed};
        next == self
            || match self {
                Pending => true,
                Sent => next != Pending,
                Delivered => matches!(next, Opened | Clicked | Bounced | Unsubscribed),
                Opened => matches!(next, Clicked | Unsubscribed),
                Clicked | Bounced => next == Unsubscribed,
                Unsubscribed => false,
            }
    }
}

/// A contact in a campaign.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_campaign_contacts, check_for_backend(diesel::pg::Pg))]
pub struct CampaignContact {
    /// The id of the membership.
    pub id: CampaignContactId,
    /// The campaign.
    pub campaign_id: CampaignId,
    /// The contact.
    pub contact_id: ContactId,
    /// How far it has come.
    pub status: MemberStatus,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
    /// When it was opened first.
    pub opened_at: Option<Timestamp>,
    /// When what it leads to was visited first.
    pub clicked_at: Option<Timestamp>,
    /// When it came back.
    pub bounced_at: Option<Timestamp>,
    /// When the contact opted out.
    pub unsubscribed_at: Option<Timestamp>,
    /// When the contact was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes, from 1; see If-Match.
    pub version: i32,
}

/// A change to a member of a campaign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields, default)]
pub struct CampaignContactChanges {
    /// How far it has come: `pending`, `sent`, `delivered`, `opened`, `clicked`, forward only; `bounced` until it was opened; `unsubscribed`
    /// always, and the contact opts out with it.
    #[serde(deserialize_with = "present")]
    pub status: Option<MemberStatus>,
}

/// Whom to add: either `contact_ids`, or the audience of a `filter`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct NewMembers {
    /// 1 to 1,000 contacts by their ids.
    #[garde(length(min = 1, max = MOST_IDS))]
    pub contact_ids: Option<Vec<ContactId>>,
    /// In the filter language, in the words of contacts: up to 100,000 of them.
    pub filter: Option<String>,
    /// Whether only to say how many match the filter.
    pub dry_run: Option<bool>,
}
