//! The first statement of every transaction: tells the database who calls, and learns the caller's true role.

#![allow(clippy::too_many_arguments, reason = "the function of the database has as many as a request has to say")]

use crm_kernel::{Access, Context, OrganizationId, UserId};
use diesel::sql_types::{Binary, Bool, Nullable, Text, Uuid as SqlUuid};

diesel::define_sql_function! {
    /// Confines the transaction to one organisation and one caller and returns the role that memberships names;
    /// refuses ended sessions, former members, deleted users and organisations.
    #[sql_name = "app.begin_request"]
    fn begin_request(
        organization: SqlUuid, user: SqlUuid, session: Nullable<SqlUuid>, token: Nullable<SqlUuid>, actor: Text, read_only: Bool,
        ip: Nullable<Text>, agent: Nullable<Text>, request: Nullable<Text>, operation: Nullable<SqlUuid>,
        token_hash: Nullable<Binary>
    ) -> Text;
}

/// The call for this context, as a query.
pub(crate) fn statement(context: &Context) -> diesel::dsl::select<Call> {
    let agent = context.user_agent.as_deref().map(storable);
    diesel::select(begin_request(
        context.organization_id,
        context.user_id,
        context.session_id,
        context.token_id,
        context.actor.as_str().to_owned(),
        context.access == Access::ReadOnly,
        context.ip.map(|ip| ip.to_string()),
        agent,
        Some(storable(&context.request_id)),
        context.operation_id,
        context.token_hash.map(|hash| hash.to_vec()),
    ))
}

type Call = begin_request<
    OrganizationId,
    UserId,
    Option<crm_kernel::SessionId>,
    Option<crm_kernel::TokenId>,
    String,
    bool,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<crm_kernel::OperationId>,
    Option<Vec<u8>>,
>;

/// Without U+0000, which no text of PostgreSQL can hold: a client's header must not be able to fail the request.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}
