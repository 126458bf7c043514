//! A company's name in addresses: made from its name, unique among the living, and never changed behind anyone's back.

use crm_companies::{Companies, Company, CompanyChanges, NewCompany, PgCompanies};
use crm_kernel::{Context, Error, Expected};
use crm_testkit::{
    Tenant, TestDatabase,
    refusals::{conflict, invalid},
};

async fn set_up() -> (TestDatabase, Tenant, PgCompanies) {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let companies = PgCompanies::new(database.db());
    (database, tenant, companies)
}

fn named(name: &str) -> NewCompany {
    NewCompany { name: name.into(), ..NewCompany::default() }
}

fn slugged(name: &str, slug: &str) -> NewCompany {
    NewCompany { slug: Some(slug.into()), ..named(name) }
}

async fn create(companies: &PgCompanies, context: &Context, new: NewCompany) -> Company {
    companies.create(context, new).await.expect("a company can be created")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_is_made_from_the_name() {
    let (_database, tenant, companies) = set_up().await;
    for (name, slug) in
        [("Größe & Söhne AG", "grosse-sohne-ag"), ("!!!", "company"), ("Ünïcode 株式会社", "unicode-zhu-shi-hui-she")]
    {
        assert_eq!(create(&companies, &tenant.member, named(name)).await.slug, slug, "the slug of {name}");
    }
    let long = create(&companies, &tenant.member, named(&"x".repeat(255))).await;
    assert!(long.slug.len() <= 100, "a long name gives a slug that fits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_slug_gets_a_suffix_and_a_chosen_one_is_refused() {
    let (database, tenant, companies) = set_up().await;
    let first = create(&companies, &tenant.member, named("Acme")).await;
    let second = create(&companies, &tenant.colleague, named("ACME")).await;
    assert_eq!(first.slug, "acme");
    let suffix = second.slug.strip_prefix("acme-").expect("a taken slug gets a suffix");
    assert_eq!(suffix.len(), 8, "the suffix has eight characters: {suffix}");

    conflict(companies.create(&tenant.member, slugged("Other", "acme")).await, "/slug", "a chosen slug that is taken is refused");
    let changes = CompanyChanges { slug: Some("acme".into()), ..CompanyChanges::default() };
    let taken = companies.update(&tenant.owner, second.id, &Expected::Any, &changes).await;
    conflict(taken, "/slug", "a slug that is taken cannot be changed to");

    let stranger = database.tenant("Umbrella").await;
    assert_eq!(create(&companies, &stranger.member, named("Acme")).await.slug, "acme", "slugs of another tenant are not taken");
    companies.delete(&tenant.owner, first.id, &Expected::Any).await.expect("the owner deletes");
    assert_eq!(create(&companies, &tenant.member, named("Acme")).await.slug, "acme", "a deleted company frees its slug");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_outlives_a_new_name() {
    let (_database, tenant, companies) = set_up().await;
    let company = create(&companies, &tenant.member, named("Acme")).await;
    let changes = CompanyChanges { name: Some("Zenith".into()), ..CompanyChanges::default() };
    let renamed = companies.update(&tenant.member, company.id, &Expected::Any, &changes).await.expect("a member renames its own");
    assert_eq!(renamed.slug, "acme", "renaming keeps the slug");
    let owned = NewCompany { owner_id: Some(tenant.member.user_id), ..named("Apex") };
    let replaced = companies.replace(&tenant.member, company.id, &Expected::Any, owned).await.expect("a member replaces its own");
    assert_eq!((replaced.name.as_str(), replaced.slug.as_str()), ("Apex", "acme"), "replacing without a slug keeps it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_has_only_what_an_address_may_have() {
    let (_database, tenant, companies) = set_up().await;
    for bad in ["", "Acme", "a b", "-a", "a-", "a--b", "ä", "a/b", "a.b"] {
        let refused = companies.create(&tenant.member, slugged("Acme", bad)).await;
        invalid(refused, "/slug", "slug", &format!("the slug {bad:?} must be refused"));
    }
    let long = companies.create(&tenant.member, slugged("Acme", &"a".repeat(101))).await;
    invalid(long, "/slug", "length", "a slug of 101 characters must be refused");
    create(&companies, &tenant.member, slugged("Acme", &"a".repeat(100))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_name_at_the_same_moment_never_share_a_slug() {
    let (database, tenant, companies) = set_up().await;
    let create = |context: &Context| {
        let (companies, context) = (companies.clone(), context.clone());
        tokio::spawn(async move { companies.create(&context, named("Acme")).await })
    };
    let writers: Vec<_> = [&tenant.owner, &tenant.admin, &tenant.member, &tenant.colleague].into_iter().map(create).collect();
    let mut created = 0;
    for writer in writers {
        match writer.await.expect("the writer ends") {
            Ok(_) => created += 1,
            Err(error) => assert!(matches!(error, Error::Conflict(_)), "who loses is told that it is a conflict: {error}"),
        }
    }
    assert!(created >= 1, "one of them wins");
    assert_eq!(database.number("SELECT count(DISTINCT slug) FROM crm_companies").await, created, "each has a slug of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_the_same_name_at_the_same_moment_all_get_a_slug() {
    let (_database, tenant, companies) = set_up().await;
    let writers: Vec<_> = (0..12)
        .map(|_| {
            let (companies, context) = (companies.clone(), tenant.member.clone());
            tokio::spawn(async move { companies.create(&context, named("Acme")).await })
        })
        .collect();
    let mut slugs = std::collections::HashSet::new();
    for writer in writers {
        let company = writer.await.expect("the writer ends").expect("nobody hears of a slug that nobody chose");
        assert!(slugs.insert(company.slug), "each has a slug of its own");
    }
}
