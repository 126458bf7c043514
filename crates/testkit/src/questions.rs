//! Questions a test asks the database as its administrator, to see what really happened.
#![expect(clippy::disallowed_methods, reason = "texts that the tests themselves write, run once each")]

use crm_kernel::{Context, UserId};
use diesel::{
    QueryableByName, sql_query,
    sql_types::{Array, BigInt, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use uuid::Uuid;

use crate::TestDatabase;

/// One row of the log with its values.
#[derive(Debug, Clone, PartialEq, QueryableByName)]
pub struct ActivityRow {
    /// `created`, `updated`, `status_changed`, `deleted`, `restored`, …
    #[diesel(sql_type = Text)]
    pub activity_type: String,
    /// The names of the fields that changed, sorted.
    #[diesel(sql_type = Array<Text>)]
    pub fields: Vec<String>,
    /// `{"field": [old, new]}`
    #[diesel(sql_type = Nullable<Jsonb>)]
    pub changes: Option<Value>,
    /// The record's version after the change.
    #[diesel(sql_type = Nullable<Integer>)]
    pub record_version: Option<i32>,
    /// Who did it.
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub user_id: Option<UserId>,
    /// `user`, `service` or `system`.
    #[diesel(sql_type = Text)]
    pub actor_kind: String,
    /// The request it happened in.
    #[diesel(sql_type = Nullable<Text>)]
    pub request_id: Option<String>,
    /// The bulk call, import or merge it belongs to.
    #[diesel(sql_type = Nullable<SqlUuid>)]
    pub operation_id: Option<Uuid>,
    /// Of what record it shows the name.
    #[diesel(sql_type = Nullable<Text>)]
    pub description: Option<String>,
    /// From where.
    #[diesel(sql_type = Nullable<Text>)]
    pub ip: Option<String>,
    /// With what program.
    #[diesel(sql_type = Nullable<Text>)]
    pub user_agent: Option<String>,
}

impl ActivityRow {
    /// What the field was before and after; `None` when it did not change.
    #[must_use]
    pub fn change(&self, field: &str) -> Option<(Value, Value)> {
        let [old, new] = self.changes.as_ref()?.get(field)?.as_array()?.as_slice() else { return None };
        Some((old.clone(), new.clone()))
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Nullable<Text>)]
    word: Option<String>,
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

impl TestDatabase {
    /// The log of one record, oldest first. `entity` is what the log calls it: `company`.
    pub async fn activities_of(&self, entity: &str, id: impl Into<Uuid>) -> Vec<ActivityRow> {
        let text = "SELECT activity_type, fields, changes, record_version, user_id, actor_kind, request_id, operation_id,
                           description, host(ip) AS ip, user_agent
                      FROM crm_activities AS activity
                      LEFT JOIN crm_activity_details AS detail
                        ON detail.organization_id = activity.organization_id AND detail.activity_id = activity.id
                     WHERE entity_type = $1 AND entity_id = $2
                     ORDER BY seq";
        let query = sql_query(text).bind::<Text, _>(entity).bind::<SqlUuid, _>(id.into());
        query.load(&mut self.admin().await).await.unwrap()
    }

    /// Tries that were counted so far are not forgotten with time: a test that counts them says the same on a slow machine.
    pub async fn forget_no_tries(&self) {
        self.execute("UPDATE identity.throttles SET counted_at = now() + interval '1 day'").await;
    }

    /// The one number that a query answers with, such as `SELECT count(*) FROM …`.
    pub async fn number(&self, query: &str) -> i64 {
        let query = sql_query(format!("SELECT ({query})::bigint AS number"));
        query.get_result::<Number>(&mut self.admin().await).await.unwrap().number
    }

    /// The only column of a query as text, NULL as an empty one.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let query = sql_query(format!("SELECT answer.word::text AS word FROM ({query}) AS answer (word)"));
        let rows: Vec<Word> = query.load(&mut self.admin().await).await.unwrap();
        rows.into_iter().map(|row| row.word.unwrap_or_default()).collect()
    }

    /// A company of the context's organisation, owned by the caller: a parent for nouns that do not know companies.
    pub async fn company(&self, context: &Context, name: &str) -> Uuid {
        let text = "INSERT INTO crm_companies (organization_id, owner_id, created_by_id, name, slug)
                    VALUES ($1, $2, $2, $3, 'testkit-' || gen_random_uuid()) RETURNING id";
        let query =
            sql_query(text).bind::<SqlUuid, _>(context.organization_id).bind::<SqlUuid, _>(context.user_id).bind::<Text, _>(name);
        query.get_result::<Id>(&mut self.admin().await).await.unwrap().id
    }

    /// Moves a company to the bin.
    pub async fn delete_company(&self, id: Uuid) {
        self.execute(&format!("UPDATE crm_companies SET deleted_at = now() WHERE id = '{id}'")).await;
    }
}
