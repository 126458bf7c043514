//! The company as it is stored, as it comes in, and as it is changed. Validation sits on the two inputs.

use crm_kernel::{
    CompanyId, Money, Object, ObjectChange, Tags, Timestamp, UserId, validation,
    values::{nullable, present},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use serde::{Deserialize, Serialize};

use crate::schema::{crm_companies, q_companies};

crm_kernel::text_enum!(
    /// How big a company is.
    CompanySize {
        /// Just begun.
        Startup = "startup",
        /// Small.
        Small = "small",
        /// Medium.
        Medium = "medium",
        /// Large.
        Enterprise = "enterprise",
    }
);

crm_kernel::text_enum!(
    /// Where a company stands with us.
    CompanyStatus {
        /// Might become interested.
        Lead = "lead",
        /// Is interested.
        Prospect = "prospect",
        /// Buys.
        Customer = "customer",
        /// Bought once.
        Churned = "churned",
    }
);

/// A company.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_companies, check_for_backend(diesel::pg::Pg))]
pub struct Company {
    /// Its id.
    pub id: CompanyId,
    /// Name as shown.
    pub name: String,
    /// Name in addresses; unique among living companies of the organisation.
    pub slug: String,
    /// Branch of business, in the organisation's own words.
    pub industry: Option<String>,
    /// How big.
    pub company_size: Option<CompanySize>,
    /// Its web address.
    pub website: Option<String>,
    /// Where invoices go: street, city, region, postal_code, country.
    pub billing_address: Option<Object>,
    /// Where goods go: street, city, region, postal_code, country.
    pub shipping_address: Option<Object>,
    /// Revenue of a year, in the organisation's default currency.
    pub annual_revenue: Option<Money>,
    /// People who work there.
    pub employee_count: Option<i32>,
    /// Where it stands with us.
    pub company_status: CompanyStatus,
    /// The company it is a subsidiary of.
    pub parent_id: Option<CompanyId>,
    /// The member who looks after it.
    pub owner_id: Option<UserId>,
    /// The member who created it.
    pub created_by_id: Option<UserId>,
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

/// A company to be created, or to take another's place.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Insertable)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_companies)]
#[serde(deny_unknown_fields)]
pub struct NewCompany {
    /// An id chosen by the client: UUID version 7. Ignored when replacing.
    #[serde(default)]
    pub id: Option<CompanyId>,
    /// Name as shown. Required; when absent the rules say so together with all else.
    #[serde(default)]
    pub name: String,
    /// Name in addresses; made from the name when absent.
    #[serde(default)]
    pub slug: Option<String>,
    /// Branch of business, in the organisation's own words.
    #[serde(default)]
    pub industry: Option<String>,
    /// How big.
    #[serde(default)]
    pub company_size: Option<CompanySize>,
    /// Its web address: http or https.
    #[serde(default)]
    pub website: Option<String>,
    /// Where invoices go: street, city, region, postal_code, country.
    #[serde(default)]
    pub billing_address: Option<Object>,
    /// Where goods go: street, city, region, postal_code, country.
    #[serde(default)]
    pub shipping_address: Option<Object>,
    /// Revenue of a year, in the organisation's default currency.
    #[serde(default)]
    pub annual_revenue: Option<Money>,
    /// People who work there.
    #[serde(default)]
    pub employee_count: Option<i32>,
    /// Where it stands with us; `lead` when absent.
    #[serde(default)]
    pub company_status: Option<CompanyStatus>,
    /// The company it is a subsidiary of.
    #[serde(default)]
    pub parent_id: Option<CompanyId>,
    /// The member who looks after it; the caller when absent on creation.
    #[serde(default)]
    pub owner_id: Option<UserId>,
    /// Words attached to it.
    #[serde(default)]
    pub tags: Option<Tags>,
    /// The organisation's own fields.
    #[serde(default)]
    pub custom_fields: Option<Object>,
}

/// A change to a company: what is absent stays. The rules for every value sit here, for new companies too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, AsChangeset, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = crm_companies)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct CompanyChanges {
    /// Name as shown.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 255), inner(custom(validation::readable)))]
    pub name: Option<String>,
    /// Name in addresses.
    #[serde(deserialize_with = "present")]
    #[garde(length(chars, max = 100), inner(custom(validation::slug)))]
    pub slug: Option<String>,
    /// Branch of business.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 100), inner(inner(custom(validation::storable))))]
    pub industry: Option<Option<String>>,
    /// How big.
    #[serde(deserialize_with = "nullable")]
    pub company_size: Option<Option<CompanySize>>,
    /// Its web address: http or https.
    #[serde(deserialize_with = "nullable")]
    #[garde(length(chars, max = 500), inner(inner(custom(validation::web_address))))]
    pub website: Option<Option<String>>,
    /// Where invoices go; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::address_change))]
    pub billing_address: ObjectChange,
    /// Where goods go; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::address_change))]
    pub shipping_address: ObjectChange,
    /// Revenue of a year, in the organisation's default currency.
    #[serde(deserialize_with = "nullable")]
    #[garde(inner(inner(custom(validation::not_negative))))]
    pub annual_revenue: Option<Option<Money>>,
    /// People who work there.
    #[serde(deserialize_with = "nullable")]
    #[garde(range(min = 0))]
    pub employee_count: Option<Option<i32>>,
    /// Where it stands with us.
    #[serde(deserialize_with = "present")]
    pub company_status: Option<CompanyStatus>,
    /// The company it is a subsidiary of.
    #[serde(deserialize_with = "nullable")]
    pub parent_id: Option<Option<CompanyId>>,
    /// The member who looks after it.
    #[serde(deserialize_with = "nullable")]
    pub owner_id: Option<Option<UserId>>,
    /// Words attached to it, all of them.
    #[serde(deserialize_with = "present")]
    #[garde(inner(custom(validation::tags)))]
    pub tags: Option<Tags>,
    /// The organisation's own fields; merged key by key.
    #[diesel(skip_update)]
    #[garde(custom(validation::object_change))]
    pub custom_fields: ObjectChange,
}

impl From<NewCompany> for CompanyChanges {
    /// Every editable field: what the new company does not say becomes empty or its default.
    fn from(new: NewCompany) -> Self {
        Self {
            name: Some(new.name),
            slug: new.slug,
            industry: Some(new.industry),
            company_size: Some(new.company_size),
            website: Some(new.website),
            billing_address: ObjectChange::Replace(new.billing_address),
            shipping_address: ObjectChange::Replace(new.shipping_address),
            annual_revenue: Some(new.annual_revenue),
            employee_count: Some(new.employee_count),
            company_status: Some(new.company_status.unwrap_or(CompanyStatus::Lead)),
            parent_id: Some(new.parent_id),
            owner_id: Some(new.owner_id),
            tags: Some(new.tags.unwrap_or_default()),
            custom_fields: ObjectChange::Replace(Some(new.custom_fields.unwrap_or_default())),
        }
    }
}
