//! Companies form trees: no cycle, no endless chain, and only living companies of one's own above.

use crm_companies::{Companies, Company, CompanyChanges, NewCompany, PgCompanies};
use crm_kernel::{CompanyId, Context, Error, Expected, Result};
use crm_testkit::{
    Tenant, TestDatabase,
    refusals::{conflict, invalid},
};

/// As many companies may be above one, as the database has it.
const DEEPEST: usize = 20;

async fn set_up() -> (TestDatabase, Tenant, PgCompanies) {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let companies = PgCompanies::new(database.db());
    (database, tenant, companies)
}

fn named(name: impl Into<String>, parent_id: Option<CompanyId>) -> NewCompany {
    NewCompany { name: name.into(), parent_id, ..NewCompany::default() }
}

async fn below(companies: &PgCompanies, context: &Context, parent: Option<CompanyId>) -> Company {
    companies.create(context, named("Company", parent)).await.expect("a company can be created")
}

async fn move_below(companies: &PgCompanies, context: &Context, id: CompanyId, parent: Option<CompanyId>) -> Result<Company> {
    let changes = CompanyChanges { parent_id: Some(parent), ..CompanyChanges::default() };
    companies.update(context, id, &Expected::Any, &changes).await
}

/// A chain of companies, each below the one before.
async fn chain(companies: &PgCompanies, context: &Context, length: usize) -> Vec<CompanyId> {
    let mut ids: Vec<CompanyId> = Vec::new();
    for _ in 0..length {
        ids.push(below(companies, context, ids.last().copied()).await.id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_cannot_be_above_itself() {
    let (_database, tenant, companies) = set_up().await;
    let ids = chain(&companies, &tenant.owner, 5).await;
    for below in &ids {
        let moved = move_below(&companies, &tenant.owner, ids[0], Some(*below)).await;
        invalid(moved, "/parent_id", "parent_cycle", "the first company of a chain must not move below any of them");
    }
    let id = CompanyId::generate();
    let own_parent = NewCompany { id: Some(id), ..named("Ouroboros", Some(id)) };
    invalid(
        companies.create(&tenant.owner, own_parent).await,
        "/parent_id",
        "parent_cycle",
        "a new company must not be its own parent",
    );

    move_below(&companies, &tenant.owner, ids[1], None).await.expect("a company can leave its parent");
    move_below(&companies, &tenant.owner, ids[0], Some(ids[4])).await.expect("what is no longer below may come above");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_at_once_cannot_make_a_cycle() {
    let (database, tenant, companies) = set_up().await;
    for _ in 0..10 {
        let (left, right) = (below(&companies, &tenant.owner, None).await.id, below(&companies, &tenant.admin, None).await.id);
        let (one, other) = tokio::join!(
            move_below(&companies, &tenant.owner, left, Some(right)),
            move_below(&companies, &tenant.admin, right, Some(left))
        );
        assert!(
            one.is_ok() != other.is_ok(),
            "exactly one of two writers may put its company below the other's: {one:?} {other:?}"
        );
        let refused = if one.is_ok() { other } else { one };
        invalid(refused, "/parent_id", "parent_cycle", "the second writer must be refused");
    }
    let mutual = "SELECT count(*) FROM crm_companies AS one JOIN crm_companies AS other ON other.id = one.parent_id AND other.parent_id = one.id";
    assert_eq!(database.number(mutual).await, 0, "no two companies are each other's parent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_that_many_writers_close_at_once_stays_open() {
    let (database, tenant, companies) = set_up().await;
    for _ in 0..5 {
        let mut ring = Vec::new();
        for _ in 0..3 {
            ring.push(below(&companies, &tenant.owner, None).await.id);
        }
        let (one, two, three) = tokio::join!(
            move_below(&companies, &tenant.owner, ring[0], Some(ring[1])),
            move_below(&companies, &tenant.admin, ring[1], Some(ring[2])),
            move_below(&companies, &tenant.owner, ring[2], Some(ring[0]))
        );
        let refused: Vec<_> = [one, two, three].into_iter().filter(Result::is_err).collect();
        assert_eq!(refused.len(), 1, "whoever comes last closes the ring, and nobody else is refused: {refused:?}");
        for moved in refused {
            invalid(moved, "/parent_id", "parent_cycle", "the last writer must be refused");
        }
    }
    let ring = "SELECT count(*) FROM crm_companies AS one JOIN crm_companies AS two ON two.id = one.parent_id \
                JOIN crm_companies AS three ON three.id = two.parent_id AND three.parent_id = one.id";
    assert_eq!(database.number(ring).await, 0, "no three companies are each other's parents");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_has_an_end() {
    let (_database, tenant, companies) = set_up().await;
    let ids = chain(&companies, &tenant.owner, DEEPEST + 1).await;
    let last = ids.last().copied();
    let too_deep = companies.create(&tenant.owner, named("One too many", last)).await;
    invalid(too_deep, "/parent_id", "parent_depth", "a chain must not grow beyond its bound");

    let pair = chain(&companies, &tenant.owner, 2).await;
    let almost = ids[DEEPEST - 1];
    let moved = move_below(&companies, &tenant.owner, pair[0], Some(almost)).await;
    invalid(moved, "/parent_id", "parent_depth", "what hangs below a moved company counts too");
    move_below(&companies, &tenant.owner, pair[0], Some(ids[DEEPEST - 2]))
        .await
        .expect("one level higher there is room for both");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_company_needs_a_living_parent_of_its_own_organisation() {
    let (database, tenant, companies) = set_up().await;
    let stranger = database.tenant("Umbrella").await;
    let foreign = below(&companies, &stranger.owner, None).await.id;
    let deleted = below(&companies, &tenant.owner, None).await.id;
    companies.delete(&tenant.owner, deleted, &Expected::Any).await.expect("the owner deletes");

    let create = async |parent| companies.create(&tenant.member, named("Child", Some(parent))).await;
    let unknown = invalid(create(CompanyId::generate()).await, "/parent_id", "reference", "an unknown parent is refused");
    let stolen = invalid(create(foreign).await, "/parent_id", "reference", "a foreign parent is refused");
    assert_eq!(format!("{stolen:?}"), format!("{unknown:?}"), "a foreign parent is refused exactly like an unknown one");
    invalid(create(deleted).await, "/parent_id", "parent_deleted", "a deleted parent is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn subsidiaries_outlive_their_parent() {
    let (_database, tenant, companies) = set_up().await;
    let ids = chain(&companies, &tenant.owner, 2).await;
    companies.delete(&tenant.owner, ids[0], &Expected::Any).await.expect("the owner deletes");
    let orphan = companies.get(&tenant.member, ids[1]).await.expect("a subsidiary outlives its parent");
    assert_eq!(orphan.parent_id, Some(ids[0]), "a subsidiary keeps the link to its deleted parent");

    let renamed = CompanyChanges { name: Some("Still here".into()), parent_id: Some(Some(ids[0])), ..CompanyChanges::default() };
    companies.update(&tenant.owner, ids[1], &Expected::Any, &renamed).await.expect("a link that stays is not a new one");
    companies.restore(&tenant.owner, ids[0]).await.expect("the owner restores");
    let moved = move_below(&companies, &tenant.owner, ids[0], Some(ids[1])).await;
    invalid(moved, "/parent_id", "parent_cycle", "a restored parent is still above its subsidiaries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parents_refusal_says_nothing_about_other_rules() {
    let (_database, tenant, companies) = set_up().await;
    companies.create(&tenant.owner, NewCompany { slug: Some("taken".into()), ..named("First", None) }).await.expect("a company");
    let both = NewCompany { slug: Some("taken".into()), ..named("Second", Some(CompanyId::generate())) };
    // Unique values are checked with the row, references after the statement.
    let error: Error =
        conflict(companies.create(&tenant.owner, both).await, "/slug", "a duplicate is found before a bad reference");
    assert!(!error.to_string().contains("crm_companies"), "no name of a table reaches a caller: {error}");
}
