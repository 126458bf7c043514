//! Who may do what: the table of roles, in one place, as the policy that every token is asked.
//!
//! The database enforces the same table on its own, by row-level security; neither trusts the other.
//! Must stay true: an operation that is not in [`OPERATIONS`] is denied to everyone, and a test compares the list with
//! the document of the API. The order of refusals (404 before 403) is kept by [`crate::caller`].

use actix_web::http::Method;
use crm_kernel::Result;
use crm_tenancy::token::Policy;

/// How much right an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No token at all.
    Public,
    /// Any valid token, whatever its role: about oneself.
    Own,
    /// A token as it was issued, whatever its role: sessions are not for those who hold a narrowed one.
    Session,
    /// Reads records.
    Read,
    /// Makes records or changes them; which ones a member may change, the database decides by ownership.
    Write,
    /// Manages the organisation: owners and admins, with any token that allows it.
    Manage,
    /// Manages who may come in: owners and admins, with a token as it was issued at a login.
    Administer,
    /// Decides about the organisation itself: owners, with a token as it was issued at a login.
    Govern,
}

impl Access {
    /// The word the policy and narrowed tokens know.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Public | Self::Own => "own",
            Self::Session => "session",
            Self::Read => "read",
            Self::Write => "write",
            Self::Manage => "manage",
            Self::Administer => "administer",
            Self::Govern => "govern",
        }
    }
}

/// One operation of the API: method, address, name, the access it takes.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// `GET`
    pub method: &'static str,
    /// `/api/v1/a-crm/companies/{id}`
    pub path: &'static str,
    /// `company:get`
    pub name: &'static str,
    /// What it takes.
    pub access: Access,
}

const fn operation(method: &'static str, path: &'static str, name: &'static str, access: Access) -> Operation {
    Operation { method, path, name, access }
}

