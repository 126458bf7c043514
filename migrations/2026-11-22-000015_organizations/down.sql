-- Takes the settings, guards, handing over, audit list and housekeeping away, and closes organisations, members and teams to writing.
DROP FUNCTION app.housekeeping(text, integer);
DROP FUNCTION app.empty_session_addresses(integer);
DROP FUNCTION app.empty_activity_addresses(integer);
DROP FUNCTION app.purge_bins(integer);
DROP FUNCTION app.purge_bin(uuid, regclass, timestamptz, integer);
DROP FUNCTION app.uuid7_floor(timestamptz);
DROP FUNCTION app.housekeeping_chores();
DROP FUNCTION app.outdated_rows();
REVOKE EXECUTE ON FUNCTION app.ensure_activity_partitions(integer, date) FROM crm_definer;
REVOKE DELETE ON teams, crm_companies, crm_contacts, crm_contact_points, crm_contact_companies, crm_pipelines,
                 crm_pipeline_stages, crm_deals, crm_deal_stage_history, crm_deal_contacts, crm_products, crm_deal_line_items,
                 crm_external_ids
  FROM crm_definer;
REVOKE UPDATE (ip, user_agent) ON crm_activity_details FROM crm_definer;
REVOKE DELETE ON identity.sessions, identity.refresh_tokens FROM crm_definer;
DROP TABLE identity.emptied_addresses;
DROP INDEX crm_external_ids_deal, crm_external_ids_contact, crm_external_ids_company, crm_deals_contact_reference,
           crm_deals_company_reference, crm_contacts_company_reference;

DROP VIEW q_audit;
DROP INDEX crm_activities_audit;

REVOKE INSERT (name, manager_id), UPDATE (name, manager_id, deleted_at) ON teams FROM crm_app;
DROP VIEW q_teams;
DROP TRIGGER guard_20_team ON teams;
DROP FUNCTION app.guard_team();
DROP INDEX teams_name_live;
ALTER TABLE teams DROP COLUMN name_key;
SELECT app.secure_table('teams');
SELECT app.install_tracking('teams', 'team', 'r.name');

DROP FUNCTION app.hand_over_led(uuid, uuid);
DROP FUNCTION app.count_led(uuid);
DROP FUNCTION app.reassign_records(text, text, uuid, uuid, uuid, integer);
DROP FUNCTION app.count_owned_records(uuid);
DROP FUNCTION app.ownership_columns();
DROP FUNCTION app.leave_organization();

REVOKE UPDATE (role, status, title, manager_id, team_id) ON memberships FROM crm_app;
SELECT app.secure_table('memberships');
DROP TRIGGER end_membership ON memberships;
DROP FUNCTION identity.end_membership();
DROP TRIGGER guard_20_member ON memberships;
DROP FUNCTION app.guard_member();
DROP FUNCTION app.role_rank(text);

DROP TRIGGER tighten_limits ON organizations;
DROP FUNCTION identity.tighten_limits();
DROP TRIGGER guard_20_lifetime ON identity.api_tokens;
DROP FUNCTION identity.guard_api_token();
DROP TRIGGER limit_session ON identity.sessions;
DROP FUNCTION identity.limit_session();

DROP FUNCTION app.restore_organization(text);
REVOKE UPDATE (name, slug, country, default_currency, time_zone, bin_retention_days, address_retention_days,
               require_second_factor, session_days, api_token_days, deleted_at)
    ON organizations FROM crm_app;
SELECT app.secure_table('organizations', org_column => 'id');
DROP TRIGGER guard_15_currency ON crm_deals;
DROP FUNCTION app.guard_deal_currency();
DROP TRIGGER guard_20_organization ON organizations;
DROP FUNCTION app.guard_organization();
ALTER TABLE organizations
    DROP COLUMN bin_retention_days,
    DROP COLUMN address_retention_days,
    DROP COLUMN session_days,
    DROP COLUMN api_token_days;
SELECT app.install_tracking('organizations', 'organization', 'r.name');
