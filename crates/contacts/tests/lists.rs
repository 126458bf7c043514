//! Addresses, numbers and companies of a contact as lists: what is written there and what is written on the contact itself never disagree.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use crm_contacts::{
    Contact, ContactChanges, ContactCompaniesRequest, ContactCompanyList, ContactPointKind, ContactPointList,
    ContactPointsRequest, Contacts, NewContact, NewContactCompany, NewContactPoint, PgContacts,
};
use crm_kernel::{CompanyId, Context, Expected, Result};
use crm_testkit::{Tenant, TestDatabase, refusals};
use tokio::task::JoinSet;
use uuid::Uuid;

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    contacts: PgContacts,
    ada: Contact,
}

impl Bench {
    async fn new(email: Option<&str>) -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let contacts = PgContacts::new(database.db());
        let new = NewContact {
            first_name: "Ada".into(),
            last_name: "Lovelace".into(),
            email: email.map(Into::into),
            ..NewContact::default()
        };
        let ada = contacts.create(&tenant.member, new).await.expect("a member creates");
        Self { database, tenant, contacts, ada }
    }

    async fn points(&self, data: Vec<NewContactPoint>) -> Result<ContactPointList> {
        let wanted = ContactPointsRequest { data };
        self.contacts.replace_points(&self.tenant.member, self.ada.id, &Expected::Any, &wanted).await
    }

    async fn companies(&self, data: Vec<NewContactCompany>) -> Result<ContactCompanyList> {
        let wanted = ContactCompaniesRequest { data };
        self.contacts.replace_companies(&self.tenant.member, self.ada.id, &Expected::Any, &wanted).await
    }

    async fn change(&self, changes: ContactChanges) -> Contact {
        self.contacts
            .update(&self.tenant.member, self.ada.id, &Expected::Any, &changes)
            .await
            .expect("a member changes their own")
    }

    async fn again(&self) -> Contact {
        self.contacts.get(&self.tenant.viewer, self.ada.id).await.expect("everybody reads")
    }

    /// `email ada@work.example work *` for each, the star for the primary one.
    async fn said(&self) -> Vec<String> {
        let list = self.contacts.points(&self.tenant.viewer, self.ada.id).await.expect("everybody reads");
        let said = |point: &crm_contacts::ContactPoint| {
            let star = if point.is_primary { " *" } else { "" };
            format!("{:?} {} {}{star}", point.kind, point.value, point.label.as_deref().unwrap_or("-"))
        };
        list.data.iter().map(said).collect()
    }

    async fn company(&self, by: &Context, name: &str) -> CompanyId {
        CompanyId(self.database.company(by, name).await)
    }
}

fn email(value: &str, label: &str) -> NewContactPoint {
    NewContactPoint { kind: ContactPointKind::Email, value: value.into(), label: Some(label.into()), is_primary: None }
}

fn phone(value: &str) -> NewContactPoint {
    NewContactPoint { kind: ContactPointKind::Phone, value: value.into(), label: None, is_primary: None }
}

fn primary(point: NewContactPoint) -> NewContactPoint {
    NewContactPoint { is_primary: Some(true), ..point }
}

