//! The contract that every noun must pass. A noun's `tests/contract.rs` is an adapter, [`Noun`], and one line:
//! `crm_testkit::crud_contract!(Adapter);`, which makes one test of each rule.
//!
//! What a rule says is the name of its test; each theme is a file. Rules of one noun alone do not live here.

pub mod bin;
pub mod bulk;
pub mod custom;
pub mod filters;
pub mod ids;
pub mod log;
pub mod pages;
pub mod parents;
pub mod roles;
pub mod versions;
pub mod walls;

use std::{cmp::Ordering, fmt::Debug};

use async_trait::async_trait;
use crm_kernel::{Context, Direction, Expected, Field, Kind, ListQuery, Money, Object, Page, Result, Sort, UserId, fields};
use crm_tenancy::Db;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{Tenant, TestDatabase};

/// What a record is to be made from. The adapter fills every field of the noun from the number, such that
/// - the same number gives the same values, the unique one (if the noun has one) included;
/// - numbers differ in the text field, and consecutive ones share some values and lack some: ties and nulls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draft {
    /// Decides every value.
    pub number: usize,
    /// An id chosen by the client.
    pub id: Option<Uuid>,
    /// The owner, if it is not to be the caller.
    pub owner: Option<UserId>,
}

/// A draft of this number and nothing else.
#[must_use]
pub fn draft(number: usize) -> Draft {
    Draft { number, ..Draft::default() }
}

/// A noun's service as the contract calls it: nearly every method is one call.
#[async_trait]
pub trait Noun: Send + Sync + 'static {
    /// The record as it is stored; its JSON is compared with what was asked for.
    type Record: Serialize + Debug + Clone + Send + Sync + 'static;

    /// The noun in calls that change many at once.
    type Bulk: crm_tenancy::bulk::Noun<Record = Self::Record>;

    /// What the log calls it: `company`.
    const ENTITY: &'static str;
    /// The text field that `rename` sets and drafts fill differently: `name`.
    const TEXT_FIELD: &'static str;
    /// The field that must be unique among living records, if there is one: `slug`.
    const UNIQUE_FIELD: Option<&'static str>;
    /// The field that `attach` sets to a company, if there is one: `company_id`.
    const PARENT_FIELD: Option<&'static str>;

    /// The service on this database.
    fn on(db: Db) -> Self;
    /// The noun's list of fields.
    fn fields() -> &'static [Field];
    /// The noun's order when none is asked for.
    fn default_sort() -> Sort;

    /// The new record that `create` makes of this draft.
    fn new(draft: Draft) -> <Self::Bulk as crm_tenancy::bulk::Noun>::New;
    /// The same with these custom fields.
    fn new_with(draft: Draft, custom_fields: Object) -> <Self::Bulk as crm_tenancy::bulk::Noun>::New;
    /// The change that merges these custom fields into those that a record has.
    fn customizing(custom_fields: Object) -> <Self::Bulk as crm_tenancy::bulk::Noun>::Changes;
    /// The change that `rename` makes.
    fn renaming(text: &str) -> <Self::Bulk as crm_tenancy::bulk::Noun>::Changes;

    /// Creates.
    async fn create(&self, context: &Context, draft: Draft) -> Result<Self::Record>;
    /// A living record.
    async fn get(&self, context: &Context, id: Uuid) -> Result<Self::Record>;
    /// A record, from the bin too.
    async fn get_with_deleted(&self, context: &Context, id: Uuid) -> Result<Self::Record>;
    /// Those that exist, deleted ones too.
    async fn get_many(&self, context: &Context, ids: &[Uuid]) -> Result<Vec<Self::Record>>;
    /// A page.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Self::Record>>;
    /// Changes the text field alone.
    async fn rename(&self, context: &Context, id: Uuid, expected: &Expected, text: &str) -> Result<Self::Record>;
    /// Puts the draft's values in place of all; its id plays no part.
    async fn replace(&self, context: &Context, id: Uuid, expected: &Expected, draft: Draft) -> Result<Self::Record>;
    /// Moves to the bin.
    async fn delete(&self, context: &Context, id: Uuid, expected: &Expected) -> Result<()>;
    /// Brings back.
    async fn restore(&self, context: &Context, id: Uuid) -> Result<Self::Record>;

    /// Sets the parent field; only called when there is one.
    async fn attach(&self, _context: &Context, _id: Uuid, _company: Uuid) -> Result<Self::Record> {
        unreachable!("a noun with a parent field must say how it is set")
    }

    /// Gives a record of a sample what a draft cannot: no owner, a parent, a closed stage. `earlier` are the records
    /// with smaller numbers.
    async fn dress(
        &self,
        _context: &Context,
        _number: usize,
        record: Self::Record,
        _earlier: &[Self::Record],
    ) -> Result<Self::Record> {
        Ok(record)
    }

    /// The value that a list is sorted by; override it for a field that sorts by more than its own value.
    fn sort_key(view: &Value, field: &Field) -> Value {
        match (field.kind, &view[field.name]) {
            (Kind::Text | Kind::Caseless, Value::String(text)) => text.to_lowercase().into(),
            (_, value) => value.clone(),
        }
    }
}

