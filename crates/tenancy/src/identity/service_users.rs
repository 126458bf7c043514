//! Service users: members that are programs. They have no address and no password, and enter with API tokens alone.
//!
//! Must stay true: a service user is never an owner; a person cannot be addressed here; who was removed here has no token left and
//! stays the one whom records name.

use async_trait::async_trait;
use crm_kernel::{
    Context, Count, Direction, Error, Field, Kind, ListQuery, Page, Position, Result, Role, Sort, Timestamp, Total, UserId,
    page::COUNT_BOUND, validation,
};
use diesel::{ExpressionMethods, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};

use super::password_proof;
use crate::{
    Counted, Db, Entity, Expect, Matching, Tx,
    members::{self, MemberKind, MemberStatus},
    schema::q_members,
    seek_id,
};

const SERVICE_USER: Entity = Entity { name: "service user", table: "memberships" };

crm_kernel::text_enum!(
    /// What a service user may do: everything but what takes an owner.
    ServiceRole {
        /// Changes all records.
        Admin = "admin",
        /// Creates records, and changes those it owns, created or is assigned.
        Member = "member",
        /// Reads.
        Viewer = "viewer",
    }
);

/// A member that is a program.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[diesel(table_name = q_members, check_for_backend(diesel::pg::Pg))]
pub struct ServiceUser {
    /// Its id; records name it as `owner_id` and `created_by_id` like any member.
    #[diesel(column_name = user_id)]
    pub id: UserId,
    /// Name as shown.
    #[diesel(column_name = full_name)]
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it may enter.
    pub status: MemberStatus,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A new service user.
#[derive(Debug, Clone, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct NewServiceUser {
    /// Name as shown.
    #[garde(length(chars, max = 255), custom(validation::readable))]
    pub name: String,
    /// What it may do.
    #[garde(skip)]
    pub role: ServiceRole,
}

/// Changes of a service user: what is absent stays.
#[derive(Clone, Default, Deserialize, garde::Validate)]
#[cfg_attr(feature = "openapi", derive(paperclip::actix::Apiv2Schema))]
#[serde(deny_unknown_fields)]
pub struct ServiceUserChanges {
    /// Another name.
    #[serde(default)]
    #[garde(inner(length(chars, max = 255), custom(validation::readable)))]
    pub name: Option<String>,
    /// Another role. Tokens that were made before keep the lesser of both.
    #[serde(default)]
    #[garde(skip)]
    pub role: Option<ServiceRole>,
    /// The current password of who makes it an admin and has one: its tokens are there already.
    #[serde(default)]
    #[garde(length(bytes, max = 1024))]
    pub password: Option<String>,
}

impl std::fmt::Debug for ServiceUserChanges {
    /// Without the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ServiceUserChanges").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

const CREATED_AT: Field = Field::shown("created_at", Kind::Timestamp).sortable();

/// What lists of service users can be filtered, sorted and picked by.
pub static FIELDS: &[Field] = &[
    Field::shown("id", Kind::Id).key("user_id"),
    Field::shown("name", Kind::Text).key("full_name").filterable(),
    Field::shown("role", Kind::Choice(Role::WORDS)).filterable(),
    Field::shown("status", Kind::Choice(MemberStatus::WORDS)).filterable(),
    CREATED_AT,
];

/// The order of lists: newest first. They can be turned round, but know no other order.
#[must_use]
pub fn default_sort() -> Sort {
    Sort { field: &CREATED_AT, direction: Direction::Descending }
}

/// Members that are programs: for owners and admins, and to change them at a login. Every member sees them among the members.
#[async_trait]
pub trait ServiceUsers: Send + Sync {
    /// A page, newest first.
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<ServiceUser>>;

    /// One of them; `NotFound` for people, and for those that were removed.
    async fn get(&self, context: &Context, id: UserId) -> Result<ServiceUser>;

    /// A new one. `Conflict` when there are a hundred.
    async fn create(&self, context: &Context, new: &NewServiceUser) -> Result<ServiceUser>;

    /// Changes what is named and leaves the rest. Making it an admin takes the password of who does so.
    async fn update(&self, context: &Context, id: UserId, changes: &ServiceUserChanges) -> Result<ServiceUser>;

    /// Takes its membership and all its tokens away. Records go on naming it.
    async fn remove(&self, context: &Context, id: UserId) -> Result<()>;
}

/// Service users kept in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgServiceUsers {
    db: Db,
}

impl PgServiceUsers {
    /// On this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// A transaction of somebody who may change service users; the one with this id is there.
    async fn begin(&self, context: &Context, id: Option<UserId>) -> Result<Tx> {
        let mut tx = self.db.begin(context).await?;
        if let Some(id) = id {
            find(&mut tx, id).await?;
        }
        tx.require(Role::is_manager, "change service users")?;
        Ok(tx)
    }
}