fn at(company_id: CompanyId, role: &str) -> NewContactCompany {
    NewContactCompany { company_id, role: Some(role.into()), is_primary: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_ones_are_those_of_the_contact() {
    let bench = Bench::new(Some("ada@home.example")).await;
    assert_eq!(bench.said().await, ["Email ada@home.example - *"], "before there was a list");
    let list = bench
        .points(vec![email("Ada@home.example", "home"), primary(email("ada@work.example", "work")), phone("+41 44 668 18 00")])
        .await
        .expect("a list");
    assert_eq!(list.version, 2);
    let said = ["Email Ada@home.example home", "Email ada@work.example work *", "Phone +41446681800 - *"];
    assert_eq!(bench.said().await, said);
    let ada = bench.again().await;
    assert_eq!((ada.email.as_deref(), ada.phone.as_deref(), ada.version), (Some("ada@work.example"), Some("+41446681800"), 2));

    let same = bench
        .points(vec![email("Ada@home.example", "home"), primary(email("ada@work.example", "work")), phone("+41446681800")])
        .await;
    assert_eq!(same.expect("the same").version, 2, "nothing changed");
    let none = bench.points(vec![]).await.expect("an empty list");
    assert_eq!((none.data.len(), bench.again().await.email), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_on_the_contact_is_changed_in_the_list() {
    let bench = Bench::new(None).await;
    bench.points(vec![email("ada@work.example", "work"), email("ada@home.example", "home")]).await.expect("a list");
    let to = |value: Option<&str>| ContactChanges { email: Some(value.map(Into::into)), ..ContactChanges::default() };

    bench.change(to(Some("ADA@home.example"))).await;
    let promoted = ["Email ada@work.example work", "Email ADA@home.example home *"];
    assert_eq!(bench.said().await, promoted, "one that is in the list becomes the primary one");
    bench.change(to(Some("countess@home.example"))).await;
    let replaced = ["Email ada@work.example work", "Email countess@home.example home *"];
    assert_eq!(bench.said().await, replaced, "another one takes its place");
    bench.change(to(None)).await;
    assert_eq!(bench.said().await, ["Email ada@work.example work"]);
    bench.change(to(Some("ada@work.example"))).await;
    assert_eq!(bench.said().await, ["Email ada@work.example work *"]);
    let logged =
        "SELECT DISTINCT subject_type || ' ' || activity_type FROM crm_activities WHERE entity_type = 'contact_point' ORDER BY 1";
    assert_eq!(bench.database.texts(logged).await, ["contact created", "contact deleted", "contact updated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_list_is_said_where_it_is() {
    let bench = Bench::new(None).await;
    let taken = NewContact {
        first_name: "Grace".into(),
        last_name: "Hopper".into(),
        email: Some("grace@navy.example".into()),
        ..NewContact::default()
    };
    bench.contacts.create(&bench.tenant.member, taken).await.expect("another contact");
    let wrong =
        bench.points(vec![email("no address", "work"), phone("12"), email("a@b.example", "x"), email("A@B.example", "y")]).await;
    refusals::invalid(wrong, "/data/0/value", "email", "an address is one");
    refusals::invalid(
        bench.points(vec![phone("044 668 18 00")]).await,
        "/data/0/value",
        "phone",
        "the organisation has no country",
    );
    let twice = bench.points(vec![email("a@b.example", "x"), email("A@B.example", "y")]).await;
    refusals::invalid(twice, "/data/1/value", "duplicate", "an address stands there once");
    let two = bench.points(vec![primary(email("a@b.example", "x")), primary(email("c@d.example", "y"))]).await;
    refusals::invalid(two, "/data/1/is_primary", "duplicate", "one is the primary one");
    let others = bench.points(vec![email("a@b.example", "x"), primary(email("Grace@navy.example", "y"))]).await;
    refusals::conflict(others, "/data/1/value", "another contact's address");
    let many = (0..51).map(|number| email(&format!("a{number}@b.example"), "x")).collect();
    refusals::invalid(bench.points(many).await, "/data", "too_many", "fifty");
    let emoji = bench.points(vec![email("a@b.example", &"🦀".repeat(50))]).await.expect("a label of fifty letters");
    assert_eq!(emoji.data[0].label.as_deref(), Some("🦀".repeat(50).as_str()));

    let wanted = ContactPointsRequest { data: vec![] };
    let by_viewer = bench.contacts.replace_points(&bench.tenant.viewer, bench.ada.id, &Expected::Any, &wanted).await;
    refusals::forbidden(by_viewer, "viewers write nothing");
    let by_colleague = bench.contacts.replace_points(&bench.tenant.colleague, bench.ada.id, &Expected::Any, &wanted).await;
    refusals::forbidden(by_colleague, "another's contact");
    let foreign = bench.database.tenant("Umbrella").await;
    refusals::not_found(bench.contacts.points(&foreign.owner, bench.ada.id).await, "not there");
    let old = bench.contacts.replace_points(&bench.tenant.member, bench.ada.id, &Expected::OneOf(vec![1]), &wanted).await;
    refusals::stale(old, "the list was written since");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writers_at_once_one_wins_each_round() {
    let bench = Bench::new(None).await;
    let mut version = 1;
    for round in 0..5 {
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let (contacts, member, id) = (bench.contacts.clone(), bench.tenant.member.clone(), bench.ada.id);
            let wanted = ContactPointsRequest { data: vec![email(&format!("w{writer}@r{round}.example"), "w")] };
            let expected = Expected::OneOf(vec![version]);
            writers.spawn(async move { contacts.replace_points(&member, id, &expected, &wanted).await });
        }
        let won = writers.join_all().await.into_iter().filter(Result::is_ok).count();
        version += 1;
        assert_eq!((won, bench.again().await.version), (1, version));
        assert_eq!(bench.contacts.points(&bench.tenant.viewer, bench.ada.id).await.expect("a list").data.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_belongs_to_companies_with_a_role_and_is_found_at_each() {
    let bench = Bench::new(None).await;
    let member = &bench.tenant.member;
    let (analytical, babbage) = (bench.company(member, "Analytical").await, bench.company(member, "Babbage").await);
    let list = bench.companies(vec![at(analytical, "adviser"), at(babbage, "director")]).await.expect("two companies");
    let seen: Vec<_> = list.data.iter().map(|each| (each.name.as_deref(), each.role.as_deref(), each.is_primary)).collect();
    assert_eq!(seen, [(Some("Analytical"), Some("adviser"), true), (Some("Babbage"), Some("director"), false)]);
    assert_eq!((list.version, bench.again().await.company_id), (2, Some(analytical)));
    assert_eq!(bench.contacts.further_of(member, babbage).await.expect("read"), [bench.ada.id]);
    assert_eq!(
        bench.contacts.further_of(member, analytical).await.expect("read"),
        [],
        "whose first it is, the list of contacts says"
    );

    let to = |company: Option<CompanyId>| ContactChanges { company_id: Some(company), ..ContactChanges::default() };
    bench.change(to(Some(babbage))).await;
    let swapped = bench.contacts.companies(member, bench.ada.id).await.expect("read");
    let seen: Vec<_> = swapped.data.iter().map(|each| (each.company_id, each.is_primary)).collect();
    assert_eq!(seen, [(analytical, false), (babbage, true)]);
    let third = bench.company(member, "Third").await;
    bench.change(to(Some(third))).await;
    let moved = bench.contacts.companies(member, bench.ada.id).await.expect("read");
    let seen: Vec<_> = moved.data.iter().map(|each| (each.company_id, each.role.as_deref(), each.is_primary)).collect();
    assert_eq!(seen, [(third, None, true), (analytical, Some("adviser"), false)], "a role at the one is none at the other");

    bench.database.delete_company(analytical.uuid()).await;
    let kept = bench.companies(vec![at(analytical, "adviser once"), at(third, "director")]).await.expect("who is there stays");
    assert_eq!((kept.data[0].is_deleted, kept.data[0].is_primary, kept.data[1].is_primary), (true, false, true));
    let first = vec![NewContactCompany { is_primary: Some(true), ..at(analytical, "adviser") }, at(third, "director")];
    refusals::invalid(bench.companies(first).await, "/data/0/company_id", "parent_deleted", "nobody comes to it any more");
    bench.companies(vec![at(third, "director")]).await.expect("it may go");
    refusals::invalid(bench.companies(vec![at(analytical, "back")]).await, "/data/0/company_id", "reference", "not from the bin");
    let foreign = bench.database.tenant("Umbrella").await;
    let theirs = bench.company(&foreign.member, "Theirs").await;
    for company in [theirs, CompanyId(Uuid::now_v7())] {
        refusals::invalid(bench.companies(vec![at(company, "spy")]).await, "/data/0/company_id", "reference", "not here");
    }
    refusals::not_found(bench.contacts.companies(&foreign.owner, bench.ada.id).await, "another organisation's contact");
}