/// A noun on a database of its own, with two tenants.
#[derive(Debug)]
pub struct Bench<N: Noun> {
    /// The database, to look behind the noun.
    pub database: TestDatabase,
    /// The tenant that works.
    pub tenant: Tenant,
    /// The tenant that must never notice.
    pub stranger: Tenant,
    /// The noun.
    pub noun: N,
}

impl<N: Noun> Bench<N> {
    /// Everything fresh.
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let (tenant, stranger) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
        let noun = N::on(database.db());
        Self { database, tenant, stranger, noun }
    }

    /// So many records by different people, dressed.
    pub async fn sample(&self, count: usize) -> Vec<N::Record> {
        let Tenant { owner, admin, member, colleague, .. } = &self.tenant;
        let people = [owner, admin, member, colleague];
        let mut records: Vec<N::Record> = Vec::new();
        for number in 0..count {
            let record =
                self.noun.create(people[number % people.len()], draft(number)).await.expect("a sample record can be created");
            let dressed = self.noun.dress(owner, number, record, &records).await.expect("a sample record can be dressed");
            records.push(dressed);
        }
        // Once more, because a later record may have changed an earlier one.
        let mut fresh = Vec::new();
        for record in &records {
            fresh.push(self.noun.get(owner, id(record)).await.expect("a sample record is there"));
        }
        fresh
    }

    /// How many activities the record has.
    pub async fn logged(&self, id: Uuid) -> usize {
        self.database.activities_of(N::ENTITY, id).await.len()
    }

    /// All pages of this query, joined, with what every page must keep.
    pub async fn walk(&self, context: &Context, query: &ListQuery) -> Vec<Value> {
        let mut seen = Vec::new();
        let mut at = query.clone();
        loop {
            let page = self.noun.list(context, &at).await.unwrap_or_else(|error| panic!("a page of {query:?}: {error}"));
            assert!(page.data.len() <= usize::from(query.limit), "a page never holds more than its limit");
            assert_eq!(page.page.has_more, page.page.next_cursor.is_some(), "there is a cursor exactly when there is more");
            assert!(!page.page.has_more || page.data.len() == usize::from(query.limit), "only the last page may be short");
            seen.extend(page.data.iter().map(view));
            assert!(seen.len() <= 1_000, "paging must come to an end");
            let Some(cursor) = page.page.next_cursor else { return seen };
            at = query.clone().continue_after(&cursor).expect("a list accepts its own cursor");
        }
    }
}

/// The record's JSON, as a client sees it.
pub fn view<R: Serialize>(record: &R) -> Value {
    serde_json::to_value(record).expect("a record has a JSON form")
}

/// The view with what every change moves taken from another one: the version and the times, those that the noun has.
#[must_use]
pub fn moved_on(mut view: Value, other: &Value) -> Value {
    for name in ["version", "updated_at", "last_activity_at"] {
        if let (Some(value), Some(moved)) = (view.get_mut(name), other.get(name)) {
            *value = moved.clone();
        }
    }
    view
}

/// The record's id.
pub fn id<R: Serialize>(record: &R) -> Uuid {
    view(record)["id"].as_str().and_then(|text| text.parse().ok()).expect("a record's JSON has its id")
}

/// The record's version.
pub fn version<R: Serialize>(record: &R) -> i32 {
    view(record)["version"].as_i64().and_then(|number| number.try_into().ok()).expect("a record's JSON has its version")
}