/// Every operation. Roles: viewer reads; member reads and writes; admin and owner read and write, others' records too.
pub const OPERATIONS: &[Operation] = &[
    operation("GET", "/api/v1/auth/keys", "key:list", Access::Public),
    operation("POST", "/api/v1/auth/login", "session:login", Access::Public),
    operation("POST", "/api/v1/auth/refresh", "session:refresh", Access::Public),
    operation("POST", "/api/v1/auth/logout", "session:logout", Access::Session),
    operation("POST", "/api/v1/auth/switch", "session:switch", Access::Session),
    operation("GET", "/api/v1/auth/me", "session:me", Access::Own),
    operation("PATCH", "/api/v1/auth/me", "account:update", Access::Session),
    operation("POST", "/api/v1/auth/register", "account:register", Access::Public),
    operation("POST", "/api/v1/auth/register/confirm", "account:confirm", Access::Public),
    operation("POST", "/api/v1/auth/password/forgot", "account:forget_password", Access::Public),
    operation("POST", "/api/v1/auth/password/reset", "account:reset_password", Access::Public),
    operation("POST", "/api/v1/auth/password/change", "account:change_password", Access::Session),
    operation("POST", "/api/v1/auth/email", "account:change_email", Access::Session),
    operation("POST", "/api/v1/auth/email/confirm", "account:confirm_email", Access::Session),
    operation("GET", "/api/v1/auth/tokens", "api_token:list", Access::Session),
    operation("POST", "/api/v1/auth/tokens", "api_token:create", Access::Session),
    operation("DELETE", "/api/v1/auth/tokens", "api_token:revoke_own", Access::Session),
    operation("GET", "/api/v1/auth/tokens/{id}", "api_token:get", Access::Session),
    operation("DELETE", "/api/v1/auth/tokens/{id}", "api_token:revoke", Access::Session),
    operation("POST", "/api/v1/auth/exchange", "session:exchange", Access::Public),
    operation("POST", "/api/v1/auth/identities", "external_identity:link", Access::Session),
    operation("GET", "/api/v1/auth/identities", "external_identity:list", Access::Session),
    operation("DELETE", "/api/v1/auth/identities/{id}", "external_identity:unlink", Access::Session),
    operation("POST", "/api/v1/auth/invitations/look", "invitation:look", Access::Public),
    operation("POST", "/api/v1/auth/invitations/accept", "invitation:accept", Access::Public),
    operation("POST", "/api/v1/auth/invitations/join", "invitation:join", Access::Session),
    operation("GET", "/api/v1/auth/sessions", "session:list", Access::Session),
    operation("POST", "/api/v1/auth/sessions/revoke-others", "session:end_others", Access::Session),
    operation("DELETE", "/api/v1/auth/sessions/{id}", "session:end", Access::Session),
    operation("GET", "/api/v1/auth/second-factor", "second_factor:get", Access::Session),
    operation("POST", "/api/v1/auth/second-factor", "second_factor:enroll", Access::Session),
    operation("DELETE", "/api/v1/auth/second-factor", "second_factor:disable", Access::Session),
    operation("POST", "/api/v1/auth/second-factor/confirm", "second_factor:confirm", Access::Session),
    operation("POST", "/api/v1/auth/second-factor/replace", "second_factor:replace", Access::Session),
    operation("POST", "/api/v1/auth/second-factor/verify", "second_factor:verify", Access::Session),
    operation("POST", "/api/v1/auth/second-factor/recovery-codes", "second_factor:renew_codes", Access::Session),
    operation("DELETE", "/api/v1/organizations/current/members/{id}/sessions", "member:end_sessions", Access::Administer),
    operation("GET", "/api/v1/organizations/current", "organization:get", Access::Read),
    operation("GET", "/api/v1/organizations/current/invitations", "invitation:list", Access::Manage),
    operation("POST", "/api/v1/organizations/current/invitations", "invitation:create", Access::Administer),
    operation("GET", "/api/v1/organizations/current/invitations/{id}", "invitation:get", Access::Manage),
    operation("DELETE", "/api/v1/organizations/current/invitations/{id}", "invitation:revoke", Access::Administer),
    operation("POST", "/api/v1/organizations/current/invitations/{id}/resend", "invitation:resend", Access::Administer),
    operation("GET", "/api/v1/organizations/current/members", "member:list", Access::Read),
    operation("GET", "/api/v1/organizations/current/service-users", "service_user:list", Access::Administer),
    operation("POST", "/api/v1/organizations/current/service-users", "service_user:create", Access::Administer),
    operation("GET", "/api/v1/organizations/current/service-users/{id}", "service_user:get", Access::Administer),
    operation("PATCH", "/api/v1/organizations/current/service-users/{id}", "service_user:update", Access::Administer),
    operation("DELETE", "/api/v1/organizations/current/service-users/{id}", "service_user:delete", Access::Administer),
    operation("POST", "/api/v1/organizations/current/service-users/{id}/tokens", "service_user:mint", Access::Administer),
    operation("PATCH", "/api/v1/organizations/current", "organization:update", Access::Manage),
    operation("DELETE", "/api/v1/organizations/current", "organization:delete", Access::Govern),
    operation("GET", "/api/v1/organizations/current/security", "organization:security", Access::Manage),
    operation("PATCH", "/api/v1/organizations/current/security", "organization:secure", Access::Govern),
    operation("POST", "/api/v1/organizations/current/leave", "member:leave", Access::Session),
    operation("GET", "/api/v1/organizations/current/members/{id}", "member:get", Access::Read),
    operation("PATCH", "/api/v1/organizations/current/members/{id}", "member:update", Access::Administer),
    operation("DELETE", "/api/v1/organizations/current/members/{id}", "member:remove", Access::Administer),
    operation("GET", "/api/v1/organizations/current/members/{id}/records", "member:records", Access::Manage),
    operation("POST", "/api/v1/organizations/current/members/{id}/reassign", "member:reassign", Access::Administer),
    operation("GET", "/api/v1/organizations/current/teams", "team:list", Access::Read),
    operation("POST", "/api/v1/organizations/current/teams", "team:create", Access::Manage),
    operation("GET", "/api/v1/organizations/current/teams/{id}", "team:get", Access::Read),
    operation("PUT", "/api/v1/organizations/current/teams/{id}", "team:replace", Access::Manage),
    operation("PATCH", "/api/v1/organizations/current/teams/{id}", "team:update", Access::Manage),
    operation("DELETE", "/api/v1/organizations/current/teams/{id}", "team:delete", Access::Manage),
    operation("GET", "/api/v1/organizations/current/audit", "audit:list", Access::Manage),
    operation("GET", "/api/v1/a-crm/companies", "company:list", Access::Read),
    operation("POST", "/api/v1/a-crm/companies", "company:create", Access::Write),
    operation("GET", "/api/v1/a-crm/companies/fields", "company:fields", Access::Read),
    operation("POST", "/api/v1/a-crm/companies/search", "company:list", Access::Read),
    operation("POST", "/api/v1/a-crm/companies/bulk", "company:bulk", Access::Write),
    operation("GET", "/api/v1/a-crm/companies/by-external-id/{source}/{external_id}", "company:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/companies/by-external-id/{source}/{external_id}", "company:upsert", Access::Write),
    operation("GET", "/api/v1/a-crm/companies/{id}", "company:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/companies/{id}", "company:replace", Access::Write),
    operation("PATCH", "/api/v1/a-crm/companies/{id}", "company:update", Access::Write),
    operation("DELETE", "/api/v1/a-crm/companies/{id}", "company:delete", Access::Write),
    operation("POST", "/api/v1/a-crm/companies/{id}/restore", "company:restore", Access::Write),
    operation("GET", "/api/v1/a-crm/companies/{id}/external-ids", "company:external_ids", Access::Read),
    operation("PUT", "/api/v1/a-crm/companies/{id}/external-ids/{source}/{external_id}", "company:attach", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/companies/{id}/external-ids/{source}/{external_id}", "company:detach", Access::Manage),
    operation("GET", "/api/v1/a-crm/companies/{id}/contacts", "contact:list", Access::Read),
    operation("GET", "/api/v1/a-crm/companies/{id}/deals", "deal:list", Access::Read),
    operation("GET", "/api/v1/a-crm/companies/{id}/projects", "project:list", Access::Read),
    operation("GET", "/api/v1/a-crm/companies/{id}/tasks", "task:list", Access::Read),
    operation("GET", "/api/v1/a-crm/companies/{id}/notes", "note:list", Access::Read),
    operation("GET", "/api/v1/a-crm/companies/{id}/activities", "activity:list", Access::Read),
    operation("GET", "/api/v1/a-crm/companies/{id}/timeline", "activity:timeline", Access::Read),
    operation("GET", "/api/v1/a-crm/contacts", "contact:list", Access::Read),
    operation("POST", "/api/v1/a-crm/contacts", "contact:create", Access::Write),
    operation("GET", "/api/v1/a-crm/contacts/fields", "contact:fields", Access::Read),
    operation("POST", "/api/v1/a-crm/contacts/search", "contact:list", Access::Read),
    operation("POST", "/api/v1/a-crm/contacts/bulk", "contact:bulk", Access::Write),
    operation("GET", "/api/v1/a-crm/contacts/by-external-id/{source}/{external_id}", "contact:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/contacts/by-external-id/{source}/{external_id}", "contact:upsert", Access::Write),
    operation("GET", "/api/v1/a-crm/contacts/{id}", "contact:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/contacts/{id}", "contact:replace", Access::Write),
    operation("PATCH", "/api/v1/a-crm/contacts/{id}", "contact:update", Access::Write),
    operation("DELETE", "/api/v1/a-crm/contacts/{id}", "contact:delete", Access::Write),
    operation("POST", "/api/v1/a-crm/contacts/{id}/restore", "contact:restore", Access::Write),
    operation("GET", "/api/v1/a-crm/contacts/{id}/external-ids", "contact:external_ids", Access::Read),
    operation("PUT", "/api/v1/a-crm/contacts/{id}/external-ids/{source}/{external_id}", "contact:attach", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/contacts/{id}/external-ids/{source}/{external_id}", "contact:detach", Access::Manage),
    operation("GET", "/api/v1/a-crm/contacts/{id}/contact-points", "contact:points", Access::Read),
    operation("PUT", "/api/v1/a-crm/contacts/{id}/contact-points", "contact:write_points", Access::Write),
    operation("GET", "/api/v1/a-crm/contacts/{id}/companies", "contact:companies", Access::Read),
    operation("PUT", "/api/v1/a-crm/contacts/{id}/companies", "contact:write_companies", Access::Write),
    operation("GET", "/api/v1/a-crm/contacts/{id}/deals", "deal:list", Access::Read),
    operation("GET", "/api/v1/a-crm/contacts/{id}/tasks", "task:list", Access::Read),
    operation("GET", "/api/v1/a-crm/contacts/{id}/notes", "note:list", Access::Read),
    operation("GET", "/api/v1/a-crm/contacts/{id}/campaigns", "campaign_contact:list", Access::Read),
    operation("GET", "/api/v1/a-crm/contacts/{id}/activities", "activity:list", Access::Read),
    operation("GET", "/api/v1/a-crm/contacts/{id}/timeline", "activity:timeline", Access::Read),
    operation("GET", "/api/v1/a-crm/pipelines", "pipeline:list", Access::Read),
    operation("POST", "/api/v1/a-crm/pipelines", "pipeline:create", Access::Manage),
    operation("GET", "/api/v1/a-crm/pipelines/{id}", "pipeline:get", Access::Read),
    operation("PATCH", "/api/v1/a-crm/pipelines/{id}", "pipeline:update", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/pipelines/{id}", "pipeline:delete", Access::Manage),
    operation("POST", "/api/v1/a-crm/pipelines/{id}/restore", "pipeline:restore", Access::Manage),
    operation("GET", "/api/v1/a-crm/exchange-rates", "exchange_rate:list", Access::Read),
    operation("PUT", "/api/v1/a-crm/exchange-rates", "exchange_rate:set", Access::Manage),
    operation("GET", "/api/v1/a-crm/exchange-rates/fields", "exchange_rate:fields", Access::Read),
    operation("DELETE", "/api/v1/a-crm/exchange-rates/{id}", "exchange_rate:delete", Access::Manage),
    operation("GET", "/api/v1/a-crm/products", "product:list", Access::Read),
    operation("POST", "/api/v1/a-crm/products", "product:create", Access::Manage),
    operation("GET", "/api/v1/a-crm/products/fields", "product:fields", Access::Read),
    operation("POST", "/api/v1/a-crm/products/search", "product:list", Access::Read),
    operation("GET", "/api/v1/a-crm/products/{id}", "product:get", Access::Read),
    operation("PATCH", "/api/v1/a-crm/products/{id}", "product:update", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/products/{id}", "product:delete", Access::Manage),
    operation("POST", "/api/v1/a-crm/products/{id}/restore", "product:restore", Access::Manage),
    operation("GET", "/api/v1/a-crm/deals", "deal:list", Access::Read),
    operation("POST", "/api/v1/a-crm/deals", "deal:create", Access::Write),
    operation("GET", "/api/v1/a-crm/deals/pipeline", "deal:pipeline", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/forecast", "deal:forecast", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/board", "deal:board", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/board/{stage}", "deal:board", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/win-loss", "deal:win_loss", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/fields", "deal:fields", Access::Read),
    operation("POST", "/api/v1/a-crm/deals/search", "deal:list", Access::Read),
    operation("POST", "/api/v1/a-crm/deals/bulk", "deal:bulk", Access::Write),
    operation("GET", "/api/v1/a-crm/deals/by-external-id/{source}/{external_id}", "deal:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/deals/by-external-id/{source}/{external_id}", "deal:upsert", Access::Write),
    operation("GET", "/api/v1/a-crm/deals/{id}", "deal:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/deals/{id}", "deal:replace", Access::Write),
    operation("PATCH", "/api/v1/a-crm/deals/{id}", "deal:update", Access::Write),
    operation("DELETE", "/api/v1/a-crm/deals/{id}", "deal:delete", Access::Write),
    operation("POST", "/api/v1/a-crm/deals/{id}/restore", "deal:restore", Access::Write),
    operation("GET", "/api/v1/a-crm/deals/{id}/external-ids", "deal:external_ids", Access::Read),
    operation("PUT", "/api/v1/a-crm/deals/{id}/external-ids/{source}/{external_id}", "deal:attach", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/deals/{id}/external-ids/{source}/{external_id}", "deal:detach", Access::Manage),
    operation("PUT", "/api/v1/a-crm/deals/{id}/stage", "deal:move", Access::Write),
    operation("GET", "/api/v1/a-crm/deals/{id}/stage-history", "deal:history", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/{id}/line-items", "deal:line_items", Access::Read),
    operation("PUT", "/api/v1/a-crm/deals/{id}/line-items", "deal:write_line_items", Access::Write),
    operation("GET", "/api/v1/a-crm/deals/{id}/contacts", "deal:contacts", Access::Read),
    operation("PUT", "/api/v1/a-crm/deals/{id}/contacts", "deal:write_contacts", Access::Write),
    operation("GET", "/api/v1/a-crm/deals/{id}/projects", "project:list", Access::Read),
    operation("POST", "/api/v1/a-crm/deals/{id}/projects", "project:create", Access::Write),
    operation("GET", "/api/v1/a-crm/deals/{id}/tasks", "task:list", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/{id}/notes", "note:list", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/{id}/activities", "activity:list", Access::Read),
    operation("GET", "/api/v1/a-crm/deals/{id}/timeline", "activity:timeline", Access::Read),
    operation("GET", "/api/v1/a-crm/projects", "project:list", Access::Read),
    operation("POST", "/api/v1/a-crm/projects", "project:create", Access::Write),
    operation("GET", "/api/v1/a-crm/projects/fields", "project:fields", Access::Read),
    operation("POST", "/api/v1/a-crm/projects/search", "project:list", Access::Read),
    operation("POST", "/api/v1/a-crm/projects/bulk", "project:bulk", Access::Write),
    operation("GET", "/api/v1/a-crm/projects/by-external-id/{source}/{external_id}", "project:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/projects/by-external-id/{source}/{external_id}", "project:upsert", Access::Write),
    operation("GET", "/api/v1/a-crm/projects/{id}", "project:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/projects/{id}", "project:replace", Access::Write),
    operation("PATCH", "/api/v1/a-crm/projects/{id}", "project:update", Access::Write),
    operation("DELETE", "/api/v1/a-crm/projects/{id}", "project:delete", Access::Write),
    operation("POST", "/api/v1/a-crm/projects/{id}/restore", "project:restore", Access::Write),
    operation("GET", "/api/v1/a-crm/projects/{id}/external-ids", "project:external_ids", Access::Read),
    operation("PUT", "/api/v1/a-crm/projects/{id}/external-ids/{source}/{external_id}", "project:attach", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/projects/{id}/external-ids/{source}/{external_id}", "project:detach", Access::Manage),
    operation("GET", "/api/v1/a-crm/projects/{id}/progress", "project:progress", Access::Read),
    operation("GET", "/api/v1/a-crm/projects/{id}/tasks", "task:list", Access::Read),
    operation("GET", "/api/v1/a-crm/projects/{id}/notes", "note:list", Access::Read),
    operation("GET", "/api/v1/a-crm/projects/{id}/activities", "activity:list", Access::Read),
    operation("GET", "/api/v1/a-crm/projects/{id}/timeline", "activity:timeline", Access::Read),
    operation("GET", "/api/v1/a-crm/tasks", "task:list", Access::Read),
    operation("POST", "/api/v1/a-crm/tasks", "task:create", Access::Write),
    operation("GET", "/api/v1/a-crm/tasks/fields", "task:fields", Access::Read),
    operation("GET", "/api/v1/a-crm/tasks/my-tasks", "task:mine", Access::Read),
    operation("POST", "/api/v1/a-crm/tasks/search", "task:list", Access::Read),
    operation("POST", "/api/v1/a-crm/tasks/bulk", "task:bulk", Access::Write),
    operation("GET", "/api/v1/a-crm/tasks/by-external-id/{source}/{external_id}", "task:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/tasks/by-external-id/{source}/{external_id}", "task:upsert", Access::Write),
    operation("GET", "/api/v1/a-crm/tasks/{id}", "task:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/tasks/{id}", "task:replace", Access::Write),
    operation("PATCH", "/api/v1/a-crm/tasks/{id}", "task:update", Access::Write),
    operation("DELETE", "/api/v1/a-crm/tasks/{id}", "task:delete", Access::Write),
    operation("POST", "/api/v1/a-crm/tasks/{id}/restore", "task:restore", Access::Write),
    operation("GET", "/api/v1/a-crm/tasks/{id}/external-ids", "task:external_ids", Access::Read),
    operation("PUT", "/api/v1/a-crm/tasks/{id}/external-ids/{source}/{external_id}", "task:attach", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/tasks/{id}/external-ids/{source}/{external_id}", "task:detach", Access::Manage),
    operation("PUT", "/api/v1/a-crm/tasks/{id}/complete", "task:complete", Access::Write),
    operation("PUT", "/api/v1/a-crm/tasks/{id}/reopen", "task:reopen", Access::Write),
    operation("GET", "/api/v1/a-crm/tasks/{id}/notes", "note:list", Access::Read),
    operation("GET", "/api/v1/a-crm/tasks/{id}/activities", "activity:list", Access::Read),
    operation("GET", "/api/v1/a-crm/tasks/{id}/timeline", "activity:timeline", Access::Read),
    operation("GET", "/api/v1/a-crm/notes", "note:list", Access::Read),
    operation("POST", "/api/v1/a-crm/notes", "note:create", Access::Write),
    operation("GET", "/api/v1/a-crm/notes/fields", "note:fields", Access::Read),
    operation("POST", "/api/v1/a-crm/notes/search", "note:list", Access::Read),
    operation("POST", "/api/v1/a-crm/notes/bulk", "note:bulk", Access::Write),
    operation("GET", "/api/v1/a-crm/notes/by-external-id/{source}/{external_id}", "note:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/notes/by-external-id/{source}/{external_id}", "note:upsert", Access::Write),
    operation("GET", "/api/v1/a-crm/notes/{id}", "note:get", Access::Read),
    operation("GET", "/api/v1/a-crm/notes/{id}/html", "note:html", Access::Read),
    operation("PUT", "/api/v1/a-crm/notes/{id}", "note:replace", Access::Write),
    operation("PATCH", "/api/v1/a-crm/notes/{id}", "note:update", Access::Write),
    operation("DELETE", "/api/v1/a-crm/notes/{id}", "note:delete", Access::Write),
    operation("POST", "/api/v1/a-crm/notes/{id}/restore", "note:restore", Access::Write),
    operation("GET", "/api/v1/a-crm/notes/{id}/external-ids", "note:external_ids", Access::Read),
    operation("PUT", "/api/v1/a-crm/notes/{id}/external-ids/{source}/{external_id}", "note:attach", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/notes/{id}/external-ids/{source}/{external_id}", "note:detach", Access::Manage),
    operation("GET", "/api/v1/a-crm/notes/{id}/activities", "activity:list", Access::Read),
    operation("GET", "/api/v1/a-crm/campaigns", "campaign:list", Access::Read),
    operation("POST", "/api/v1/a-crm/campaigns", "campaign:create", Access::Write),
    operation("GET", "/api/v1/a-crm/campaigns/fields", "campaign:fields", Access::Read),
    operation("POST", "/api/v1/a-crm/campaigns/search", "campaign:list", Access::Read),
    operation("POST", "/api/v1/a-crm/campaigns/bulk", "campaign:bulk", Access::Write),
    operation("GET", "/api/v1/a-crm/campaigns/by-external-id/{source}/{external_id}", "campaign:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/campaigns/by-external-id/{source}/{external_id}", "campaign:upsert", Access::Write),
    operation("GET", "/api/v1/a-crm/campaigns/{id}", "campaign:get", Access::Read),
    operation("PUT", "/api/v1/a-crm/campaigns/{id}", "campaign:replace", Access::Write),
    operation("PATCH", "/api/v1/a-crm/campaigns/{id}", "campaign:update", Access::Write),
    operation("DELETE", "/api/v1/a-crm/campaigns/{id}", "campaign:delete", Access::Write),
    operation("POST", "/api/v1/a-crm/campaigns/{id}/restore", "campaign:restore", Access::Write),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/external-ids", "campaign:external_ids", Access::Read),
    operation("PUT", "/api/v1/a-crm/campaigns/{id}/external-ids/{source}/{external_id}", "campaign:attach", Access::Manage),
    operation("DELETE", "/api/v1/a-crm/campaigns/{id}/external-ids/{source}/{external_id}", "campaign:detach", Access::Manage),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/metrics", "campaign:metrics", Access::Read),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/contacts", "campaign_contact:list", Access::Read),
    operation("POST", "/api/v1/a-crm/campaigns/{id}/contacts", "campaign_contact:add", Access::Write),
    operation("DELETE", "/api/v1/a-crm/campaigns/{id}/contacts", "campaign_contact:remove", Access::Write),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/contacts/{contact_id}", "campaign_contact:get", Access::Read),
    operation("PATCH", "/api/v1/a-crm/campaigns/{id}/contacts/{contact_id}", "campaign_contact:update", Access::Write),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/deals", "deal:list", Access::Read),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/tasks", "task:list", Access::Read),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/notes", "note:list", Access::Read),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/activities", "activity:list", Access::Read),
    operation("GET", "/api/v1/a-crm/campaigns/{id}/timeline", "activity:timeline", Access::Read),
    operation("GET", "/api/v1/a-crm/activities", "activity:list", Access::Read),
    operation("GET", "/api/v1/a-crm/activities/fields", "activity:fields", Access::Read),
    operation("GET", "/api/v1/a-crm/activities/{id}", "activity:get", Access::Read),
    operation("GET", "/api/v1/a-crm/custom-fields", "custom_field:list", Access::Read),
    operation("POST", "/api/v1/a-crm/custom-fields", "custom_field:create", Access::Manage),
    operation("GET", "/api/v1/a-crm/custom-fields/{id}", "custom_field:get", Access::Read),
    operation("PATCH", "/api/v1/a-crm/custom-fields/{id}", "custom_field:update", Access::Manage),
    operation("POST", "/api/v1/a-crm/custom-fields/{id}/retire", "custom_field:retire", Access::Manage),
    operation("POST", "/api/v1/a-crm/custom-fields/{id}/reinstate", "custom_field:reinstate", Access::Manage),
    operation("POST", "/api/v1/a-crm/custom-fields/{id}/conversion-report", "custom_field:report", Access::Manage),
    operation("POST", "/api/v1/a-crm/custom-fields/{id}/convert", "custom_field:convert", Access::Manage),
];

/// The operation behind a method and an address pattern.
#[must_use]
pub fn find(method: &Method, pattern: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.method == method.as_str() && operation.path == pattern)
}

impl Operation {
    /// The kind of record it is about: `company`.
    #[must_use]
    pub fn entity(&self) -> &'static str {
        self.name.split(':').next().unwrap_or_default()
    }

    /// The kind of record whose id the address has, as the operation that gets the one is called.
    #[must_use]
    pub fn addressed(&self) -> Option<&'static str> {
        let (record, _) = self.path.split_once("/{id}")?;
        let get = |known: &&Self| known.method == "GET" && known.path.strip_suffix("/{id}") == Some(record);
        OPERATIONS.iter().find(get).map(Self::entity)
    }

    /// Whether it is about the record whose id the address has. A list below a record is one of other records, and a token for
    /// that one record is none for those.
    #[must_use]
    pub fn is_about_the_addressed(&self) -> bool {
        self.addressed().is_none_or(|addressed| addressed == self.entity())
    }

    /// Whether an API token may ever do this.
    fn is_for_api_tokens(&self) -> bool {
        matches!(self.access, Access::Own | Access::Read | Access::Write | Access::Manage)
    }
}

/// What an answer may bring along of other records: named so, it is asked of narrowed tokens, and API tokens can be limited to it.
const EMBEDDED: &[&str] = &["campaign:get", "company:get", "contact:get", "member:get"];

/// Whether an API token can be limited to an operation of this name.
#[must_use]
pub fn is_grantable(name: &str) -> bool {
    EMBEDDED.contains(&name) || OPERATIONS.iter().any(|known| known.name == name && known.is_for_api_tokens())
}

/// Whether an API token can be limited to this kind of record.
#[must_use]
pub fn is_grantable_entity(entity: &str) -> bool {
    let embedded = EMBEDDED.iter().filter_map(|name| name.split(':').next());
    let listed = OPERATIONS.iter().filter(|known| known.is_for_api_tokens()).map(Operation::entity);
    embedded.chain(listed).any(|known| known == entity)
}

/// The methods that this address takes, for an answer to one that it does not.
pub fn methods_at(path: &str) -> impl Iterator<Item = &'static str> + use<'_> {
    let fits = move |pattern: &str| {
        let same_length = pattern.split('/').count() == path.split('/').count();
        same_length
            && pattern
                .split('/')
                .zip(path.split('/'))
                .all(|(wanted, given)| wanted == given || (wanted.starts_with('{') && !given.is_empty()))
    };
    // An address that is spelled out is no id: `/companies/fields`.
    let spelled_out = OPERATIONS.iter().any(|operation| operation.path == path);
    let is_there = move |operation: &&Operation| if spelled_out { operation.path == path } else { fits(operation.path) };
    OPERATIONS.iter().filter(is_there).map(|operation| operation.method)
}

/// The table of roles in biscuit's language. Only the authority block's `role` counts.
///
/// # Errors
/// `Internal` when it does not parse, which the start of the program would show.
pub fn compile() -> Result<Policy> {
    Policy::new(
        r#"
        allow if access("own"), role($role);
        allow if access("session"), role($role), token("whole");
        allow if access("read"), role($role), ["owner", "admin", "member", "viewer"].contains($role);
        allow if access("write"), role($role), ["owner", "admin", "member"].contains($role);
        allow if access("manage"), role($role), ["owner", "admin"].contains($role);
        allow if access("administer"), role($role), token("whole"), ["owner", "admin"].contains($role);
        allow if access("govern"), role("owner"), token("whole");
        "#,
    )
}
