//! The contact as it is stored, as it comes in, and as it is changed. Validation sits on the two inputs.

use crm_kernel::{
    CompanyId, ContactId, Object, ObjectChange, Tags, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::schema::{crm_contacts, q_contacts};

crm_kernel::text_enum!(
    /// Whether a contact can be reached.
    ContactStatus {
        /// Yes.
        Active = "active",
        /// Not any more: has left. Who does not want to be reached has opted out.
        Inactive = "inactive",
        /// Mail to the address came back.
        Bounced = "bounced",
    }
);

/// A contact: a person, usually at a company.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_contacts, check_for_backend(diesel::pg::Pg))]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// The company the person works at.
    pub company_id: Option<CompanyId>,
    /// First name, as sent.
    pub first_name: String,
    /// Last name, as sent.
    pub last_name: String,
    /// E-mail address; unique among living contacts of the organisation, whatever its case.
    pub email: Option<String>,
    /// Telephone number: `+41446681800`, with an extension `+41446681800;ext=12`. Sent as people write it.
    pub phone: Option<String>,
    /// Mobile number, in the same form.
    pub mobile: Option<String>,
    /// Job title.
    pub title: Option<String>,
    /// Department of the company.
    pub department: Option<String>,
    /// Whether the contact can be reached.
    pub contact_status: ContactStatus,
    /// Where the contact came from, in the organisation's own words.
    pub lead_source: Option<String>,
    /// How promising the contact is: 0 to 100.
    pub lead_score: Option<i32>,
    /// The member who looks after it.
    pub owner_id: Option<UserId>,
    /// The member who created it.
    pub created_by_id: Option<UserId>,
    /// Names or addresses in social networks, by network.
    pub social_profiles: Option<Object>,
    /// What the person prefers: language, channel, times.
    pub preferences: Option<Object>,
    /// Whether the person wants to hear of no campaign: they become a member of none, and are unsubscribed where they were one.
    pub opted_out: bool,
    /// Words attached to it.
    pub tags: Tags,
    /// The organisation's own fields.
    pub custom_fields: Object,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When somebody last did something to it or to what hangs on it; what the CRM does by itself does not count.
    pub last_activity_at: Timestamp,
    /// When it was deleted; null while it lives.
    pub deleted_at: Option<Timestamp>,
    /// Counts its changes, from 1; see If-Match.
    pub version: i32,
}

/// A contact to be created, or to take another's place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_contacts)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    /// An id chosen by the client: UUID version 7. Ignored when replacing.
    #[serde(default)]
    pub id: Option<ContactId>,
    /// The company the person works at.
    #[serde(default)]
    pub company_id: Option<CompanyId>,
    /// First name.
    #[serde(default)]
    pub first_name: String,
    /// Last name.
    #[serde(default)]
    pub last_name: String,
    /// E-mail address; unique among living contacts of the organisation, whatever its case.
    #[serde(default)]
    pub email: Option<String>,
    /// Telephone number: `+41446681800`, with an extension `+41446681800;ext=12`. Sent as people write it.
    #[serde(default)]
    pub phone: Option<String>,
    /// Mobile number, in the same form.
    #[serde(default)]
    pub mobile: Option<String>,
    /// Job title.
    #[serde(default)]
    pub title: Option<String>,
    /// Department of the company.
    #[serde(default)]
    pub department: Option<String>,
    /// Whether the contact can be reached; `active` when absent.
    #[serde(default)]
    pub contact_status: Option<ContactStatus>,
    /// Where the contact came from, in the organisation's own words.
    #[serde(default)]
    pub lead_source: Option<String>,
    /// How promising the contact is: 0 to 100.
    #[serde(default)]
    pub lead_score: Option<i32>,
    /// The member who looks after it; the caller when absent on creation.
    #[serde(default)]
    pub owner_id: Option<UserId>,
    /// Names or addresses in social networks, by network.
    #[serde(default)]
    pub social_profiles: Option<Object>,
    /// What the person prefers: language, channel, times.
    #[serde(default)]
    pub preferences: Option<Object>,
    /// Whether the person wants to hear of no campaign; `false` when absent, and as it is when replacing.
    #[serde(default)]
    pub opted_out: Option<bool>,
    /// Words attached to it.
    #[serde(default)]
    pub tags: Option<Tags>,
    /// The organisation's own fields.
    #[serde(default)]
    pub custom_fields: Option<Object>,
}

/// A change to a contact: what is absent stays. The rules for every value sit here, for new contacts too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_contacts)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct ContactChanges {
    /// The company the person works at.
    #[serde(deserialize_with = "nullable")]
    pub company_id: Option<Option<CompanyId>>,
    /// First name.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 100), inner(custom(validation::readable)))]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 100), inner(custom(validation::readable)))]
    pub last_name: Option<String>,
    /// E-mail address; unique among living contacts of the organisation, whatever its case.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 255), inner(inner(custom(validation::email))))]
    pub email: Option<Option<String>>,
    /// Telephone number: `+41446681800`, with an extension `+41446681800;ext=12`. Sent as people write it.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 50), inner(inner(custom(validation::storable))))]
    pub phone: Option<Option<String>>,
    /// Mobile number, in the same form.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 50), inner(inner(custom(validation::storable))))]
    pub mobile: Option<Option<String>>,
    /// Job title.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 100), inner(inner(custom(validation::storable))))]
    pub title: Option<Option<String>>,
    /// Department of the company.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 100), inner(inner(custom(validation::storable))))]
    pub department: Option<Option<String>>,
    /// Whether the contact can be reached.
    #[serde(deserialize_with = "present")]
    pub contact_status: Option<ContactStatus>,
    /// Where the contact came from.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 100), inner(inner(custom(validation::storable))))]
    pub lead_source: Option<Option<String>>,
    /// How promising the contact is: 0 to 100.
    #[serde(deserialize_with = "nullable")]
    #[garde(range(min = 0, max = 100))]
    pub lead_score: Option<Option<i32>>,
    /// The member who looks after it.
    #[serde(deserialize_with = "nullable")]
    pub owner_id: Option<Option<UserId>>,
    /// Names or addresses in social networks; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub social_profiles: ObjectChange,
    /// What the person prefers; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub preferences: ObjectChange,
    /// Whether the person wants to hear of no campaign. Who opts out is unsubscribed from every campaign, and stays so there when they
    /// come back.
    #[serde(deserialize_with = "present")]
    pub opted_out: Option<bool>,
    /// Words attached to it, all of them.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::tags)))]
    pub tags: Option<Tags>,
    /// The organisation's own fields; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub custom_fields: ObjectChange,
}

impl From<NewContact> for ContactChanges {
    /// Every editable field: what the new contact does not say becomes empty or its default.
    fn from(new: NewContact) -> Self {
        Self {
            company_id: Some(new.company_id),
            first_name: Some(new.first_name),
            last_name: Some(new.last_name),
            email: Some(new.email),
            phone: Some(new.phone),
            mobile: Some(new.mobile),
            title: Some(new.title),
            department: Some(new.department),
            contact_status: Some(new.contact_status.unwrap_or(ContactStatus::Active)),
            lead_source: Some(new.lead_source),
            lead_score: Some(new.lead_score),
            owner_id: Some(new.owner_id),
            social_profiles: ObjectChange::Replace(new.social_profiles),
            preferences: ObjectChange::Replace(new.preferences),
            // Who does not say it does not mean that they want to be written to again.
            opted_out: new.opted_out,
            tags: Some(new.tags.unwrap_or_default()),
            custom_fields: ObjectChange::Replace(Some(new.custom_fields.unwrap_or_default())),
        }
    }
}
