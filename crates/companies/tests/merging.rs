//! PATCH: what is named changes, what is not stays, objects merge key by key, and everything wrong is said at once.

use crm_companies::{Companies, Company, CompanyChanges, NewCompany, PgCompanies};
use crm_kernel::{Error, Expected, Object, Result};
use crm_testkit::{Tenant, TestDatabase, refusals::invalid};
use serde_json::{Value, json};

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    companies: PgCompanies,
    company: Company,
}

/// A company with every kind of value.
async fn set_up() -> Bench {
    let database = TestDatabase::create().await;
    let tenant = database.tenant("Acme").await;
    let companies = PgCompanies::new(database.db());
    let new = json!({
        "name": "Acme", "industry": "Steel", "annual_revenue": "12.5", "employee_count": 3, "tags": ["a"],
        "billing_address": { "street": "1 Way", "city": "Basel" }, "custom_fields": { "a": 1, "b": { "c": 2, "d": 3 } },
    });
    let new: NewCompany = serde_json::from_value(new).expect("a company");
    let company = companies.create(&tenant.member, new).await.expect("a member creates");
    Bench { database, tenant, companies, company }
}

impl Bench {
    async fn patch(&self, body: Value) -> Result<Company> {
        let changes: CompanyChanges = serde_json::from_value(body).expect("a change");
        self.companies.update(&self.tenant.member, self.company.id, &Expected::Any, &changes).await
    }

    async fn patched(&self, body: Value) -> Value {
        let company = self.patch(body).await.expect("the change is accepted");
        serde_json::to_value(company).expect("a company has a JSON form")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_named_stays() {
    let bench = set_up().await;
    let before = serde_json::to_value(&bench.company).expect("a company has a JSON form");
    let after = bench.patched(json!({ "name": "Zenith" })).await;
    for (field, value) in before.as_object().expect("an object") {
        let touched = ["name", "version", "updated_at", "last_activity_at"].contains(&field.as_str());
        assert!(touched || after[field] == *value, "{field} was not named and must stay: {value} became {}", after[field]);
    }
    assert_eq!(after["name"], "Zenith");
}

#[tokio::test(flavor = "multi_thread")]
async fn null_empties_what_may_be_empty() {
    let bench = set_up().await;
    let after = bench.patched(json!({ "industry": null, "annual_revenue": null, "employee_count": null, "billing_address": null, "owner_id": null })).await;
    for field in ["industry", "annual_revenue", "employee_count", "billing_address", "owner_id"] {
        assert_eq!(after[field], Value::Null, "null empties {field}");
    }
    for field in ["name", "slug", "company_status", "tags"] {
        let refused = serde_json::from_value::<CompanyChanges>(json!({ field: null }));
        assert!(refused.is_err(), "null is no value for {field}, and must not silently mean that it stays");
    }
    assert!(serde_json::from_value::<CompanyChanges>(json!({ "nmae": "Acme" })).is_err(), "a misspelt field is refused");
    invalid(
        bench.patch(json!({ "custom_fields": null })).await,
        "/custom_fields",
        "required",
        "custom fields are always an object",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_merge_key_by_key() {
    let bench = set_up().await;
    let after =
        bench.patched(json!({ "custom_fields": { "a": null, "b": { "c": [7], "e": { "f": null, "g": 1 } }, "x": "new" } })).await;
    assert_eq!(after["custom_fields"], json!({ "b": { "c": [7], "d": 3, "e": { "g": 1 } }, "x": "new" }), "RFC 7396");
    let after = bench
        .patched(json!({ "billing_address": { "city": "Bern", "street": null }, "shipping_address": { "city": "Chur" } }))
        .await;
    assert_eq!(after["billing_address"], json!({ "city": "Bern" }), "an address merges too");
    assert_eq!(after["shipping_address"], json!({ "city": "Chur" }), "a patch of nothing makes an object");
    let after = bench.patched(json!({ "custom_fields": {} })).await;
    assert_eq!(after["version"], 3, "an empty patch changes nothing");

    let values: NewCompany =
        serde_json::from_value(json!({ "name": "Acme", "custom_fields": { "only": true } })).expect("a company");
    let replaced =
        bench.companies.replace(&bench.tenant.owner, bench.company.id, &Expected::Any, values).await.expect("the owner replaces");
    assert_eq!(Value::Object(replaced.custom_fields.0), json!({ "only": true }), "replacing does not merge");
    assert_eq!(replaced.billing_address, None::<Object>, "replacing empties what is not given");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_keys_all_win() {
    let bench = set_up().await;
    let writers = 20;
    let write = |number: usize| {
        let (companies, context, id) = (bench.companies.clone(), bench.tenant.member.clone(), bench.company.id);
        tokio::spawn(async move {
            let changes: CompanyChanges =
                serde_json::from_value(json!({ "custom_fields": { format!("key{number}"): number } })).expect("a change");
            companies.update(&context, id, &Expected::Any, &changes).await
        })
    };
    let tasks: Vec<_> = (0..writers).map(write).collect();
    for task in tasks {
        task.await.expect("the writer ends").expect("the change is accepted");
    }
    let company = bench.companies.get(&bench.tenant.member, bench.company.id).await.expect("it is there");
    for number in 0..writers {
        assert_eq!(company.custom_fields.0.get(&format!("key{number}")), Some(&json!(number)), "no writer's key is lost");
    }
    assert_eq!(usize::try_from(company.version), Ok(writers + 1), "each change adds one to the version");
    let logged: Vec<_> =
        bench.database.activities_of("company", bench.company.id).await.iter().map(|row| row.record_version).collect();
    let right: Vec<_> = (1..=company.version).map(Some).collect();
    assert_eq!(logged, right, "each change is logged once, in the order of the versions");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_field_is_named_at_once() {
    let bench = set_up().await;
    let bad = json!({
        "name": "  ", "slug": "Not A Slug", "industry": "x".repeat(101), "website": "ftp://example.com", "annual_revenue": "-1",
        "employee_count": -1, "tags": ["a", "a"], "billing_address": { "planet": "Mars" }, "custom_fields": { "a": "b\0" },
    });
    let expected = [
        "/annual_revenue",
        "/billing_address",
        "/custom_fields/a",
        "/employee_count",
        "/industry",
        "/name",
        "/slug",
        "/tags",
        "/website",
    ];
    let patched = bench.patch(bad.clone()).await;
    let created = bench.companies.create(&bench.tenant.member, serde_json::from_value(bad).expect("a company")).await;
    for answer in [patched, created] {
        let Err(Error::Invalid(fields)) = answer else { panic!("bad values must be refused: {answer:?}") };
        let mut pointers: Vec<&str> = fields.iter().map(|field| field.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, expected, "every bad field is named, once");
        assert!(fields.iter().all(|field| !field.code.is_empty() && !field.message.is_empty()), "each says what is wrong");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_grows_by_merging_stays_bounded() {
    let bench = set_up().await;
    let large = || "x".repeat(40_000);
    bench.patch(json!({ "custom_fields": { "one": large() } })).await.expect("40 kB are accepted");
    invalid(
        bench.patch(json!({ "custom_fields": { "two": large() } })).await,
        "/custom_fields",
        "object",
        "two times 40 kB are too much together",
    );
    invalid(
        bench.patch(json!({ "custom_fields": { "one": "x".repeat(70_000) } })).await,
        "/custom_fields",
        "length",
        "70 kB are too much",
    );
    invalid(
        bench.patch(json!({ "owner_id": uuid::Uuid::now_v7() })).await,
        "/owner_id",
        "reference",
        "a stranger cannot own a company",
    );
}
