//! What a contact is called by in calls that change many: any of their addresses, found by an index.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_contacts::{
    BulkContacts, Contact, ContactChanges, ContactPointKind, ContactPointsRequest, Contacts, NewContact, NewContactPoint,
    PgContacts,
};
use crm_kernel::{Context, Expected, Result};
use crm_tenancy::bulk::{self, Done, Key, Operation};
use crm_testkit::{Tenant, TestDatabase, refusals};
use diesel::{ExpressionMethods, QueryDsl};

/// Records that one look may read.
const MOST_READ: i64 = 50;

diesel::table! {
    /// What the transaction has read so far.
    pg_stat_xact_user_tables (relid) {
        /// Of this table.
        relid -> Oid,
        /// Its name.
        relname -> Text,
        /// Rows that were walked over.
        seq_tup_read -> BigInt,
        /// Rows that indexes led to.
        idx_tup_fetch -> Nullable<BigInt>,
    }
}

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    contacts: PgContacts,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let contacts = PgContacts::new(database.db());
        Self { database, tenant, contacts }
    }

    /// A contact with these addresses, the first of which is the primary one.
    async fn person(&self, by: &Context, first_name: &str, last_name: &str, emails: &[&str]) -> Contact {
        let new = NewContact { first_name: first_name.into(), last_name: last_name.into(), ..NewContact::default() };
        let made = self.contacts.create(by, new).await.expect("a member creates");
        let point = |email: &&str| NewContactPoint {
            kind: ContactPointKind::Email,
            value: (*email).into(),
            label: None,
            is_primary: None,
        };
        let wanted = ContactPointsRequest { data: emails.iter().map(point).collect() };
        self.contacts.replace_points(by, made.id, &Expected::Any, &wanted).await.expect("a list");
        made
    }

    /// Changes who has this address, or makes somebody with it.
    async fn upserted(&self, key: &str, title: &str) -> Result<Done<Contact>> {
        let new = NewContact { first_name: "Augusta".into(), last_name: "King".into(), ..NewContact::default() };
        let changes = ContactChanges { title: Some(Some(title.into())), ..ContactChanges::default() };
        self.done(Operation::Upsert(Key::Natural(key.into()), Expected::Any, Box::new(new), Box::new(changes))).await
    }

    async fn done(&self, operation: Operation<BulkContacts>) -> Result<Done<Contact>> {
        let mut tx = self.database.db().begin(&self.tenant.member).await.expect("a transaction");
        let result = bulk::each(&mut tx, vec![operation], &bulk::everything).await.remove(0);
        tx.commit().await.expect("a refusal does not fail the commit");
        result
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_an_address_is_found_by_it_whichever_of_theirs_it_is() {
    let bench = Bench::new().await;
    let member = &bench.tenant.member;
    let ada = bench.person(member, "Ada", "Lovelace", &["ada@home.example", "Info@Analytical.example"]).await;
    for (key, title) in [("INFO@analytical.example", "Countess"), ("ADA@home.example", "Programmer")] {
        let Ok(Done::Updated(found)) = bench.upserted(key, title).await else { panic!("{key} is hers") };
        assert_eq!((found.id, found.title.as_deref()), (ada.id, Some(title)), "{key}");
        assert_eq!(found.email.as_deref(), Some("ada@home.example"), "a further address stays one");
    }

    let grace = bench.person(member, "Grace", "Hopper", &["grace@navy.example", "info@analytical.example"]).await;
    refusals::conflict(bench.upserted("info@analytical.example", "Lost").await, "/key", "two people have it");
    bench.contacts.delete(member, grace.id, &Expected::Any).await.expect("a member deletes their own");
    let Ok(Done::Updated(found)) = bench.upserted("info@analytical.example", "Countess").await else { panic!("one is left") };
    assert_eq!(found.id, ada.id, "who lies in the bin has no address");

    let gone = bench.done(Operation::Delete(Key::Natural("info@analytical.example".into()), Expected::Any)).await;
    assert_eq!(gone.expect("a further address names her here too"), Done::Deleted);
    refusals::not_found(bench.contacts.get(member, ada.id).await, "it was her");
}

/// Two people have it, the one as their own and the other as a further one: that is more than one, and neither is changed.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_two_people_names_neither() {
    let bench = Bench::new().await;
    let member = &bench.tenant.member;
    bench.person(member, "Ada", "Lovelace", &["info@analytical.example"]).await;
    bench.person(member, "Grace", "Hopper", &["grace@navy.example", "INFO@analytical.example"]).await;
    refusals::conflict(bench.upserted("info@analytical.example", "Lost").await, "/key", "two people have it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_another_organisation_is_nobodys() {
    let bench = Bench::new().await;
    let stranger = bench.database.tenant("Umbrella").await;
    bench.person(&stranger.member, "Albert", "Wesker", &["albert@umbrella.example", "info@umbrella.example"]).await;
    let Ok(Done::Created(made)) = bench.upserted("info@umbrella.example", "New").await else { panic!("nobody here has it") };
    assert_eq!(made.email.as_deref(), Some("info@umbrella.example"));
}

/// Upserts come by the thousand: each looks into indexes, of 20,000 people with two addresses each.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_looked_up_and_not_searched_for() {
    let bench = Bench::new().await;
    let member = &bench.tenant.member;
    let (organization, user) = (member.organization_id, member.user_id);
    let people = format!(
        "SET session_replication_role = replica;
         INSERT INTO crm_contacts (organization_id, owner_id, created_by_id, first_name, last_name, email)
         SELECT '{organization}', '{user}', '{user}', 'First ' || n, 'Last ' || n, 'p' || n || '@example.com' FROM generate_series(1, 20000) AS n;
         INSERT INTO crm_contact_points (organization_id, contact_id, kind, value)
         SELECT organization_id, id, 'email', 'further-' || email FROM crm_contacts;
         RESET session_replication_role"
    );
    bench.database.execute(&people).await;
    bench.database.execute("ANALYZE crm_contacts, crm_contact_points").await;
    for key in ["P777@example.com", "Further-P777@example.com", "nobody@example.com"] {
        let mut tx = bench.database.db().begin(member).await.expect("a transaction");
        let found = <BulkContacts as bulk::Noun>::with_natural_key(&mut tx, key).await.expect("it is asked");
        assert_eq!(found.len(), usize::from(key != "nobody@example.com"), "{key}");
        let tables = pg_stat_xact_user_tables::table
            .filter(pg_stat_xact_user_tables::relname.eq_any(["crm_contacts", "crm_contact_points"]))
            .select((pg_stat_xact_user_tables::seq_tup_read, pg_stat_xact_user_tables::idx_tup_fetch));
        let tables: Vec<(i64, Option<i64>)> = diesel_async::RunQueryDsl::load(tables, &mut tx).await.expect("what was read");
        let read: i64 = tables.iter().map(|(walked, fetched)| walked + fetched.unwrap_or_default()).sum();
        assert_eq!(tables.len(), 2, "both tables are counted");
        assert!(read <= MOST_READ, "{key}: {read} rows were read: {tables:?}");
    }
}
