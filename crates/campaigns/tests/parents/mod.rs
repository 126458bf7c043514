//! A campaign, and contacts that may become its members. Campaigns do not know the crate of contacts.

#![allow(dead_code, reason = "each test uses what it needs")]

pub mod direct;

use crm_campaigns::{
    Campaign, CampaignContact, CampaignContactChanges, CampaignContacts, Campaigns, MemberStatus, NewCampaign,
    PgCampaignContacts, PgCampaigns,
};
use crm_kernel::{Condition, ContactId, Context, Expected, Filter, Moment, OrganizationId, Result, Vocabulary};
use crm_testkit::{Tenant, TestDatabase};
use diesel::result::Error::DatabaseError;
use diesel_async::SimpleAsyncConnection;

pub struct Bench {
    pub database: TestDatabase,
    pub tenant: Tenant,
    pub campaigns: PgCampaigns,
    pub members: PgCampaignContacts,
}

impl Bench {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let (campaigns, members) = (PgCampaigns::new(database.db()), PgCampaignContacts::new(database.db()));
        Self { database, tenant, campaigns, members }
    }

    pub fn member(&self) -> &Context {
        &self.tenant.member
    }

    /// One of the member's own.
    pub async fn campaign(&self) -> Campaign {
        let new = NewCampaign { name: "Spring".into(), ..NewCampaign::default() };
        self.campaigns.create(self.member(), new).await.expect("a member creates")
    }

    /// So many contacts, the owner's own, oldest first. Each is called by its number, and every tenth is in sales.
    pub async fn contacts(&self, number: usize) -> Vec<ContactId> {
        self.contacts_of(self.tenant.organization_id, number).await
    }

    pub async fn contacts_of(&self, organization: OrganizationId, number: usize) -> Vec<ContactId> {
        let owner = self.tenant.owner.user_id;
        let owner = if organization == self.tenant.organization_id { format!("'{owner}'") } else { "NULL".to_owned() };
        let made = format!(
            "INSERT INTO crm_contacts (organization_id, owner_id, created_by_id, first_name, last_name, department)
             SELECT '{organization}', {owner}, {owner}, 'Contact', n::text, CASE WHEN n % 10 = 0 THEN 'sales' END
               FROM generate_series(1, {number}) AS n"
        );
        self.database.execute(&made).await;
        let ids = format!("SELECT id FROM crm_contacts WHERE organization_id = '{organization}' ORDER BY id");
        self.database.texts(&ids).await.iter().map(|id| id.parse().expect("an id")).collect()
    }

    pub async fn opt_out(&self, contact: ContactId) {
        self.database.execute(&format!("UPDATE crm_contacts SET opted_out = true WHERE id = '{contact}'")).await;
    }

    /// Says how far a member has come.
    pub async fn set(&self, campaign: &Campaign, contact: ContactId, status: MemberStatus) -> Result<CampaignContact> {
        let changes = CampaignContactChanges { status: Some(status) };
        self.members.update(self.member(), campaign.id, contact, &Expected::Any, &changes).await
    }

    /// How many memberships there are of contacts who opted out, and are not unsubscribed: none, whatever happens.
    pub async fn wrongly_reached(&self) -> i64 {
        let wrong = "SELECT count(*) FROM crm_campaign_contacts AS member JOIN crm_contacts AS contact
                         ON contact.organization_id = member.organization_id AND contact.id = member.contact_id
                      WHERE contact.opted_out AND member.status <> 'unsubscribed'";
        self.database.number(wrong).await
    }

    /// The rule by which the database refuses this statement of an administrator.
    pub async fn broken_rule(&self, statement: &str) -> String {
        match self.database.admin().await.batch_execute(statement).await {
            Err(DatabaseError(_, information)) => information.constraint_name().unwrap_or_default().to_owned(),
            other => format!("{other:?}"),
        }
    }
}

/// A filter in the words of these fields.
pub fn filter(text: &str, vocabulary: &Vocabulary, context: &Context) -> Filter {
    let condition = Condition::parse(text, vocabulary).expect("a filter");
    let now = "2026-01-01T00:00:00Z".parse().expect("a time");
    let moment = Moment::new(context.user_id, now, "UTC").expect("a time zone");
    Filter::default().and(condition, &moment).expect("a filter")
}
