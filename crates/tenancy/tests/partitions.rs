//! The log's partitions: made a year ahead by every run of the migrations, each with its own wall.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use crm_tenancy::{migrations, seal};
use crm_testkit::TestDatabase;

/// Partitions of the log and of its values for the month a year from now.
const A_YEAR_AHEAD: &str = "SELECT count(*) FROM pg_inherits
    WHERE inhparent IN ('crm_activities'::regclass, 'crm_activity_details'::regclass)
      AND inhrelid::regclass::text LIKE '%' || to_char((now() AT TIME ZONE 'UTC') + interval '12 months', 'YYYYMM')";

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_makes_the_partitions_of_the_coming_year() {
    let database = TestDatabase::create().await;
    assert_eq!(database.number(A_YEAR_AHEAD).await, 2);
    let drop_last = "DO $$ DECLARE month text := to_char((now() AT TIME ZONE 'UTC') + interval '12 months', 'YYYYMM'); BEGIN
        EXECUTE format('DROP TABLE %I', 'crm_activities_' || month);
        EXECUTE format('DROP TABLE %I', 'crm_activity_details_' || month); END $$";
    database.execute(drop_last).await;
    assert_eq!(database.number(A_YEAR_AHEAD).await, 0);

    let applied = migrations::run(&database.admin_url()).await.unwrap();

    assert_eq!(applied, Vec::<String>::new(), "no migration was missing");
    assert_eq!(database.number(A_YEAR_AHEAD).await, 2);
    assert_eq!(seal::check(&database.db()).await.unwrap(), [], "a new partition has its wall");
}
