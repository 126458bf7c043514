//! Every table and view that the matrix knows: how a row of a person is made, found, and attacked.
//!
//! In the texts, `{org}` and `{user}` are whose row it is, `{id}` is that person's record id (the same in every table),
//! `{new}` a fresh id, `{spare}` a further record of the organisation under attack. A new table needs an entry here.

/// One table or view.
pub struct Table {
    /// With its schema; a partitioned table stands for its partitions.
    pub name: &'static str,
    /// Makes the row as the administrator; empty when triggers, testkit or another entry make it.
    pub seed: &'static str,
    /// Finds the row.
    pub key: &'static str,
    /// Columns and values that the application would insert.
    pub insert: (&'static str, &'static str),
    /// The column that names the organisation, which an attacker would set.
    pub organization: Option<&'static str>,
    /// What an UPDATE would set.
    pub update: &'static str,
}

const fn table(
    name: &'static str,
    seed: &'static str,
    key: &'static str,
    insert: (&'static str, &'static str),
    update: &'static str,
) -> Table {
    Table { name, seed, key, insert, organization: Some("organization_id"), update }
}

/// A table that belongs to no organisation.
const fn common(
    name: &'static str,
    seed: &'static str,
    key: &'static str,
    insert: (&'static str, &'static str),
    update: &'static str,
) -> Table {
    Table { name, seed, key, insert, organization: None, update }
}

const COMPANY: (&str, &str) = ("id, name, slug, owner_id", "'{new}', 'New', 'new-{new}', '{user}'");
const CONTACT: (&str, &str) = ("id, first_name, last_name, owner_id", "'{new}', 'New', 'One', '{user}'");
const DEAL: (&str, &str) = ("id, name, owner_id", "'{new}', 'New', '{user}'");
const PROJECT: (&str, &str) = ("id, name, owner_id", "'{new}', 'New', '{user}'");
const NOTE: (&str, &str) = ("id, content, owner_id", "'{new}', 'New', '{user}'");
const TASK: (&str, &str) = ("id, title, assigned_to_id", "'{new}', 'New', '{user}'");
const CAMPAIGN: (&str, &str) = ("id, name, owner_id", "'{new}', 'New', '{user}'");
const CAMPAIGN_CONTACT: (&str, &str) = ("campaign_id, contact_id", "'{id}', '{spare}'");
const PIPELINE: (&str, &str) = ("id, name", "'{new}', 'New'");
const STAGE: (&str, &str) = ("pipeline_id, key, label", "'{id}', '{new}', 'New'");
const MEMBER: (&str, &str) = ("user_id, role", "'{user}', 'owner'");
const INVITATION: (&str, &str) = (
    "id, email, role, secret_id, secret_hash, invited_by_id, expires_at",
    "'{new}', '{new}@example.com', 'owner', '{new}', sha256('{new}'), '{user}', now() + interval '1 day'",
);
const HISTORY: (&str, &str) = ("deal_id, pipeline_id, stage, entered_at", "'{id}', '{id}', 'prospecting', now()");
const FIGURES: (&str, &str) = (
    "grouping, pipeline_id, stage, deals, with_amount, with_base_amount, base_amount, weighted_amount",
    "'owner', '{id}', 'prospecting', 1, 0, 0, 0, 0",
);
const ACTIVITY: (&str, &str) = (
    "activity_type, entity_type, entity_id, subject_type, subject_id, actor_kind, occurred_at, xid, seq",
    "'updated', 'company', '{id}', 'company', '{id}', 'user', now(), 1, 1",
);

const CUSTOM_FIELD: (&str, &str) =
    ("id, entity, key, label, field_type", "'{new}', 'deal', 'f_' || replace('{new}', '-', '_'), 'New', 'text'");
const CUSTOM_FIELD_WORK: (&str, &str) = ("field_id, task, generation", "'{id}', 'build', 1");
const CUSTOM_VALUE: (&str, &str) = ("field_id, generation, record_id", "'{id}', 2, '{new}'");

