//! The directory: who belongs to the organisation, and the organisation itself.
//!
//! Must stay true: people are read through q_members alone, so a person of another organisation does not exist here.

use async_trait::async_trait;
use crm_kernel::{
    Context, Field, Kind, ListQuery, OrganizationId, Page, Position, Result, Role, Sort, TeamId, Timestamp, Total, UserId,
    page::COUNT_BOUND,
    query::{Count, Direction},
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;
use serde::Serialize;

use crate::{
    Counted, Db, Entity, Expect, Tx, any_caseless,
    schema::{organizations, q_members},
};

const MEMBER: Entity = Entity { name: "member", table: "memberships" };
const ORGANIZATION: Entity = Entity { name: "organization", table: "organizations" };

crm_kernel::text_enum!(
    /// Whether a member may enter.
    MemberStatus {
        /// Yes.
        Active = "active",
        /// Not for now.
        Suspended = "suspended",
        /// No longer; the row stays, because records name it.
        Removed = "removed",
    }
);

crm_kernel::text_enum!(
    /// Whom a member is.
    MemberKind {
        /// Somebody who logs in.
        Person = "person",
        /// An integration with an identity of its own: it has API tokens and cannot log in.
        Service = "service",
    }
);

/// A member of the organisation.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_members, check_for_backend(diesel::pg::Pg))]
pub struct Member {
    /// The person; records name it as `owner_id`.
    pub user_id: UserId,
    /// Address the person logs in with; none for a service user.
    pub email: Option<String>,
    /// Name as shown.
    pub full_name: String,
    /// What the person may do here.
    pub role: Role,
    /// Whether the person may enter.
    pub status: MemberStatus,
    /// Job title.
    pub title: Option<String>,
    /// The member this one reports to.
    pub manager_id: Option<UserId>,
    /// The team, such as a regional office.
    pub team_id: Option<TeamId>,
    /// The team's name.
    pub team_name: Option<String>,
    /// IANA time zone of the person.
    pub time_zone: String,
    /// BCP 47 language tag of the person.
    pub locale: String,
    /// Since when.
    pub created_at: Timestamp,
    /// A person or a program.
    pub kind: MemberKind,
    /// When the membership was last changed.
    pub updated_at: Timestamp,
    /// Counts the changes of the membership.
    pub version: i32,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = organizations, check_for_backend(diesel::pg::Pg))]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Name as shown.
    pub name: String,
    /// Name in addresses.
    pub slug: String,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// ISO 4217; sums are in this currency.
    pub default_currency: String,
    /// IANA time zone.
    pub time_zone: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const FULL_NAME: Field = Field::shown("full_name", Kind::Text).sortable();

/// What lists of members can be filtered and sorted by.
pub static FIELDS: &[Field] = &[
    Field::shown("user_id", Kind::Member).filterable(),
    Field::shown("email", Kind::Caseless).nullable().filterable(),
    FULL_NAME,
    Field::shown("role", Kind::Choice(Role::WORDS)).filterable(),
    Field::shown("status", Kind::Choice(MemberStatus::WORDS)).filterable(),
    Field::shown("title", Kind::Text).nullable(),
    Field::shown("manager_id", Kind::Member).nullable().filterable(),
    Field::shown("team_id", Kind::Id).nullable().filterable(),
    Field::shown("team_name", Kind::Text).nullable(),
    Field::shown("time_zone", Kind::Text),
    Field::shown("locale", Kind::Text),
    Field::shown("created_at", Kind::Timestamp),
    Field::shown("kind", Kind::Choice(MemberKind::WORDS)).filterable(),
    Field::shown("updated_at", Kind::Timestamp),
    Field::shown("version", Kind::Integer),
];

/// The order of lists of members when none is asked for: by name.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &FULL_NAME, direction: Direction::Ascending }
}

/// The directory of one organisation.
#[async_trait]
pub trait Members: Send + Sync {
    /// A page of members, by name.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Member>>;

    /// One member; `NotFound` for strangers.
    async fn get(&self, context: &Context, id: UserId) -> Result<Member>;

