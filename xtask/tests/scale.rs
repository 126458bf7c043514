//! The large organisation, made by the real command in a small size.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crm_testkit::TestDatabase;

/// As many as the middle one of the organisations that are made beside it.
const SIZES: [&str; 6] = ["--companies", "2000", "--contacts", "6000", "--deals", "3000"];
const TABLES: [&str; 10] = [
    "crm_companies",
    "crm_contacts",
    "crm_deals",
    "crm_projects",
    "crm_notes",
    "crm_tasks",
    "crm_campaigns",
    "crm_products",
    "crm_deal_line_items",
    "crm_campaign_contacts",
];
/// Records of every kind that were made, those that the log says were made, and those whose times are kept.
const WHOLE: &str = "SELECT format('%s %s %s', slug,
           (SELECT count(*) FROM crm_activities WHERE organization_id = o.id AND activity_type = 'created'
               AND entity_type IN ('company', 'contact', 'deal', 'project', 'note', 'task', 'campaign')),
           (SELECT count(*) FROM crm_record_times WHERE organization_id = o.id))
      FROM organizations AS o ORDER BY slug";

fn scale(database: &TestDatabase, state: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["seed", "--scale"]).args(SIZES);
    command.env("DATABASE_URL", database.admin_url()).env("CRM_STATE_DIR", state);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_was_killed_goes_on_and_the_same_sizes_make_the_same_records() {
    let database = TestDatabase::create().await;
    let state = std::env::temp_dir().join(format!("crm-scale-{}", uuid::Uuid::now_v7()));
    let mut killed = scale(&database, &state).spawn().unwrap();
    let lines = BufReader::new(killed.stdout.take().unwrap()).lines();
    // In the middle of the second organisation.
    let reached = lines.map_while(Result::ok).find(|line| line.contains("6000 contacts"));
    killed.kill().unwrap();
    let said = killed.wait_with_output().unwrap();
    assert!(reached.is_some(), "it ended before it was killed: {}", String::from_utf8_lossy(&said.stderr));

    let output = scale(&database, &state).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // 2,000 companies, 6,000 contacts, 3,000 deals, tasks and notes, 600 projects, 30 campaigns; the small one accordingly.
    assert_eq!(database.texts(WHOLE).await, ["big 17630 17630", "middle 17630 17630", "small 3926 3926"]);
    // Whose they are differs, and when a campaign began or a deal was moved is the database's to say.
    for table in TABLES {
        let differing = format!(
            "SELECT id::text FROM (
                 SELECT (to_jsonb(r) - ARRAY['organization_id', 'owner_id', 'assigned_to_id', 'project_manager_id', 'created_by_id',
                                             'deleted_by_id', 'mentions', 'pipeline_id', 'stage_id',
                                             'started_at', 'paused_at', 'completed_at', 'cancelled_at']
                         - CASE WHEN r.version > 1 THEN ARRAY['updated_at', 'board_position', 'stage_entered_at'] ELSE '{{}}'::text[] END)::text AS said, r.id
                   FROM {table} AS r JOIN organizations AS o ON o.id = r.organization_id
                  WHERE o.slug IN ('big', 'middle')) AS made GROUP BY id, said HAVING count(*) <> 2"
        );
        assert_eq!(database.texts(&differing).await, Vec::<String>::new(), "{table}");
    }

    let unbalanced = "SELECT deal.id::text FROM crm_deals AS deal
                        JOIN (SELECT organization_id, deal_id, sum(amount) AS total, sum(quantity * unit_price) AS priced
                                FROM crm_deal_line_items GROUP BY 1, 2) AS line
                          ON line.organization_id = deal.organization_id AND line.deal_id = deal.id
                       WHERE deal.amount IS DISTINCT FROM line.total OR line.priced <> line.total";
    assert_eq!(database.texts(unbalanced).await, Vec::<String>::new(), "a deal is worth its lines");
    let parts = "SELECT format('%s %s %s', slug, (SELECT count(*) FROM crm_deal_line_items WHERE organization_id = o.id),
                               (SELECT count(*) FROM crm_campaign_contacts WHERE organization_id = o.id)) FROM organizations AS o ORDER BY slug";
    assert_eq!(database.texts(parts).await, ["big 3420 1494", "middle 3420 1494", "small 684 368"]);
    let unlogged = "SELECT id::text FROM (SELECT organization_id, id, 'deal_line_item' AS kind FROM crm_deal_line_items
                                           UNION ALL SELECT organization_id, id, 'campaign_contact' FROM crm_campaign_contacts) AS part
                     WHERE NOT EXISTS (SELECT FROM crm_activities AS a WHERE a.organization_id = part.organization_id
                                          AND a.entity_type = part.kind AND a.entity_id = part.id AND a.activity_type = 'created')";
    assert_eq!(database.texts(unlogged).await, Vec::<String>::new(), "each part is in the log");

    let stays = "SELECT format('%s %s', slug, (SELECT count(*) FROM crm_deal_stage_history WHERE organization_id = o.id
                                                   AND stage = 'qualification' AND left_at > entered_at))
                   FROM organizations AS o ORDER BY slug";
    assert_eq!(
        database.texts(stays).await,
        ["big 77", "middle 77", "small 13"],
        "how long deals stood in a stage that they left"
    );

    let again = scale(&database, &state).output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(String::from_utf8_lossy(&again.stdout).contains("big: 0 records"), "a second fill makes nothing");
    // In the machine's place for what is temporary.
    let _ = std::fs::remove_dir_all(state);
}
