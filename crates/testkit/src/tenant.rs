//! An organisation with one person of every role, and two members, because a member's rights end at a colleague's record.

use crm_kernel::{Context, OrganizationId, Role, slug::slugify};
use crm_tenancy::{
    Provisioning,
    identity::{SwitchRequest, Tokens},
    provisioning::{Founded, NewMember, NewOrganization, NewPerson},
};
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
        let slug = slugify(name, "tenant");
        let mut provisioning = self.provisioning().await;
        let new = NewOrganization { name, slug: &slug, default_currency: "USD", time_zone: "UTC" };
        let (email_of_owner, name_of_owner) = (email("owner", &slug), format!("Owner of {name}"));
        let owner = NewPerson { full_name: &name_of_owner, ..person(&email_of_owner, hash().await) };
        let Founded { organization_id, owner_id } = provisioning.found(&new, &owner).await.unwrap();
        let mut people = Vec::new();
        for (who, role) in
            [("admin", Role::Admin), ("member", Role::Member), ("colleague", Role::Member), ("viewer", Role::Viewer)]
        {
            let email = email(who, &slug);
            let new = NewMember::new(person(&email, hash().await), role);
            let user = provisioning.add_member(organization_id, &new).await.unwrap();
            people.push(Context::new(organization_id, user, role));
        }
        provisioning.commit().await.unwrap();
        let [admin, member, colleague, viewer] = <[Context; 4]>::try_from(people).unwrap();
        let owner = Context::new(organization_id, owner_id, Role::Owner);
        Tenant { organization_id, slug, owner, admin, member, colleague, viewer }
    }

    /// A further member of an organisation; a person whose address is known already is the same person.
    pub async fn add_member(&self, organization: OrganizationId, email: &str, role: Role) -> Context {
        let mut provisioning = self.provisioning().await;
        let new = NewMember::new(person(email, hash().await), role);
        let user = provisioning.add_member(organization, &new).await.unwrap();
        provisioning.commit().await.unwrap();
        Context::new(organization, user, role)
    }

    async fn provisioning(&self) -> Provisioning {
        Provisioning::begin(&self.admin_url()).await.unwrap()
    }
}

fn email(who: &str, slug: &str) -> String {
    format!("{who}@{slug}.example.com")
}

fn person<'a>(email: &'a str, password_hash: &'a str) -> NewPerson<'a> {
    NewPerson { email, full_name: email.split('@').next().unwrap_or(email), password_hash: Some(password_hash) }
}

async fn hash() -> &'static str {
    HASH.get_or_init(|| async { crm_tenancy::passwords::hash(PASSWORD.to_owned()).await.unwrap() }).await
}

/// What enters another organisation of the same person.
#[must_use]
pub fn to(tokens: &Tokens, organization_id: OrganizationId) -> SwitchRequest {
    SwitchRequest { organization_id, refresh_token: tokens.refresh_token.clone() }
}