/// The record's text field.
pub fn text<N: Noun>(record: &N::Record) -> String {
    view(record)[N::TEXT_FIELD].as_str().map(ToOwned::to_owned).expect("a record's JSON has its text field")
}

/// The noun's field of this name.
#[must_use]
pub fn field<N: Noun>(name: &str) -> &'static Field {
    fields::find(N::fields(), name).unwrap_or_else(|| panic!("{name} is not in the list of fields"))
}

/// Everything in one page, in the noun's own order.
#[must_use]
pub fn everything<N: Noun>() -> ListQuery {
    ListQuery { limit: 200, ..ListQuery::all(N::default_sort()) }
}

/// What the database answers for these views: sorted by the key, nulls last, ties by id in the same direction.
#[must_use]
pub fn in_order<N: Noun>(views: &[Value], sort: Sort) -> Vec<Value> {
    let turned = |order: Ordering| if sort.direction == Direction::Ascending { order } else { order.reverse() };
    let mut sorted = views.to_vec();
    sorted.sort_by(|left, right| {
        // Newest first means by id, whose first bits are the time of making.
        let keys = |view: &Value| if sort.field.name == "created_at" { Value::Bool(true) } else { N::sort_key(view, sort.field) };
        let (left_key, right_key) = (keys(left), keys(right));
        let nulls_last = left_key.is_null().cmp(&right_key.is_null());
        let by_key = turned(compared(sort.field.kind, &left_key, &right_key));
        nulls_last.then(by_key).then_with(|| turned(left["id"].as_str().cmp(&right["id"].as_str())))
    });
    sorted
}

fn compared(kind: Kind, left: &Value, right: &Value) -> Ordering {
    match (kind, left, right) {
        (Kind::Decimal, Value::String(left), Value::String(right)) => {
            let amount = |text: &str| text.parse::<Money>().expect("a decimal's JSON is a decimal");
            amount(left).cmp(&amount(right))
        }
        (_, Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (_, Value::Number(left), Value::Number(right)) => left.as_i64().cmp(&right.as_i64()),
        // Text in the order of its bytes, as collation "C" has it; dates sort as they are written.
        (_, Value::String(left), Value::String(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

/// Makes one test of each rule for a noun.
#[macro_export]
macro_rules! crud_contract {
    ($noun:ty) => {
        $crate::crud_contract! { @tests $noun,
            walls { another_tenants_record_is_not_there, lists_and_lookups_hold_only_ones_own }
            roles { a_viewer_reads_and_changes_nothing, a_member_changes_what_it_owns_or_created_and_nothing_else,
                managers_change_everything, a_read_only_context_writes_nothing, a_forged_role_gains_nothing }
            versions { a_stale_version_changes_nothing, any_named_version_is_enough, a_change_of_nothing_is_no_change,
                refusals_come_in_their_order }
            ids { a_client_may_choose_an_id_of_version_7, an_id_is_used_once_for_each_tenant, a_duplicate_is_a_conflict }
            pages { paging_visits_every_record_once_in_order, a_cursor_belongs_to_its_question, a_count_counts_what_is_listed }
            filters { every_filterable_field_filters_exactly, filters_join, what_cannot_be_a_value_is_refused }
            log { every_change_is_logged_once, a_refused_change_is_not_logged }
            bin { deleting_moves_to_the_bin, the_bin_is_for_managers, restoring_brings_back_what_was,
                who_deleted_may_restore_and_other_members_may_not, restoring_into_a_taken_value_is_a_conflict }
            parents { a_parent_is_a_living_company_of_ones_own }
            bulk { each_operation_is_judged_as_if_it_had_come_alone, a_run_of_creations_loses_only_what_is_refused,
                all_or_nothing_leaves_nothing, a_viewer_changes_nothing_in_bulk,
                an_upsert_changes_what_is_there_and_makes_what_is_not, upserts_of_one_key_at_once_make_one_record }
            custom { custom_fields_are_kept_as_their_type_demands, custom_fields_filter_exactly,
                lists_are_in_the_order_of_a_custom_field, custom_fields_are_judged_in_bulk }
        }
    };
    (@tests $noun:ty, $($theme:ident { $($rule:ident),+ $(,)? })+) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                $crate::contract::$theme::$rule::<$noun>().await;
            }
        )+)+
    };
}