    /// Those of these people who belong here, in no particular order; at most as many as asked for.
    async fn get_many(&self, context: &Context, ids: &[UserId]) -> Result<Vec<Member>>;

    /// The organisation the context is in.
    async fn organization(&self, context: &Context) -> Result<Organization>;
}

/// The directory kept in PostgreSQL.
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
}

#[async_trait]
impl Members for PgMembers {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<Member>> {
        let mut tx = self.db.begin(context).await?;
        let rows = page(&mut tx, query).await?;
        let total = if query.count == Count::Bounded { Some(Total::bounded(count(&mut tx, query).await?)) } else { None };
        Ok(Page::from_rows(query, rows, total, |member, _| Position::new(member.full_name.as_str(), member.user_id)))
    }

    async fn get(&self, context: &Context, id: UserId) -> Result<Member> {
        let mut tx = self.db.begin(context).await?;
        here(&tx).filter(q_members::user_id.eq(id)).select(Member::as_select()).first(&mut tx).await.expect_one(MEMBER)
    }

    async fn get_many(&self, context: &Context, ids: &[UserId]) -> Result<Vec<Member>> {
        let mut tx = self.db.begin(context).await?;
        here(&tx).filter(q_members::user_id.eq_any(ids)).select(Member::as_select()).load(&mut tx).await.expect_any(MEMBER)
    }

    async fn organization(&self, context: &Context) -> Result<Organization> {
        let mut tx = self.db.begin(context).await?;
        let own = organizations::table.filter(organizations::id.eq(tx.organization_id()));
        own.select(Organization::as_select()).first(&mut tx).await.expect_one(ORGANIZATION)
    }
}

type Here<'a> = q_members::BoxedQuery<'a, diesel::pg::Pg>;

fn here<'a>(tx: &Tx) -> Here<'a> {
    q_members::table.filter(q_members::organization_id.eq(tx.organization_id())).into_boxed()
}

async fn page(tx: &mut Tx, query: &ListQuery) -> Result<Vec<Member>> {
    let mut rows = narrowed(here(tx), query);
    if let Some(after) = &query.after {
        let name: String = after.key()?;
        rows = match query.sort.direction {
            Direction::Ascending => rows.filter(
                q_members::full_name.gt(name.clone()).or(q_members::full_name.eq(name).and(q_members::user_id.gt(after.id))),
            ),
            Direction::Descending => rows.filter(
                q_members::full_name.lt(name.clone()).or(q_members::full_name.eq(name).and(q_members::user_id.lt(after.id))),
            ),
        };
    }
    rows = match query.sort.direction {
        Direction::Ascending => rows.order((q_members::full_name.asc(), q_members::user_id.asc())),
        Direction::Descending => rows.order((q_members::full_name.desc(), q_members::user_id.desc())),
    };
    rows.limit(i64::from(query.limit) + 1).select(Member::as_select()).load(tx).await.expect_any(MEMBER)
}

async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = narrowed(here(tx), query).select(q_members::user_id).limit(COUNT_BOUND + 1);
    Counted(rows).get_result(tx).await.expect_any(MEMBER)
}

fn narrowed<'a>(mut rows: Here<'a>, query: &ListQuery) -> Here<'a> {
    for term in &query.filter.terms {
        rows = match term.field.name {
            "user_id" => rows.filter(q_members::user_id.eq_any(term.ids())),
            "email" => rows.filter(q_members::email.assume_not_null().eq(any_caseless(term.texts()))),
            "kind" => rows.filter(q_members::kind.eq_any(term.texts())),
            "role" => rows.filter(q_members::role.eq_any(term.texts())),
            "status" => rows.filter(q_members::status.eq_any(term.texts())),
            "manager_id" if term.includes_null() => rows.filter(q_members::manager_id.is_null()),
            "manager_id" => rows.filter(q_members::manager_id.eq_any(term.ids())),
            "team_id" if term.includes_null() => rows.filter(q_members::team_id.is_null()),
            "team_id" => rows.filter(q_members::team_id.eq_any(term.ids())),
            _ => rows,
        };
    }
    rows
}