#[async_trait]
impl ServiceUsers for PgServiceUsers {
    async fn list(&self, context: &Context, query: &ListQuery) -> Result<Page<ServiceUser>> {
        let mut tx = self.db.begin(context).await?;
        tx.require(Role::is_manager, "see service users")?;
        let rows = seek_id!(narrowed(&tx, query), query, q_members::user_id);
        let wanted = i64::from(query.limit) + 1;
        let rows: Vec<ServiceUser> =
            rows.limit(wanted).select(ServiceUser::as_select()).load(&mut tx).await.expect_any(SERVICE_USER)?;
        let total = match query.count {
            Count::Bounded => {
                let all = narrowed(&tx, query).select(q_members::user_id).limit(COUNT_BOUND + 1);
                Some(Total::bounded(Counted(all).get_result(&mut tx).await.expect_any(SERVICE_USER)?))
            }
            Count::Skip => None,
        };
        Ok(Page::from_rows(query, rows, total, |user, _| Position::new(serde_json::Value::Null, user.id)))
    }

    async fn get(&self, context: &Context, id: UserId) -> Result<ServiceUser> {
        let mut tx = self.db.begin(context).await?;
        let user = find(&mut tx, id).await?;
        tx.require(Role::is_manager, "see service users")?;
        Ok(user)
    }

    async fn create(&self, context: &Context, new: &NewServiceUser) -> Result<ServiceUser> {
        let mut tx = self.begin(context, None).await?;
        validation::check(new)?;
        let call = sql::create_service_user(&new.name, new.role.as_str());
        let id: UserId = diesel::select(call).get_result(&mut tx).await.expect_any(SERVICE_USER)?;
        let user = find(&mut tx, id).await?;
        tx.commit().await?;
        Ok(user)
    }

    async fn update(&self, context: &Context, id: UserId, changes: &ServiceUserChanges) -> Result<ServiceUser> {
        let mut tx = self.begin(context, Some(id)).await?;
        validation::check(changes)?;
        if changes.role == Some(ServiceRole::Admin) {
            // No transaction waits for a password.
            drop(tx);
            password_proof::require_in_session(&self.db, context, changes.password.as_deref()).await?;
            tx = self.begin(context, Some(id)).await?;
        }
        let call = sql::update_service_user(id, changes.name.as_deref(), changes.role.map(ServiceRole::as_str));
        found(diesel::select(call).get_result(&mut tx).await.expect_any(SERVICE_USER)?)?;
        let user = find(&mut tx, id).await?;
        tx.commit().await?;
        Ok(user)
    }

    async fn remove(&self, context: &Context, id: UserId) -> Result<()> {
        let mut tx = self.begin(context, Some(id)).await?;
        found(diesel::select(sql::remove_service_user(id)).get_result(&mut tx).await.expect_any(SERVICE_USER)?)?;
        tx.commit().await
    }
}

/// Somebody else may have removed it between the look and the change.
fn found(found: bool) -> Result<()> {
    if found { Ok(()) } else { Err(Error::NotFound(SERVICE_USER.name)) }
}

/// The service user with this id, unless it was removed.
pub(super) async fn find(tx: &mut Tx, id: UserId) -> Result<ServiceUser> {
    here(tx).filter(q_members::user_id.eq(id)).select(ServiceUser::as_select()).first(tx).await.expect_one(SERVICE_USER)
}

type Here<'a> = q_members::BoxedQuery<'a, diesel::pg::Pg>;

fn here<'a>(tx: &Tx) -> Here<'a> {
    q_members::table
        .filter(q_members::organization_id.eq(tx.organization_id()))
        .filter(q_members::kind.eq(MemberKind::Service.as_str()))
        .filter(q_members::status.ne(MemberStatus::Removed.as_str()))
        .into_boxed()
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Here<'a> {
    here(tx).filter(Matching::new(tx, members::VIEW, &query.filter.condition()))
}

mod sql {
    use diesel::sql_types::{Nullable, Text, Uuid};

    diesel::define_sql_function! {
        /// Makes a service user of the organisation of the transaction.
        #[sql_name = "identity.create_service_user"]
        fn create_service_user(name: Text, role: Text) -> Uuid;
    }

    diesel::define_sql_function! {
        /// Changes a service user; NULL leaves as it is.
        #[sql_name = "identity.update_service_user"]
        fn update_service_user(user: Uuid, name: Nullable<Text>, role: Nullable<Text>) -> Bool;
    }

    diesel::define_sql_function! {
        /// Ends a service user's membership and tokens.
        #[sql_name = "identity.remove_service_user"]
        fn remove_service_user(user: Uuid) -> Bool;
    }
}
