//! The words that every crate of the CRM shares.
//!
//! Lives here: ids, the caller's context, the one error type, pages and cursors, typed fields and filters, values that
//! need exact shapes (money, times, dates). Does not live here: SQL, connections, HTTP, any noun of the CRM.
//! Must stay true: nothing here opens a connection, reads the environment or knows who calls it.

pub mod context;
pub mod country;
pub mod currency;
pub mod custom;
pub mod email;
pub mod error;
pub mod fields;
pub mod filter;
pub mod ids;
pub mod page;
pub mod phone;
pub mod query;
pub mod slug;
pub mod text;
pub mod text_enum;
pub mod time_zone;
pub mod validation;
pub mod values;
pub mod version;

pub use context::{Access, Actor, Context, Role};
pub use custom::{CustomField, CustomFields, FieldType};
pub use error::{Error, FieldError, Result};
pub use fields::{Field, Kind, Parent, Vocabulary};
pub use filter::{Comparison, Condition, FieldPath, Filter, FilterValue, Moment, Operator, Period, Relative, Span};
pub use ids::{
    ActivityId, CampaignContactId, CampaignId, CompanyId, ContactId, CustomFieldId, DealId, ExchangeRateId, ExternalIdentityId,
    InvitationId, LineItemId, NoteId, OperationId, OrganizationId, PipelineId, ProductId, ProjectId, SessionId, TaskId, TeamId,
    TokenId, UserId,
};
pub use page::{Cursor, Page, PageInfo, Position, Total};
pub use query::{Cost, Count, Deleted, Direction, ListQuery, Sort};
pub use values::{Date, Money, Object, ObjectChange, Tags, Timestamp};
pub use version::Expected;
