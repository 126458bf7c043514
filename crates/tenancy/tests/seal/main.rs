//! The check at start-up is silent on a whole seal, and names what is broken when something is.

use crm_tenancy::{ConnectOptions, Db, seal};
use crm_testkit::TestDatabase;

mod rights;

/// What the check finds, as text.
async fn faults(db: &Db) -> Vec<String> {
    let faults = seal::check(db).await.expect("the catalogue can be read");
    faults.into_iter().map(|fault| format!("{}: {}", fault.object, fault.reason)).collect()
}

/// Breaks one thing; the check must find that, and nothing else.
async fn breaking(sql: &str, object: &str, reason: &str) {
    let database = TestDatabase::create().await;
    database.execute(sql).await;
    let found = faults(&database.db()).await;
    let named = |fault: &String| fault.starts_with(object) && fault.contains(reason);
    assert!(
        !found.is_empty() && found.iter().all(named),
        "after {sql} the check must name {object}: {reason}, and only that: {found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_database_is_sealed() {
    let database = TestDatabase::create().await;
    assert_eq!(faults(&database.db()).await, Vec::<String>::new(), "a fresh database has no fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superuser_is_no_role_for_the_application() {
    let database = TestDatabase::create().await;
    let db = Db::connect(&database.admin_url(), ConnectOptions::default()).expect("a pool");
    let found = faults(&db).await.join("\n");
    for reason in [
        "is a superuser",
        "may bypass row-level security",
        "may create roles",
        "may create temporary objects",
        "may create functions",
    ] {
        assert!(found.contains(reason), "the check must say that the role {reason}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_need_forced_row_level_security() {
    breaking("ALTER TABLE crm_companies NO FORCE ROW LEVEL SECURITY", "public.crm_companies", "not enabled and forced").await;
    breaking("ALTER TABLE identity.credentials DISABLE ROW LEVEL SECURITY", "identity.credentials", "not enabled and forced")
        .await;
    breaking(
        "ALTER TABLE crm_activities_default NO FORCE ROW LEVEL SECURITY",
        "public.crm_activities_default",
        "not enabled and forced",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_name_the_organisation_and_restrict_nothing() {
    breaking("DROP POLICY org_read ON crm_companies", "public.crm_companies", "no policy names the organisation").await;
    let restrictive = "CREATE POLICY narrow ON crm_deals AS RESTRICTIVE USING (organization_id = app.org_id())";
    breaking(restrictive, "public.crm_deals", "restrictive").await;
    for open in [
        "FOR SELECT TO crm_app USING (true)",
        "FOR INSERT WITH CHECK (true)",
        "TO crm_app USING (organization_id = app.org_id() OR true)",
    ] {
        breaking(
            &format!("CREATE POLICY open ON crm_companies {open}"),
            "public.crm_companies",
            "policy open does not begin with",
        )
        .await;
    }
    let id = "CREATE POLICY open ON crm_companies FOR SELECT USING (id = app.org_id() AND true)";
    breaking(id, "public.crm_companies", "policy open does not begin with").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_table_is_tracked() {
    breaking("DROP TRIGGER track_update ON crm_contacts", "public.crm_contacts", "update trigger").await;
    breaking("DROP TRIGGER track_insert ON crm_deals", "public.crm_deals", "insert trigger").await;
    breaking("ALTER TABLE crm_contacts DISABLE TRIGGER track_insert", "public.crm_contacts", "insert trigger").await;
    breaking("DROP TRIGGER track_delete ON memberships", "public.memberships", "delete trigger").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_keys_carry_the_organisation() {
    let plain = "ALTER TABLE crm_companies ADD CONSTRAINT once UNIQUE (id);
                 ALTER TABLE crm_contacts ADD CONSTRAINT plain FOREIGN KEY (company_id) REFERENCES crm_companies (id)";
    breaking(plain, "public.crm_contacts", "plain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_test_the_organisation() {
    let reason = "does not end with the test of organisation";
    for (name, definition) in [
        ("q_all", "SELECT * FROM crm_deals"),
        ("q_or", "SELECT * FROM crm_deals WHERE organization_id = app.org_id() AND app.role() IS NOT NULL OR true"),
        ("q_not", "SELECT * FROM crm_deals WHERE NOT (organization_id = app.org_id()) AND app.role() IS NOT NULL"),
        (
            "q_both",
            "SELECT id FROM crm_deals UNION ALL
             SELECT id FROM crm_deals WHERE organization_id = app.org_id() AND app.role() IS NOT NULL",
        ),
    ] {
        let view = format!("CREATE VIEW {name} AS {definition}; GRANT SELECT ON {name} TO crm_app");
        breaking(&view, &format!("public.{name}"), reason).await;
    }
    let replaced = "CREATE OR REPLACE VIEW q_pipelines AS SELECT * FROM crm_pipelines";
    breaking(replaced, "public.q_pipelines", reason).await;
    let elsewhere = "CREATE SCHEMA side; CREATE VIEW side.people AS SELECT id, email FROM users;
                     GRANT SELECT (email) ON side.people TO PUBLIC";
    breaking(elsewhere, "side.people", reason).await;
    let kept = "CREATE MATERIALIZED VIEW kept AS SELECT * FROM q_deals; GRANT SELECT ON kept TO crm_app";
    breaking(kept, "public.kept", "a materialized view is of every tenant").await;
    breaking("GRANT UPDATE (name) ON q_companies TO crm_app", "public.q_companies", "may UPDATE through it").await;
    breaking("GRANT DELETE ON q_companies TO crm_app", "public.q_companies", "may DELETE through it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_policies_ask_is_what_the_migration_made() {
    let reason = "not what the migration made";
    let fixed = "'00000000-0000-7000-8000-000000000000'";
    for (function, change) in [
        ("app.org_id()", format!("RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT {fixed}::uuid $$")),
        ("app.user_id()", format!("RETURNS uuid LANGUAGE sql STABLE AS $$ SELECT {fixed}::uuid $$")),
        ("app.role()", "RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'owner' $$".to_owned()),
        ("app.is_manager()", "RETURNS boolean LANGUAGE sql STABLE RETURN true".to_owned()),
    ] {
        breaking(&format!("CREATE OR REPLACE FUNCTION {function} {change}"), function, reason).await;
    }
    breaking(&format!("ALTER FUNCTION app.org_id() SET app.org_id = {fixed}"), "app.org_id()", reason).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_trigger_is_switched_off() {
    let off = "trigger is switched off";
    let guard = "ALTER TABLE crm_companies DISABLE TRIGGER guard_10_record";
    breaking(guard, "public.crm_companies", &format!("guard_10_record {off}")).await;
    breaking("ALTER TABLE crm_deals DISABLE TRIGGER touch", "public.crm_deals", &format!("touch {off}")).await;
    let replica = "ALTER TABLE crm_contacts ENABLE REPLICA TRIGGER guard_20_contact";
    breaking(replica, "public.crm_contacts", &format!("guard_20_contact {off}")).await;
    breaking("ALTER TABLE crm_deals DISABLE TRIGGER track_stage_update", "public.crm_deals", off).await;
    // Foreign keys with the others.
    let all = "ALTER TABLE crm_deal_contacts DISABLE TRIGGER ALL";
    breaking(all, "public.crm_deal_contacts", "trigger").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_table_without_the_seal_is_named_for_all_it_lacks() {
    let database = TestDatabase::create().await;
    database
        .execute("CREATE TABLE crm_receipts (id uuid PRIMARY KEY, organization_id uuid); GRANT SELECT ON crm_receipts TO crm_app")
        .await;
    let found = faults(&database.db()).await.join("\n");
    for reason in [
        "not enabled and forced",
        "no policy names the organisation",
        "insert trigger",
        "update trigger",
        "delete trigger",
        "does not begin with the organisation",
    ] {
        assert!(
            found.contains(&format!("public.crm_receipts: {}", found_with(&found, reason))),
            "the check must say {reason}: {found}"
        );
    }
}

/// The rest of the line that says so, or the reason itself, so that a missing one shows in the message.
fn found_with(found: &str, reason: &str) -> String {
    let line = found.lines().find(|line| line.starts_with("public.crm_receipts") && line.contains(reason));
    line.and_then(|line| line.split_once(": ")).map_or(reason, |(_, rest)| rest).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_that_are_missing_are_named() {
    let forget = "DELETE FROM __diesel_schema_migrations WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)";
    breaking(forget, "2026-", "has not been applied").await;
}