/// In an order in which rows can be made.
pub const TABLES: &[Table] = &[
    common("public.__diesel_schema_migrations", "", "true", ("version", "'{new}'"), "run_on = now()"),
    Table {
        organization: Some("id"),
        ..common("public.organizations", "", "id = '{org}'", ("name, slug", "'New', 'new-{new}'"), "name = name || '!'")
    },
    common("public.users", "", "id = '{user}'", ("email", "'{new}@example.com'"), "full_name = full_name || '!'"),
    table("public.memberships", "", "user_id = '{user}' AND organization_id = '{org}'", MEMBER, "role = 'owner'"),
    table(
        "public.teams",
        "INSERT INTO teams (organization_id, id, name, manager_id) VALUES ('{org}', '{id}', 'Team {id}', '{user}')",
        "id = '{id}'",
        ("name", "'New {new}'"),
        "name = name || '!'",
    ),
    table("public.q_teams", "", "id = '{id}'", ("name", "'New'"), "name = name"),
    table(
        "public.crm_companies",
        "INSERT INTO crm_companies (organization_id, id, name, slug, owner_id, created_by_id)
         VALUES ('{org}', '{id}', 'Company', 'company-{id}', '{user}', '{user}')",
        "id = '{id}'",
        COMPANY,
        "name = name || '!'",
    ),
    table(
        "public.crm_contacts",
        "INSERT INTO crm_contacts (organization_id, id, first_name, last_name, owner_id, created_by_id)
         VALUES ('{org}', '{id}', 'First', 'Last', '{user}', '{user}')",
        "id = '{id}'",
        CONTACT,
        "title = 'changed'",
    ),
    table(
        "public.crm_contact_points",
        "INSERT INTO crm_contact_points (organization_id, id, contact_id, kind, value) VALUES ('{org}', '{id}', '{id}', 'phone', '1')",
        "id = '{id}'",
        ("contact_id, kind, value", "'{id}', 'phone', '{new}'"),
        "label = 'changed'",
    ),
    table(
        "public.crm_contact_companies",
        "INSERT INTO crm_contact_companies (organization_id, id, contact_id, company_id) VALUES ('{org}', '{id}', '{id}', '{id}')",
        "id = '{id}'",
        ("contact_id, company_id", "'{id}', '{spare}'"),
        "role = 'changed'",
    ),
    table(
        "public.crm_pipelines",
        "INSERT INTO crm_pipelines (organization_id, id, name) VALUES ('{org}', '{id}', 'Pipeline')",
        "id = '{id}'",
        PIPELINE,
        "name = name || '!'",
    ),
    table(
        "public.crm_pipeline_stages",
        "INSERT INTO crm_pipeline_stages (organization_id, pipeline_id, key, label) VALUES ('{org}', '{id}', 'stage', 'Stage')",
        "pipeline_id = '{id}'",
        STAGE,
        "label = label || '!'",
    ),
    table(
        "public.crm_deals",
        "INSERT INTO crm_deals (organization_id, id, name, owner_id, created_by_id) VALUES ('{org}', '{id}', 'Deal', '{user}', '{user}')",
        "id = '{id}'",
        DEAL,
        "name = name || '!'",
    ),
    table("public.crm_deal_stage_history", "", "deal_id = '{id}'", HISTORY, "amount = 1"),
    table(
        "public.crm_projects",
        "INSERT INTO crm_projects (organization_id, id, name, owner_id, created_by_id)
         VALUES ('{org}', '{id}', 'Project', '{user}', '{user}')",
        "id = '{id}'",
        PROJECT,
        "name = name || '!'",
    ),
    table(
        "public.crm_tasks",
        "INSERT INTO crm_tasks (organization_id, id, title, assigned_to_id, created_by_id)
         VALUES ('{org}', '{id}', 'Task', '{user}', '{user}')",
        "id = '{id}'",
        TASK,
        "title = title || '!'",
    ),
    table(
        "public.crm_notes",
        "INSERT INTO crm_notes (organization_id, id, content, owner_id, created_by_id)
         VALUES ('{org}', '{id}', 'Note', '{user}', '{user}')",
        "id = '{id}'",
        NOTE,
        "content = content || '!'",
    ),
    table(
        "public.crm_campaigns",
        "INSERT INTO crm_campaigns (organization_id, id, name, owner_id, created_by_id)
         VALUES ('{org}', '{id}', 'Campaign', '{user}', '{user}')",
        "id = '{id}'",
        CAMPAIGN,
        "name = name || '!'",
    ),
    table(
        "public.crm_campaign_contacts",
        "INSERT INTO crm_campaign_contacts (organization_id, id, campaign_id, contact_id) VALUES ('{org}', '{id}', '{id}', '{id}')",
        "id = '{id}'",
        CAMPAIGN_CONTACT,
        "status = 'sent'",
    ),
    table(
        "public.crm_deal_contacts",
        "INSERT INTO crm_deal_contacts (organization_id, id, deal_id, contact_id) VALUES ('{org}', '{id}', '{id}', '{id}')",
        "id = '{id}'",
        ("deal_id, contact_id", "'{id}', '{spare}'"),
        "role = 'changed'",
    ),
    table(
        "public.crm_products",
        "INSERT INTO crm_products (organization_id, id, name) VALUES ('{org}', '{id}', 'Product')",
        "id = '{id}'",
        ("id, name", "'{new}', 'New'"),
        "name = name || '!'",
    ),
    table(
        "public.crm_exchange_rates",
        "INSERT INTO crm_exchange_rates (organization_id, id, currency, valid_on, rate) VALUES ('{org}', '{id}', 'EUR', \
         '2000-01-01'::date + (hashtext('{id}') & 65535), 1.1)",
        "id = '{id}'",
        ("currency, valid_on, rate", "'CHF', '2017-10-02', 1.1"),
        "rate = rate + 1",
    ),
    table(
        "public.crm_deal_line_items",
        "INSERT INTO crm_deal_line_items (organization_id, id, deal_id, name, unit_price, amount) VALUES ('{org}', '{id}', '{id}', 'Line', 1, 1)",
        "id = '{id}'",
        ("deal_id, name, unit_price, amount", "'{id}', 'New', 1, 1"),
        "name = name || '!'",
    ),
    table(
        "public.crm_external_ids",
        "INSERT INTO crm_external_ids (organization_id, id, entity_type, entity_id, source, external_id)
         VALUES ('{org}', '{id}', 'company', '{id}', 'test', '{id}')",
        "id = '{id}'",
        ("entity_type, entity_id, source, external_id", "'company', '{id}', 'test', '{new}'"),
        "source = 'changed'",
    ),
    table(
        "public.crm_idempotent_answers",
        "INSERT INTO crm_idempotent_answers (organization_id, user_id, route, key_hash, body_hash, status, record_ids)
         VALUES ('{org}', '{user}', 'POST /', sha256('{id}'), sha256(''), 201, '{}')",
        "key_hash = sha256('{id}')",
        ("route, key_hash, body_hash, status, record_ids", "'POST /', sha256('{new}'), sha256(''), 201, '{}'"),
        "status = 200",
    ),
    table(
        "public.crm_custom_fields",
        "INSERT INTO crm_custom_fields (organization_id, id, entity, key, label, field_type)
         VALUES ('{org}', '{id}', 'deal', 'f_' || replace('{id}', '-', '_'), 'Field', 'text')",
        "id = '{id}'",
        CUSTOM_FIELD,
        "label = label || '!'",
    ),
    table(
        "public.crm_custom_field_work",
        "INSERT INTO crm_custom_field_work (organization_id, field_id, task, generation) VALUES ('{org}', '{id}', 'build', 1)",
        "field_id = '{id}'",
        CUSTOM_FIELD_WORK,
        "records = 1",
    ),
    table(
        "public.crm_custom_values",
        "INSERT INTO crm_custom_values (organization_id, field_id, generation, record_id) VALUES ('{org}', '{id}', 1, '{id}')",
        "field_id = '{id}'",
        CUSTOM_VALUE,
        "number_key = 1",
    ),
    table(
        "public.crm_record_times",
        "",
        "record_id = '{id}'",
        ("entity, record_id, in_bin, updated_at, last_activity_at", "'company', '{new}', false, now(), now()"),
        "last_activity_at = now()",
    ),
    table("public.crm_deal_figures", "", "pipeline_id = '{id}'", FIGURES, "deals = 1"),
    table("public.crm_activities", "", "entity_id = '{id}'", ACTIVITY, "activity_type = 'forged'"),
    table(
        "public.crm_activity_details",
        "",
        "activity_id IN (SELECT id FROM crm_activities WHERE entity_id = '{id}')",
        ("activity_id, created_at", "'{new}', now()"),
        "description = 'forged'",
    ),
    common("identity.credentials", "", "user_id = '{user}'", ("user_id, password_hash", "'{user}', 'x'"), "password_hash = 'x'"),
    table(
        "identity.sessions",
        "INSERT INTO identity.sessions (id, user_id, organization_id, expires_at) VALUES ('{id}', '{user}', '{org}', now() + interval '1 day')",
        "id = '{id}'",
        ("user_id, expires_at", "'{user}', now()"),
        "expires_at = 'infinity'",
    ),
    table(
        "identity.api_tokens",
        "INSERT INTO identity.api_tokens (organization_id, id, user_id, name, token_hash, created_by_id, expires_at) VALUES ('{org}', '{id}', '{user}', 'Robot', sha256('{id}'), '{user}', now() + interval '1 day')",
        "id = '{id}'",
        (
            "id, user_id, name, token_hash, created_by_id, expires_at",
            "'{new}', '{user}', 'New', sha256('{new}'), '{user}', now() + interval '1 day'",
        ),
        "name = name || '!'",
    ),
    common(
        "identity.letters",
        "INSERT INTO identity.letters (id, kind, recipient) VALUES ('{id}', 'welcome', 'someone@example.com')",
        "id = '{id}'",
        ("kind, recipient", "'welcome', 'someone@example.com'"),
        "attempts = 1",
    ),
    table(
        "identity.ended_logins",
        "INSERT INTO identity.ended_logins (organization_id, user_id, ended_at) VALUES ('{org}', '{user}', now()) ON CONFLICT DO NOTHING",
        "organization_id = '{org}'",
        ("user_id, ended_at", "'{user}', now()"),
        "ended_at = now()",
    ),
    table(
        "identity.emptied_addresses",
        "INSERT INTO identity.emptied_addresses (organization_id, up_to) VALUES ('{org}', now()) ON CONFLICT DO NOTHING",
        "organization_id = '{org}'",
        ("up_to", "now()"),
        "up_to = now()",
    ),
    table(
        "identity.invitations",
        "INSERT INTO identity.invitations (organization_id, id, email, role, secret_id, secret_hash, invited_by_id, expires_at)
         VALUES ('{org}', '{id}', '{id}@example.com', 'member', '{id}', sha256('{id}'), '{user}', now() + interval '1 day')",
        "id = '{id}'",
        INVITATION,
        "role = 'owner'",
    ),
    common(
        "identity.external_identities",
        "INSERT INTO identity.external_identities (id, user_id, provider, issuer, subject) VALUES ('{id}', '{user}', 'test', 'https://id.example.com', '{id}')",
        "id = '{id}'",
        ("user_id, provider, issuer, subject", "'{user}', 'test', 'https://id.example.com', '{new}'"),
        "subject = 'changed'",
    ),
    common(
        "identity.external_tokens",
        "INSERT INTO identity.external_tokens (issuer, token_hash, expires_at) VALUES ('https://id.example.com', sha256('{id}'), now() + interval '1 day')",
        "token_hash = sha256('{id}')",
        ("issuer, token_hash, expires_at", "'https://id.example.com', sha256('{new}'), now()"),
        "expires_at = 'infinity'",
    ),
    common(
        "identity.refresh_tokens",
        "INSERT INTO identity.refresh_tokens (token_hash, session_id, expires_at) VALUES (uuid_send('{id}'), '{id}', now() + interval '1 day')",
        "session_id = '{id}'",
        ("token_hash, session_id, expires_at", "uuid_send('{new}'), '{id}', now()"),
        "expires_at = 'infinity'",
    ),
    common(
        "identity.registrations",
        "INSERT INTO identity.registrations (id, email, password_hash, full_name, organization_name, slug, slug_chosen, time_zone, default_currency, locale, secret_hash)
         VALUES ('{id}', '{id}@example.com', 'x', 'Someone', 'New', 'new', false, 'UTC', 'USD', 'en', sha256('{id}'))",
        "id = '{id}'",
        (
            "id, email, password_hash, full_name, organization_name, slug, slug_chosen, time_zone, default_currency, locale, secret_hash",
            "'{new}', '{new}@example.com', 'x', 'Someone', 'New', 'new', false, 'UTC', 'USD', 'en', sha256('{new}')",
        ),
        "used_at = NULL",
    ),
    common(
        "identity.links",
        "INSERT INTO identity.links (id, purpose, user_id, email, secret_hash, expires_at)
         VALUES ('{id}', 'reset_password', '{user}', '{id}@example.com', sha256('{id}'), now() + interval '1 hour')",
        "id = '{id}'",
        (
            "id, purpose, user_id, email, secret_hash, expires_at",
            "'{new}', 'reset_password', '{user}', '{new}@example.com', sha256('{new}'), now() + interval '1 hour'",
        ),
        "used_at = NULL",
    ),
    common(
        "identity.throttles",
        "INSERT INTO identity.throttles (key_hash, used, counted_at, empty_at) VALUES (sha256('{id}'), 1, now(), 'infinity')",
        "key_hash = sha256('{id}')",
        ("key_hash, used, counted_at, empty_at", "sha256('{new}'), 1, now(), now()"),
        "used = 0",
    ),
    common(
        "identity.known_devices",
        "INSERT INTO identity.known_devices (id, user_id, key_hash, expires_at) VALUES ('{id}', '{user}', sha256('{id}'), 'infinity')",
        "id = '{id}'",
        ("user_id, key_hash, expires_at", "'{user}', sha256('{new}'), now()"),
        "expires_at = 'infinity'",
    ),
    common(
        "identity.second_factors",
        "INSERT INTO identity.second_factors (user_id, pending_seed, pending_login, pending_at) VALUES ('{user}', '{id}', '{id}', now())
         ON CONFLICT DO NOTHING",
        "user_id = '{user}'",
        ("user_id, pending_seed, pending_login, pending_at", "'{user}', '{new}', '{new}', now()"),
        "last_step = 1",
    ),
    common(
        "identity.recovery_codes",
        "INSERT INTO identity.recovery_codes (user_id, code_hash) VALUES ('{user}', sha256('{id}'))",
        "code_hash = sha256('{id}')",
        ("user_id, code_hash", "'{user}', sha256('{new}')"),
        "used_at = now()",
    ),
    table("public.q_activities", "", "entity_id = '{id}'", ACTIVITY, "activity_type = 'forged'"),
    table("public.q_api_tokens", "", "id = '{id}'", ("id, user_id, name", "'{new}', '{user}', 'New'"), "name = name || '!'"),
    table("public.q_audit", "", "entity_id = '{id}'", ACTIVITY, "activity_type = 'forged'"),
    table("public.q_companies", "", "id = '{id}'", COMPANY, "name = name || '!'"),
    table("public.q_contacts", "", "id = '{id}'", CONTACT, "title = 'changed'"),
    table("public.q_custom_fields", "", "id = '{id}'", CUSTOM_FIELD, "label = label || '!'"),
    table("public.q_custom_field_work", "", "field_id = '{id}'", CUSTOM_FIELD_WORK, "records = 1"),
    table("public.q_custom_values", "", "field_id = '{id}'", CUSTOM_VALUE, "number_key = 1"),
    table("public.q_deal_stage_history", "", "deal_id = '{id}'", HISTORY, "amount = 1"),
    table("public.q_deal_figures", "", "pipeline_id = '{id}'", FIGURES, "deals = 1"),
    table("public.q_deals", "", "id = '{id}'", DEAL, "name = name || '!'"),
    table(
        "public.q_invitations",
        "",
        "id = '{id}'",
        ("id, email, role, invited_by_id", "'{new}', '{new}@example.com', 'owner', '{user}'"),
        "role = 'owner'",
    ),
    table("public.q_members", "", "user_id = '{user}'", MEMBER, "role = 'owner'"),
    table("public.q_pipelines", "", "id = '{id}'", PIPELINE, "name = name || '!'"),
    table("public.q_pipeline_stages", "", "pipeline_id = '{id}'", STAGE, "label = label || '!'"),
    table("public.q_exchange_rates", "", "id = '{id}'", ("currency, valid_on, rate", "'CHF', '2017-10-02', 1.1"), "rate = rate + 1"),
    table("public.q_products", "", "id = '{id}'", ("id, name", "'{new}', 'New'"), "name = name || '!'"),
    table("public.q_campaigns", "", "id = '{id}'", CAMPAIGN, "name = name || '!'"),
    table("public.q_campaign_contacts", "", "id = '{id}'", CAMPAIGN_CONTACT, "status = 'sent'"),
    table("public.q_projects", "", "id = '{id}'", PROJECT, "name = name || '!'"),
    table("public.q_tasks", "", "id = '{id}'", TASK, "title = title || '!'"),
    table("public.q_notes", "", "id = '{id}'", NOTE, "content = content || '!'"),
];
