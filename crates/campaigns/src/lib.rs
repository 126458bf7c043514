#![doc = include_str!("../README.md")]

mod audience;
mod bulk;
mod fields;
mod member;
mod member_service;
mod member_store;
mod metrics;
mod model;
mod rules;
mod schema;
mod service;
mod store;
pub mod within;

pub use audience::{Audience, MOST_ADDED, MOST_IDS, MembersAdded, STEP};
pub use bulk::BulkCampaigns;
pub use fields::{FIELDS, MEMBER_FIELDS, MEMBER_VOCABULARY, VOCABULARY, default_sort};
pub use member::{CampaignContact, CampaignContactChanges, MemberStatus, NewMembers};
pub use member_service::{CampaignContacts, PgCampaignContacts};
pub use metrics::{CampaignMetrics, MembersByStatus};
pub use model::{Campaign, CampaignChanges, CampaignStatus, CampaignType, NewCampaign};
pub use service::{Campaigns, PgCampaigns};
