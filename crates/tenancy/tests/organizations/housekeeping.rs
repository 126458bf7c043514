//! Housekeeping: what has outlived its time goes, all else stays.

use std::time::Duration;

use crm_tenancy::housekeeping::{self, Schedule};
use crm_testkit::waiting::until;
use tokio::sync::watch;

use crate::{PATIENCE, Scene};

impl Scene {
    /// A company of the organisation, in the bin for so many days, or alive.
    async fn company(&self, organization: crm_kernel::OrganizationId, name: &str, days_in_bin: Option<u32>) -> String {
        let deleted = days_in_bin.map_or("NULL".to_owned(), |days| format!("now() - interval '{days} days'"));
        let id = crm_kernel::CompanyId::generate();
        self.database
            .execute(&format!(
                "INSERT INTO crm_companies (organization_id, id, name, slug, deleted_at)
                 VALUES ('{organization}', '{id}', '{name}', gen_random_uuid(), {deleted})"
            ))
            .await;
        id.to_string()
    }

    async fn keep_bin(&self, organization: crm_kernel::OrganizationId, days: u32) {
        let set = format!("UPDATE organizations SET bin_retention_days = {days} WHERE id = '{organization}'");
        self.database.execute(&set).await;
    }

    async fn names(&self) -> Vec<String> {
        self.database.texts("SELECT name FROM crm_companies ORDER BY name").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bin_is_purged_after_its_time_and_the_log_says_so() {
    let scene = Scene::create().await;
    let (own, other) = (scene.tenant.organization_id, scene.stranger.organization_id);
    let old = scene.company(own, "old 🗑", Some(31)).await;
    scene.company(own, "young", Some(29)).await;
    scene.company(own, "alive", None).await;
    scene.company(other, "theirs", Some(3000)).await;
    housekeeping::run(&scene.db).await.unwrap();
    assert_eq!(scene.names().await.len(), 4, "without a retention the bin is kept for ever");

    scene.keep_bin(own, 30).await;
    let done = housekeeping::run(&scene.db).await.unwrap();
    assert_eq!(done["bins"], 1, "{done:?}");
    assert_eq!(scene.names().await, ["alive", "theirs", "young"]);
    let log = scene.database.activities_of("company", old.parse::<uuid::Uuid>().unwrap()).await;
    let last = log.last().unwrap();
    assert_eq!((last.activity_type.as_str(), last.actor_kind.as_str(), last.user_id), ("purged", "system", None));
    assert_eq!((last.changes.clone(), last.description.clone()), (None, None), "what is purged is not kept in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn children_go_first_parts_go_along_and_what_is_referred_to_stays() {
    let scene = Scene::create().await;
    let own = scene.tenant.organization_id;
    scene.keep_bin(own, 10).await;
    let used = scene.company(own, "used", Some(20)).await;
    let chain = scene.company(own, "chain", Some(20)).await;
    let gone = "now() - interval '20 days'";
    scene
        .database
        .execute(&format!(
            "SET session_replication_role = replica;
             INSERT INTO crm_contacts (organization_id, id, first_name, last_name, company_id)
             VALUES ('{own}', app.uuid7(), 'Still', 'Here', '{used}');
             INSERT INTO crm_contacts (organization_id, id, first_name, last_name, company_id)
             VALUES ('{own}', '01890000-0000-7000-8000-000000000001', 'Gone', 'Too', '{chain}');
             INSERT INTO crm_contact_points (organization_id, contact_id, kind, value)
             VALUES ('{own}', '01890000-0000-7000-8000-000000000001', 'phone', '123');
             INSERT INTO crm_deals (organization_id, pipeline_id, id, name, amount, company_id, primary_contact_id)
             SELECT organization_id, id, '01890000-0000-7000-8000-000000000002', 'Deal', 1, '{chain}', '01890000-0000-7000-8000-000000000001'
               FROM crm_pipelines WHERE organization_id = '{own}';
             INSERT INTO crm_deal_contacts (organization_id, deal_id, contact_id)
             VALUES ('{own}', '01890000-0000-7000-8000-000000000002', '01890000-0000-7000-8000-000000000001');
             INSERT INTO crm_deal_line_items (organization_id, deal_id, name, unit_price, amount)
             VALUES ('{own}', '01890000-0000-7000-8000-000000000002', 'Line', 1, 1);
             INSERT INTO crm_external_ids (organization_id, entity_type, entity_id, source, external_id)
             VALUES ('{own}', 'company', '{chain}', 'erp', '1'), ('{own}', 'deal', '01890000-0000-7000-8000-000000000002', 'erp', '2');
             INSERT INTO crm_deal_stage_history (organization_id, deal_id, pipeline_id, stage, entered_at)
             SELECT organization_id, '01890000-0000-7000-8000-000000000002', id, 'prospecting', now() FROM crm_pipelines
              WHERE organization_id = '{own}';
             UPDATE crm_contacts SET deleted_at = {gone} WHERE first_name = 'Gone';
             UPDATE crm_deals SET deleted_at = {gone};
             INSERT INTO teams (organization_id, name, deleted_at) VALUES ('{own}', 'Old team', {gone})"
        ))
        .await;
    let done = housekeeping::run(&scene.db).await.unwrap();
    assert_eq!(done["bins"], 4, "deal, contact, company, team: {done:?}");
    assert_eq!(scene.names().await, ["used"], "a living contact refers to it");
    for table in [
        "crm_deals",
        "crm_contact_points",
        "crm_deal_contacts",
        "crm_deal_line_items",
        "crm_deal_stage_history",
        "crm_external_ids",
        "teams",
    ] {
        assert_eq!(scene.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(scene.number("SELECT count(*) FROM crm_contacts").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bin_can_be_purged() {
    let scene = Scene::create().await;
    let closed = "SELECT relname FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
                     AND 3 = (SELECT count(*) FROM pg_attribute
                               WHERE attrelid = pg_class.oid AND attname IN ('organization_id', 'id', 'deleted_at'))
                     AND NOT has_table_privilege('crm_definer', oid, 'DELETE')";
    assert_eq!(scene.database.texts(closed).await, Vec::<String>::new(), "grant DELETE on it to crm_definer");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_step_is_done_in_one_run() {
    let scene = Scene::create().await;
    let own = scene.tenant.organization_id;
    scene.keep_bin(own, 1).await;
    let many = "INSERT INTO crm_companies (organization_id, name, slug, deleted_at)
        SELECT '{own}', 'C', gen_random_uuid(), now() - interval '2 days' FROM generate_series(1, 1201)";
    scene.database.execute(&many.replace("{own}", &own.to_string())).await;
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["bins"], 1201);
    assert_eq!(scene.number("SELECT count(*) FROM crm_companies").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_emptied_after_their_time_and_nothing_else_is() {
    let scene = Scene::create().await;
    let (own, other) = (scene.tenant.organization_id, scene.stranger.organization_id);
    // The organisations are two years old; a row of the log for each of some ages.
    let mut sql =
        "SET session_replication_role = replica; UPDATE organizations SET created_at = now() - interval '2 years';".to_owned();
    for (organization, days) in [(own, 700), (own, 91), (own, 89), (own, 8), (own, 1), (other, 91), (other, 89)] {
        sql.push_str(&format!(
            "INSERT INTO crm_activity_details (organization_id, activity_id, created_at, description, ip, user_agent)
             SELECT '{organization}', app.uuid7_at(moment), moment, '{days}', '192.0.2.1', 'Browser 🧭'
               FROM (SELECT now() - interval '{days} days' AS moment) AS given;"
        ));
    }
    scene.database.execute(&sql).await;
    let kept = async |organization| {
        let query = format!(
            "SELECT description FROM crm_activity_details
              WHERE organization_id = '{organization}' AND ip IS NOT NULL AND user_agent IS NOT NULL ORDER BY created_at"
        );
        scene.database.texts(&query).await
    };
    housekeeping::run(&scene.db).await.unwrap();
    assert_eq!((kept(own).await, kept(other).await), (vec!["89".to_owned(), "8".into(), "1".into()], vec!["89".to_owned()]));
    assert_eq!(
        scene.number("SELECT count(*) FROM crm_activity_details WHERE description ~ '^[0-9]+$'").await,
        7,
        "the rest stays"
    );

    let sooner = format!("UPDATE organizations SET address_retention_days = 7 WHERE id = '{own}'");
    scene.database.execute(&sooner).await;
    housekeeping::run(&scene.db).await.unwrap();
    assert_eq!((kept(own).await, kept(other).await), (vec!["1".to_owned()], vec!["89".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_addresses_are_emptied_in_steps_that_go_on_where_the_last_one_ended() {
    let scene = Scene::create().await;
    let own = scene.tenant.organization_id;
    scene
        .database
        .execute(&format!(
            "SET session_replication_role = replica; UPDATE organizations SET created_at = now() - interval '2 years';
             INSERT INTO crm_activity_details (organization_id, activity_id, created_at, ip)
             SELECT '{own}', app.uuid7_at(moment), moment, '192.0.2.1'
               FROM generate_series(now() - interval '100 days', now() - interval '95 days', interval '4 minutes') AS moment"
        ))
        .await;
    let done = housekeeping::run(&scene.db).await.unwrap();
    assert!((1801..=1810).contains(&done["activity_addresses"]), "{done:?}");
    assert_eq!(scene.number("SELECT count(*) FROM crm_activity_details WHERE host(ip) = '192.0.2.1'").await, 0);
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["activity_addresses"], 0, "nothing is looked at twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_emptied_and_deleted_when_they_have_long_ended() {
    let scene = Scene::create().await;
    let tenant = &scene.tenant;
    scene
        .database
        .execute(&format!("UPDATE organizations SET address_retention_days = 5 WHERE id = '{}'", tenant.organization_id))
        .await;
    let names = ["open", "ended yesterday", "ended", "expired", "long ended"];
    for (who, _) in ["owner", "admin", "member", "colleague", "viewer"].iter().zip(names) {
        scene.login(&tenant.email(who)).await;
    }
    let theirs = scene.login(&scene.stranger.email("member")).await;
    let ended = |person: &crm_kernel::Context, column: &str, days: u32| {
        let reason = if column == "ended_at" { ", ended_reason = 'logout'" } else { "" };
        format!(
            "UPDATE identity.sessions SET {column} = now() - interval '{days} days' {reason} WHERE user_id = '{}';",
            person.user_id
        )
    };
    let sql = [
        ended(&tenant.admin, "ended_at", 1),
        ended(&tenant.member, "ended_at", 6),
        ended(&tenant.colleague, "expires_at", 6),
        ended(&tenant.viewer, "ended_at", 31),
        ended(&theirs, "ended_at", 6),
    ];
    scene.database.execute(&sql.concat()).await;
    let done = housekeeping::run(&scene.db).await.unwrap();
    assert_eq!((done["sessions"], done["refresh_tokens"], done["session_addresses"]), (1, 1, 3), "{done:?}");
    let left = "SELECT user_id FROM identity.sessions WHERE ip IS NOT NULL ORDER BY user_id";
    let mut expected = [&tenant.owner, &tenant.admin, &theirs].map(|person| person.user_id.to_string());
    expected.sort();
    assert_eq!(scene.database.texts(left).await, expected, "another organisation keeps its addresses for longer");
    assert_eq!(scene.number("SELECT count(*) FROM identity.refresh_tokens").await, 5, "those of a living session stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_letters_go_and_waiting_ones_stay() {
    let scene = Scene::create().await;
    scene
        .database
        .execute(
            "INSERT INTO identity.letters (kind, recipient, sent_at, expires_at) VALUES
             ('old sent', 'a@example.com', now() - interval '31 days', now() - interval '40 days'),
             ('sent', 'a@example.com', now() - interval '29 days', now() - interval '40 days'),
             ('old expired', 'a@example.com', NULL, now() - interval '31 days'),
             ('waiting', 'a@example.com', NULL, now() + interval '1 day')",
        )
        .await;
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["letters"], 2);
    assert_eq!(scene.database.texts("SELECT kind FROM identity.letters ORDER BY kind").await, ["sent", "waiting"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_people_who_never_came_are_forgotten() {
    let scene = Scene::create().await;
    scene
        .database
        .execute(
            "INSERT INTO identity.links (id, purpose, email, secret_hash, expires_at)
             VALUES (app.uuid7(), 'reset_password', 'old@example.com', sha256('a'), now() - interval '31 days'),
                    (app.uuid7(), 'reset_password', 'late@example.com', sha256('b'), now() - interval '29 days');
             INSERT INTO identity.registrations
                    (id, email, password_hash, full_name, organization_name, slug, slug_chosen, time_zone, default_currency, locale,
                     secret_hash, expires_at)
             VALUES (app.uuid7(), 'old@example.com', 'x', 'x', 'x', 'x', false, 'UTC', 'USD', 'en', sha256('a'), now() - interval '25 hours'),
                    (app.uuid7(), 'late@example.com', 'x', 'x', 'x', 'x', false, 'UTC', 'USD', 'en', sha256('b'), now());",
        )
        .await;
    let done = housekeeping::run(&scene.db).await.unwrap();
    assert_eq!((done["links"], done["registrations"]), (1, 1), "{done:?}");
    for table in ["links", "registrations"] {
        assert_eq!(scene.database.texts(&format!("SELECT email FROM identity.{table}")).await, ["late@example.com"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counts_no_more_goes() {
    let scene = Scene::create().await;
    let member = scene.tenant.member.user_id;
    scene
        .database
        .execute(&format!(
            "INSERT INTO identity.throttles (key_hash, used, counted_at, empty_at)
             VALUES (sha256('old'), 1, now() - interval '1 hour', now() - interval '1 second'),
                    (sha256('new'), 1, now(), now() + interval '1 minute');
             INSERT INTO identity.known_devices (user_id, key_hash, expires_at)
             VALUES ('{member}', sha256('old'), now() - interval '1 second'),
                    ('{member}', sha256('new'), now() + interval '1 minute');
             INSERT INTO identity.external_tokens (issuer, token_hash, expires_at)
             VALUES ('https://one.example.com', sha256('same'), now() - interval '1 second'),
                    ('https://two.example.com', sha256('same'), now() + interval '1 minute')"
        ))
        .await;
    let done = housekeeping::run(&scene.db).await.unwrap();
    assert_eq!((done["throttles"], done["known_devices"], done["external_tokens"]), (1, 1, 1), "{done:?}");
    for (table, kept) in [("throttles", "key_hash = sha256('new')"), ("known_devices", "key_hash = sha256('new')")] {
        assert_eq!(scene.number(&format!("SELECT count(*) FROM identity.{table} WHERE {kept}")).await, 1, "{table}");
    }
    let issuers = scene.database.texts("SELECT issuer FROM identity.external_tokens").await;
    assert_eq!(issuers, ["https://two.example.com"], "an id that another issuer uses too is its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_can_be_looked_at_for_a_year() {
    let scene = Scene::create().await;
    let rows = [
        ("closed long ago", "now() - interval '400 days'", "now() - interval '366 days'"),
        ("closed lately", "now() - interval '400 days'", "now() - interval '364 days'"),
        ("expired long ago", "now() - interval '366 days'", "NULL"),
        ("expired lately", "now() - interval '364 days'", "NULL"),
        ("pending", "now() + interval '1 day'", "NULL"),
    ];
    for (email, expires_at, closed_at) in rows {
        scene
            .database
            .execute(&format!(
                "INSERT INTO identity.invitations (organization_id, email, role, secret_id, secret_hash, invited_by_id, expires_at,
                                                   closed_at, closed_as)
                 VALUES ('{}', '{email}', 'member', gen_random_uuid(), sha256('secret'), '{}', {expires_at}, {closed_at},
                         CASE WHEN {closed_at} IS NOT NULL THEN 'revoked' END)",
                scene.tenant.organization_id, scene.tenant.owner.user_id
            ))
            .await;
    }
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["invitations"], 2);
    let kept = scene.database.texts("SELECT email FROM identity.invitations ORDER BY email").await;
    assert_eq!(kept, ["closed lately", "expired lately", "pending"]);
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["invitations"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coming_partitions_are_made() {
    let scene = Scene::create().await;
    let last = "to_char((now() AT TIME ZONE 'UTC') + interval '12 months', 'YYYYMM')";
    let drop = format!(
        "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'crm_activities_' || {last});
        EXECUTE format('DROP TABLE %I', 'crm_activity_details_' || {last}); END $$"
    );
    scene.database.execute(&drop).await;
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["partitions"], 2);
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["partitions"], 0);
    assert_eq!(crm_tenancy::seal::check(&scene.db).await.unwrap(), [], "each has its wall");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_program_works_and_the_others_find_nothing_to_do() {
    use diesel_async::SimpleAsyncConnection;
    let scene = Scene::create().await;
    scene.keep_bin(scene.tenant.organization_id, 1).await;
    scene.company(scene.tenant.organization_id, "old", Some(2)).await;
    let mut other = scene.database.admin().await;
    other.batch_execute("BEGIN; SELECT app.housekeeping('letters', 1)").await.unwrap();
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["bins"], 0, "another one is at it");
    other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(housekeeping::run(&scene.db).await.unwrap()["bins"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_by_itself_until_it_is_stopped() {
    let scene = Scene::create().await;
    scene.keep_bin(scene.tenant.organization_id, 1).await;
    let (stop, stopped) = watch::channel(false);
    let often = Schedule { first: Duration::from_millis(20), pause: Duration::from_millis(20) };
    let db = scene.db.clone();
    let keeper = tokio::spawn(async move { housekeeping::keep(&db, often, stopped, |_| ()).await });
    for round in 0..2 {
        scene.company(scene.tenant.organization_id, &format!("old {round}"), Some(2)).await;
        until("it runs again and again", async || scene.names().await.is_empty()).await;
    }
    stop.send_replace(true);
    tokio::time::timeout(PATIENCE, keeper).await.expect("it stops").unwrap();
}
