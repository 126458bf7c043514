//! Every SQL statement about API tokens: reads go through the view, writes through the functions of the schema of identity.

use crm_kernel::{ListQuery, OrganizationId, Result, Timestamp, TokenId, UserId, page::COUNT_BOUND};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::model::{ApiToken, TokenStatus};
use crate::{Counted, Entity, Expect, Matching, Tx, expect::error, schema::q_api_tokens, seek_id, token::Limits};

pub(super) const API_TOKEN: Entity = Entity { name: "API token", table: "api_tokens" };

mod sql {
    #![allow(clippy::too_many_arguments, reason = "the function of the database has as many as a token has to say")]

    use diesel::sql_types::{Array, Binary, Bool, Text, Timestamptz, Uuid};

    diesel::define_sql_function! {
        /// Makes a token of the organisation of the transaction, for the caller or for a service user.
        #[sql_name = "identity.create_api_token"]
        fn create_api_token(
            token: Uuid, user: Uuid, name: Text, hash: Binary, operations: Array<Text>, entities: Array<Text>, read_only: Bool,
            expires: Timestamptz
        ) -> Bool;
    }

    diesel::define_sql_function! {
        /// Revokes a token that the caller may see.
        #[sql_name = "identity.revoke_api_token"]
        fn revoke_api_token(token: Uuid) -> Bool;
    }

    diesel::define_sql_function! {
        /// Notes when tokens were last used; the three lists belong together.
        #[sql_name = "identity.note_token_uses"]
        fn note_token_uses(organizations: Array<Uuid>, tokens: Array<Uuid>, times: Array<Timestamptz>) -> Integer;
    }
}

type Rows<'a> = q_api_tokens::BoxedQuery<'a, diesel::pg::Pg>;

fn visible<'a>(tx: &Tx) -> Rows<'a> {
    q_api_tokens::table.filter(q_api_tokens::organization_id.eq(tx.organization_id())).into_boxed()
}

pub(super) async fn get(tx: &mut Tx, id: TokenId) -> Result<ApiToken> {
    visible(tx).filter(q_api_tokens::id.eq(id)).select(ApiToken::as_select()).first(tx).await.expect_one(API_TOKEN)
}

/// Up to one more than the page holds.
pub(super) async fn list(tx: &mut Tx, query: &ListQuery) -> Result<Vec<ApiToken>> {
    let rows = seek_id!(narrowed(tx, query), query, q_api_tokens::id);
    rows.limit(i64::from(query.limit) + 1).select(ApiToken::as_select()).load(tx).await.expect_any(API_TOKEN)
}

pub(super) async fn count(tx: &mut Tx, query: &ListQuery) -> Result<i64> {
    let rows = narrowed(tx, query).select(q_api_tokens::id).limit(COUNT_BOUND + 1);
    Counted(rows).get_result(tx).await.expect_any(API_TOKEN)
}

fn narrowed<'a>(tx: &Tx, query: &ListQuery) -> Rows<'a> {
    visible(tx).filter(Matching::new(tx, "q_api_tokens", &query.filter.condition()))
}

/// What the database is told of a token: everything but the token.
pub(super) struct Entry<'a> {
    pub id: TokenId,
    pub user_id: UserId,
    pub name: &'a str,
    pub limits: &'a Limits,
    pub hash: [u8; 32],
    pub expires_at: Timestamp,
}

pub(super) async fn create(tx: &mut Tx, entry: &Entry<'_>) -> Result<()> {
    let call = sql::create_api_token(
        entry.id,
        entry.user_id,
        entry.name,
        entry.hash.as_slice(),
        &entry.limits.operations,
        &entry.limits.entities,
        entry.limits.read_only,
        entry.expires_at,
    );
    diesel::select(call).get_result::<bool>(tx).await.expect_any(API_TOKEN)?;
    Ok(())
}

pub(super) async fn revoke(tx: &mut Tx, id: TokenId) -> Result<bool> {
    diesel::select(sql::revoke_api_token(id)).get_result(tx).await.expect_any(API_TOKEN)
}

/// All that act as the caller and can be used.
pub(super) async fn revoke_own(tx: &mut Tx) -> Result<()> {
    let own = visible(tx).filter(q_api_tokens::user_id.eq(tx.user_id())).filter(q_api_tokens::status.eq(TokenStatus::Active));
    own.select(sql::revoke_api_token(q_api_tokens::id)).load::<bool>(tx).await.expect_any(API_TOKEN).map(drop)
}

/// When a token was last used.
pub(super) type Used = (OrganizationId, TokenId, Timestamp);

pub(super) async fn note_uses(connection: &mut AsyncPgConnection, used: &[Used]) -> Result<i32> {
    let organizations: Vec<OrganizationId> = used.iter().map(|(organization, ..)| *organization).collect();
    let tokens: Vec<TokenId> = used.iter().map(|(_, token, _)| *token).collect();
    let times: Vec<Timestamp> = used.iter().map(|(.., time)| *time).collect();
    diesel::select(sql::note_token_uses(organizations, tokens, times)).get_result(connection).await.map_err(error)
}
