//! Custom fields: what an organisation defines beside the fields of its records, and the judging of their values.
//!
//! Lives here: the definitions and who may change them, the one place where values of `custom_fields` are judged ([`judged_new`],
//! [`judged_change`]), lists in the order of a custom field ([`ranked`]), and the job that puts values in order and converts them
//! ([`work`]). What a value of a type looks like is said in `crm_kernel::custom`; what is unique is decided by the database
//! (`app.keep_custom_values`).
//! Must stay true: whoever judges values holds the shared lock of their definitions until the end of the transaction; definitions are
//! read once in a transaction, and not at all by a change that does not mention custom fields.

mod model;
mod ranked;
mod rules;
mod schema;
mod service;
mod store;
mod values;
pub mod work;

pub use model::{
    ConversionReport, ConversionRequest, CustomFieldChanges, CustomFieldDefinition, CustomFieldList, CustomFieldWork,
    FieldOption, Misfits, NewCustomField, Options, RecordKind, SampleValue,
};
pub use ranked::{Phase, Rank, Ranking, in_rank, ranked};
pub use service::{CustomFieldDefinitions, PgCustomFieldDefinitions};
pub(crate) use values::{Remembered, judge_imported};
pub use values::{hold, judged_change, judged_new};
