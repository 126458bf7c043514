//! An organisation with one person of every role, and two members, because a member's rights end at a colleague's record.

use crm_kernel::{Context, OrganizationId, Role, UserId, slug::slugify};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::sync::OnceCell;

use crate::TestDatabase;

/// The password of everybody whom testkit makes.
pub const PASSWORD: &str = "correct horse battery staple";

/// Its hash, made once for each test program: argon2 is slow by intention.
static HASH: OnceCell<String> = OnceCell::const_new();

/// An organisation and its people, each as the context in which they call.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its id.
    pub organization_id: OrganizationId,
    /// Its name in addresses.
    pub slug: String,
    /// The owner.
    pub owner: Context,
    /// An admin.
    pub admin: Context,
    /// A member.
    pub member: Context,
    /// Another member.
    pub colleague: Context,
    /// A viewer.
    pub viewer: Context,
}

impl Tenant {
    /// The address that `owner`, `admin`, `member`, `colleague` or `viewer` logs in with.
    #[must_use]
    pub fn email(&self, who: &str) -> String {
        email(who, &self.slug)
    }
}

impl TestDatabase {
    /// A new organisation of this name. Names must differ within one database.
    pub async fn tenant(&self, name: &str) -> Tenant {
        let hash = HASH.get_or_init(|| async { crm_tenancy::passwords::hash(PASSWORD.to_owned()).await.unwrap() }).await;
        let slug = slugify(name, "tenant");
        let mut admin = self.admin().await;
        let (organization_id, owner) = create_organization(&mut admin, name, &slug, hash).await;
        let mut people = Vec::new();
        for (who, role) in
            [("admin", Role::Admin), ("member", Role::Member), ("colleague", Role::Member), ("viewer", Role::Viewer)]
        {
            let user = add_member(&mut admin, organization_id, &email(who, &slug), role, hash).await;
            people.push(Context::new(organization_id, user, role));
        }
        let [admin, member, colleague, viewer] = <[Context; 4]>::try_from(people).unwrap();
        let owner = Context::new(organization_id, owner, Role::Owner);
        Tenant { organization_id, slug, owner, admin, member, colleague, viewer }
    }

    /// A further member of an organisation; a person whose address is known already is the same person.
    pub async fn add_member(&self, organization: OrganizationId, email: &str, role: Role) -> Context {
        let hash = HASH.get_or_init(|| async { crm_tenancy::passwords::hash(PASSWORD.to_owned()).await.unwrap() }).await;
        let user = add_member(&mut self.admin().await, organization, email, role, hash).await;
        Context::new(organization, user, role)
    }
}

fn email(who: &str, slug: &str) -> String {
    format!("{who}@{slug}.example.com")
}

#[derive(QueryableByName)]
struct Created {
    #[diesel(sql_type = SqlUuid)]
    organization_id: OrganizationId,
    #[diesel(sql_type = SqlUuid)]
    user_id: UserId,
}

#[derive(QueryableByName)]
struct Added {
    #[diesel(sql_type = SqlUuid)]
    user_id: UserId,
}

#[expect(clippy::disallowed_methods, reason = "a function that returns a table, called as the administrator")]
async fn create_organization(admin: &mut AsyncPgConnection, name: &str, slug: &str, hash: &str) -> (OrganizationId, UserId) {
    let query = sql_query("SELECT organization_id, user_id FROM app.create_organization($1, $2, 'USD', 'UTC', $3, $4, $5)")
        .bind::<Text, _>(name)
        .bind::<Text, _>(slug)
        .bind::<Text, _>(email("owner", slug))
        .bind::<Text, _>(format!("Owner of {name}"))
        .bind::<Text, _>(hash);
    let created: Created = query.get_result(admin).await.unwrap();
    (created.organization_id, created.user_id)
}

#[expect(clippy::disallowed_methods, reason = "called as the administrator, a few times for each test")]
async fn add_member(admin: &mut AsyncPgConnection, organization: OrganizationId, email: &str, role: Role, hash: &str) -> UserId {
    let query = sql_query("SELECT app.add_member($1, $2, $3, $4, NULL, NULL, NULL, $5) AS user_id")
        .bind::<SqlUuid, _>(organization)
        .bind::<Text, _>(email)
        .bind::<Text, _>(email.split('@').next().unwrap_or(email))
        .bind::<Text, _>(role.as_str())
        .bind::<Text, _>(hash);
    query.get_result::<Added>(admin).await.unwrap().user_id
}
