-- Organisations that administer themselves: settings, members, teams, the handing over of records, the audit list, and the
-- housekeeping that removes what nobody needs any longer.
--
-- What must stay true:
--   * Every organisation has an active owner; role and status change one at a time per organisation.
--   * Security settings and the end of the organisation are the owner's alone; no admin touches an owner or makes one.
--   * Who is no longer active has no open session and no API token there, from the same transaction on.
--   * Limits of the organisation hold for every session and token, whichever function makes it.

-- ---------------------------------------------------------------- settings

ALTER TABLE organizations
    ADD COLUMN bin_retention_days     integer,                      -- NULL: the bin is kept for ever
    ADD COLUMN address_retention_days integer NOT NULL DEFAULT 90,
    ADD COLUMN session_days           integer,                      -- NULL: as long as the program says
    ADD COLUMN api_token_days         integer,
    ADD CONSTRAINT organizations_bin_retention_days_range CHECK (bin_retention_days BETWEEN 1 AND 3650),
    ADD CONSTRAINT organizations_address_retention_days_range CHECK (address_retention_days BETWEEN 1 AND 3650),
    ADD CONSTRAINT organizations_session_days_range CHECK (session_days BETWEEN 1 AND 3650),
    ADD CONSTRAINT organizations_api_token_days_range CHECK (api_token_days BETWEEN 1 AND 3650);

CREATE FUNCTION app.guard_organization() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    has_given boolean;
BEGIN
    IF app.org_id() = NEW.id THEN
        -- Asked anew: this row is locked by now, and roles change only under its lock.
        IF app.active_role(NEW.id, app.user_id()) IS DISTINCT FROM 'owner'
           AND ROW(NEW.require_second_factor, NEW.session_days, NEW.api_token_days, NEW.deleted_at)
               IS DISTINCT FROM ROW(OLD.require_second_factor, OLD.session_days, OLD.api_token_days, OLD.deleted_at)
        THEN
            RAISE EXCEPTION 'only an owner may do this'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'owner_only', TABLE = TG_TABLE_NAME;
        END IF;
        IF ROW(NEW.require_second_factor, NEW.session_days, NEW.api_token_days, NEW.deleted_at)
           IS DISTINCT FROM ROW(OLD.require_second_factor, OLD.session_days, OLD.api_token_days, OLD.deleted_at)
        THEN
            PERFORM identity.refuse_api_tokens();
        END IF;

        IF NEW.require_second_factor AND NOT OLD.require_second_factor THEN
            -- Embedded use has neither session nor token; there the embedding program answers for who calls.
            has_given := CASE
                WHEN app.context('session_id') IS NOT NULL THEN EXISTS (
                    SELECT FROM identity.sessions
                     WHERE id = app.context('session_id')::uuid AND second_factor_at IS NOT NULL)
                WHEN app.context('token_id') IS NOT NULL THEN EXISTS (
                    SELECT FROM identity.api_tokens
                     WHERE organization_id = NEW.id AND id = app.context('token_id')::uuid AND second_factor)
                ELSE true
            END;
            IF NOT has_given THEN
                RAISE EXCEPTION 'whoever requires a second factor has given one'
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'second_factor_missing', COLUMN = 'require_second_factor',
                          TABLE = TG_TABLE_NAME;
            END IF;
        END IF;
    END IF;

    IF NEW.time_zone <> OLD.time_zone AND NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = NEW.time_zone) THEN
        RAISE EXCEPTION 'unknown time zone'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'time_zone_unknown', COLUMN = 'time_zone', TABLE = TG_TABLE_NAME;
    END IF;

    IF NEW.default_currency <> OLD.default_currency THEN
        -- Waits for every deal that is being written (app.guard_deal_currency) and keeps others out until this is decided.
        PERFORM FROM public.organizations WHERE id = NEW.id FOR UPDATE;
        IF EXISTS (SELECT FROM public.crm_deals WHERE organization_id = NEW.id AND amount IS NOT NULL) THEN
            RAISE EXCEPTION 'deals are summed in this currency'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'currency_in_use', COLUMN = 'default_currency',
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;

    IF OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN
        NEW.deleted_at := now();
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_20_organization BEFORE UPDATE ON organizations
    FOR EACH ROW EXECUTE FUNCTION app.guard_organization();

-- Amounts are counted in the organisation's currency: it must not change between the look at it and the end of the transaction.
CREATE FUNCTION app.guard_deal_currency() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NEW.amount IS NOT NULL THEN
        PERFORM FROM public.organizations WHERE id = NEW.organization_id FOR KEY SHARE;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_15_currency BEFORE INSERT OR UPDATE OF amount, currency ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.guard_deal_currency();

SELECT app.secure_table('organizations', 'manager', org_column => 'id');
SELECT app.install_tracking('organizations', 'organization', 'r.name');
GRANT UPDATE (name, slug, country, default_currency, time_zone, bin_retention_days, address_retention_days,
              require_second_factor, session_days, api_token_days, deleted_at)
   ON organizations TO crm_app;

-- For an operator: a deleted organisation comes back with its members, records, sessions and tokens as they were.
CREATE FUNCTION app.restore_organization(p_slug text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    restored uuid;
BEGIN
    UPDATE public.organizations SET deleted_at = NULL WHERE slug = p_slug AND deleted_at IS NOT NULL RETURNING id INTO restored;
    IF restored IS NULL THEN
        RAISE EXCEPTION 'no deleted organisation has the slug %', p_slug USING ERRCODE = 'no_data_found';
    END IF;
    RETURN restored;
END
$$;

-- ---------------------------------------------------------------- limits of sessions and tokens

CREATE FUNCTION identity.limit_session() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    most_days integer := (SELECT session_days FROM public.organizations WHERE id = NEW.organization_id);
BEGIN
    NEW.expires_at := least(NEW.expires_at, NEW.created_at + make_interval(days => most_days));
    RETURN NEW;
END
$$;
CREATE TRIGGER limit_session BEFORE INSERT ON identity.sessions
    FOR EACH ROW EXECUTE FUNCTION identity.limit_session();

CREATE FUNCTION identity.guard_api_token() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    most_days integer := (SELECT api_token_days FROM public.organizations WHERE id = NEW.organization_id);
BEGIN
    -- A minute of grace: the caller counted from its own clock.
    IF NEW.expires_at > now() + make_interval(days => most_days) + interval '1 minute' THEN
        RAISE EXCEPTION 'this organisation wants its tokens to end sooner'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'token_lifetime', COLUMN = 'expires_at', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_20_lifetime BEFORE INSERT ON identity.api_tokens
    FOR EACH ROW EXECUTE FUNCTION identity.guard_api_token();

-- A limit that is drawn tighter holds for what is open already.
CREATE FUNCTION identity.tighten_limits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NEW.session_days IS DISTINCT FROM OLD.session_days THEN
        UPDATE identity.sessions
           SET expires_at = created_at + make_interval(days => NEW.session_days)
         WHERE organization_id = NEW.id
           AND ended_at IS NULL
           AND expires_at > created_at + make_interval(days => NEW.session_days);
    END IF;
    IF NEW.api_token_days IS DISTINCT FROM OLD.api_token_days THEN
        UPDATE identity.api_tokens
           SET expires_at = created_at + make_interval(days => NEW.api_token_days)
         WHERE organization_id = NEW.id
           AND revoked_at IS NULL
           AND expires_at > created_at + make_interval(days => NEW.api_token_days);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER tighten_limits AFTER UPDATE OF session_days, api_token_days ON organizations
    FOR EACH ROW EXECUTE FUNCTION identity.tighten_limits();

-- ---------------------------------------------------------------- members

CREATE FUNCTION app.role_rank(p_role text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT array_position(ARRAY['viewer', 'member', 'admin', 'owner'], p_role) $$;

CREATE FUNCTION app.guard_member() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    max_depth CONSTANT integer := 20;
    is_new       boolean := TG_OP = 'INSERT';
    in_context   boolean := coalesce(app.org_id() = NEW.organization_id, false);
    actor        uuid    := app.user_id();
    actor_role   text;
    rights_move  boolean;
    manager_left boolean := false;
    above        uuid    := NEW.manager_id;
    depth        integer := 0;
    kind_of_user text    := (SELECT kind FROM public.users WHERE id = NEW.user_id);
BEGIN
    rights_move := is_new OR ROW(NEW.role, NEW.status) IS DISTINCT FROM ROW(OLD.role, OLD.status);

    -- One at a time per organisation, and what follows sees what the one before has committed: otherwise two owners could
    -- demote each other, or two members report to each other.
    IF rights_move OR (NEW.manager_id IS NOT NULL AND NEW.manager_id IS DISTINCT FROM OLD.manager_id) THEN
        PERFORM FROM public.organizations WHERE id = NEW.organization_id FOR NO KEY UPDATE;
    END IF;

    IF NEW.role = 'owner' AND kind_of_user = 'service' THEN
        RAISE EXCEPTION 'a service user cannot be an owner'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'service_owner', COLUMN = 'role', TABLE = TG_TABLE_NAME;
    END IF;

    -- Whose manager is no longer there may be given another one by whoever saw to that, be it the manager who left.
    IF NOT is_new THEN
        manager_left := OLD.manager_id IS NOT NULL
            AND NOT rights_move
            AND ROW(NEW.title, NEW.team_id) IS NOT DISTINCT FROM ROW(OLD.title, OLD.team_id)
            AND NOT EXISTS (
                SELECT FROM public.memberships
                 WHERE organization_id = OLD.organization_id AND user_id = OLD.manager_id AND status = 'active');
    END IF;

    IF in_context AND rights_move THEN
        PERFORM identity.refuse_api_tokens();
    END IF;

    IF in_context AND NOT manager_left THEN
        actor_role := app.active_role(NEW.organization_id, actor);
        IF actor_role IS NULL THEN
            RAISE EXCEPTION 'not an active member of this organisation'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'not_a_member';
        ELSIF NEW.role = 'owner' AND (is_new OR OLD.role <> 'owner') AND actor_role <> 'owner' THEN
            RAISE EXCEPTION 'only an owner may make an owner'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'owner_only', TABLE = TG_TABLE_NAME;
        ELSIF is_new AND actor_role NOT IN ('owner', 'admin') THEN
            RAISE EXCEPTION 'only an owner or an admin may do this'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'manager_only', TABLE = TG_TABLE_NAME;
        END IF;
    END IF;

    IF in_context AND NOT manager_left AND NOT is_new THEN
        IF NEW.user_id = actor AND app.role_rank(NEW.role) > app.role_rank(OLD.role) THEN
            RAISE EXCEPTION 'nobody raises his own role'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'own_role', TABLE = TG_TABLE_NAME;
        ELSIF NEW.user_id = actor AND NEW.status = 'suspended' THEN
            RAISE EXCEPTION 'nobody suspends himself'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'own_status', TABLE = TG_TABLE_NAME;
        ELSIF NEW.user_id = actor AND NEW.status = 'removed' AND ROW(NEW.role, NEW.title, NEW.team_id, NEW.manager_id)
              IS NOT DISTINCT FROM ROW(OLD.role, OLD.title, OLD.team_id, OLD.manager_id)
        THEN
            NULL;  -- leaving is everybody's right
        ELSIF actor_role NOT IN ('owner', 'admin') THEN
            RAISE EXCEPTION 'only an owner or an admin may do this'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'manager_only', TABLE = TG_TABLE_NAME;
        ELSIF actor_role = 'admin' AND OLD.role = 'owner'
              -- A team that is deleted loses its owners too: that is the team's trigger.
              AND NOT (NEW.team_id IS NULL AND pg_trigger_depth() > 1)
        THEN
            RAISE EXCEPTION 'only an owner may do this to an owner'
                USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'owner_only', TABLE = TG_TABLE_NAME;
        END IF;

        IF OLD.status = 'removed' AND NEW.status <> 'removed' THEN
            RAISE EXCEPTION 'who was removed comes back by invitation'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'member_removed', COLUMN = 'status', TABLE = TG_TABLE_NAME;
        END IF;
    END IF;

    IF NOT is_new AND OLD.role = 'owner' AND OLD.status = 'active' AND (NEW.role <> 'owner' OR NEW.status <> 'active')
       AND NOT EXISTS (
           SELECT
             FROM public.memberships AS other
             JOIN public.users AS person ON person.id = other.user_id
            WHERE other.organization_id = NEW.organization_id
              AND other.user_id <> NEW.user_id
              AND other.role = 'owner'
              AND other.status = 'active'
              AND person.deleted_at IS NULL)
    THEN
        RAISE EXCEPTION 'an organisation has an active owner'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'last_owner', TABLE = TG_TABLE_NAME,
                  COLUMN = CASE WHEN NEW.role <> 'owner' THEN 'role' ELSE 'status' END;
    END IF;

    IF NEW.team_id IS NOT NULL AND (is_new OR NEW.team_id IS DISTINCT FROM OLD.team_id) THEN
        -- Waits for a deletion of the team that is under way.
        PERFORM FROM public.teams WHERE organization_id = NEW.organization_id AND id = NEW.team_id FOR SHARE;
        PERFORM app.refuse_deleted_parent(NEW.organization_id, 'public.teams', NEW.team_id, 'team_id');
    END IF;

    IF NEW.manager_id IS NOT NULL AND (is_new OR NEW.manager_id IS DISTINCT FROM OLD.manager_id) THEN
        IF EXISTS (
            SELECT FROM public.memberships
             WHERE organization_id = NEW.organization_id AND user_id = NEW.manager_id AND status <> 'active')
        THEN
            RAISE EXCEPTION 'the manager is not an active member'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'member_not_active', COLUMN = 'manager_id', TABLE = TG_TABLE_NAME;
        END IF;
        WHILE above IS NOT NULL LOOP
            IF above = NEW.user_id THEN
                RAISE EXCEPTION 'nobody is above himself'
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'manager_cycle', COLUMN = 'manager_id', TABLE = TG_TABLE_NAME;
            END IF;
            depth := depth + 1;
            IF depth > max_depth THEN
                RAISE EXCEPTION 'too many managers above each other'
                    USING ERRCODE = 'check_violation', CONSTRAINT = 'manager_depth', COLUMN = 'manager_id', TABLE = TG_TABLE_NAME;
            END IF;
            above := (
                SELECT manager_id FROM public.memberships WHERE organization_id = NEW.organization_id AND user_id = above);
        END LOOP;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_20_member BEFORE INSERT OR UPDATE ON memberships
    FOR EACH ROW EXECUTE FUNCTION app.guard_member();

CREATE FUNCTION identity.end_membership() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM identity.end_sessions(NEW.user_id, NEW.organization_id, NULL, NEW.status);
    UPDATE identity.api_tokens
       SET revoked_at = now(), revoked_by_id = app.user_id()
     WHERE organization_id = NEW.organization_id AND user_id = NEW.user_id AND revoked_at IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER end_membership AFTER UPDATE OF status ON memberships
    FOR EACH ROW WHEN (OLD.status = 'active' AND NEW.status <> 'active') EXECUTE FUNCTION identity.end_membership();

SELECT app.secure_table('memberships', 'manager');
GRANT UPDATE (role, status, title, manager_id, team_id) ON memberships TO crm_app;

-- The caller goes. A function, because row-level security lets members and viewers change no membership, not even theirs.
CREATE FUNCTION app.leave_organization() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE public.memberships
       SET status = 'removed'
     WHERE organization_id = app.org_id() AND user_id = app.user_id() AND status = 'active';
    RETURN FOUND;
END
$$;

-- ---------------------------------------------------------------- handing over

-- Which columns of which tables say whose a record is: found, not listed, so that later nouns are among them. What the caller may
-- not change is not the caller's to hand over.
CREATE FUNCTION app.ownership_columns() RETURNS TABLE (collection text, owner_column text, relation regclass, bin boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT regexp_replace(class.relname, '^crm_', ''),  -- as addresses call it
           attribute.attname::text,
           class.oid::regclass,
           EXISTS (SELECT FROM pg_attribute WHERE attrelid = class.oid AND attname = 'deleted_at' AND NOT attisdropped)
      FROM pg_constraint AS reference
      JOIN pg_class AS class ON class.oid = reference.conrelid
      JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid AND attribute.attnum = ANY (reference.conkey)
     WHERE reference.contype = 'f'
       AND reference.confrelid = 'public.memberships'::regclass
       AND class.relnamespace = 'public'::regnamespace
       AND attribute.attname IN ('owner_id', 'assigned_to_id')
       AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = class.oid AND tgname = 'track_update')
       AND has_column_privilege(class.oid, attribute.attnum, 'UPDATE')
     ORDER BY 1, 2
$$;

-- What is somebody's, as a reader of the organisation sees it: living records, and those in the bin.
CREATE FUNCTION app.count_owned_records(p_user uuid)
RETURNS TABLE (collection text, owner_column text, living bigint, in_bin bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    owned record;
BEGIN
    FOR owned IN SELECT * FROM app.ownership_columns() LOOP
        collection := owned.collection;
        owner_column := owned.owner_column;
        EXECUTE format(
            'SELECT count(*) FILTER (WHERE %1$s), count(*) FILTER (WHERE NOT (%1$s)) FROM %2$s
              WHERE organization_id = $1 AND %3$I = $2',
            CASE WHEN owned.bin THEN 'deleted_at IS NULL' ELSE 'true' END, owned.relation, owned.owner_column)
           INTO living, in_bin
          USING app.org_id(), p_user;
        RETURN NEXT;
    END LOOP;
END
$$;

-- One step: hands over the next living records behind an id, as the caller and under the caller's policies. last_id is where the
-- next step begins; NULL when there is none.
CREATE FUNCTION app.reassign_records(
    p_collection   text,
    p_owner_column text,
    p_from         uuid,
    p_to           uuid,
    p_after        uuid,
    p_limit        integer
) RETURNS TABLE (moved bigint, last_id uuid)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    owned record;
BEGIN
    SELECT * INTO owned
      FROM app.ownership_columns() AS known
     WHERE known.collection = p_collection AND known.owner_column = p_owner_column;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'these records have no such owner' USING ERRCODE = 'undefined_column';
    END IF;
    RETURN QUERY EXECUTE format(
        'WITH batch AS MATERIALIZED (
             SELECT id FROM %1$s
              WHERE organization_id = $1 AND %2$I = $2 AND id > $4 %3$s
              ORDER BY id LIMIT $5
         ), moved AS (
             UPDATE %1$s AS record SET %2$I = $3
               FROM batch
              WHERE record.organization_id = $1 AND record.id = batch.id AND record.%2$I = $2 %4$s
             RETURNING record.id
         )
         SELECT (SELECT count(*) FROM moved), (SELECT id FROM batch ORDER BY id DESC LIMIT 1)',
        owned.relation, owned.owner_column,
        CASE WHEN owned.bin THEN 'AND deleted_at IS NULL' ELSE '' END,
        CASE WHEN owned.bin THEN 'AND record.deleted_at IS NULL' ELSE '' END)
      USING app.org_id(), p_from, p_to, p_after, p_limit;
END
$$;

-- How many teams and people somebody leads.
CREATE FUNCTION app.count_led(p_user uuid) RETURNS TABLE (teams bigint, members bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT (SELECT count(*) FROM public.teams
             WHERE organization_id = app.org_id() AND manager_id = p_user AND deleted_at IS NULL),
           (SELECT count(*) FROM public.memberships
             WHERE organization_id = app.org_id() AND manager_id = p_user AND status <> 'removed')
$$;

-- Hands over the teams and people that somebody leads who is no longer active. Whoever stands above the new manager goes to the old
-- one's own manager instead, so that nobody comes to stand above himself. With the rights of its owner: a member who leaves may not
-- change teams otherwise.
CREATE FUNCTION app.hand_over_led(p_from uuid, p_to uuid) RETURNS TABLE (teams bigint, members bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    org      uuid := app.org_id();
    upper    uuid := (SELECT manager_id FROM public.memberships WHERE organization_id = org AND user_id = p_from);
    ancestor uuid := p_to;
    steps    integer := 0;
BEGIN
    IF NOT (app.is_manager() OR p_from = app.user_id()) OR EXISTS (
        SELECT FROM public.memberships WHERE organization_id = org AND user_id = p_from AND status = 'active')
    THEN
        RAISE EXCEPTION 'only what a former member led can be handed over'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'manager_only';
    END IF;
    PERFORM FROM public.organizations WHERE id = org FOR NO KEY UPDATE;

    -- The report of p_from through whom p_to reports to p_from, if one does.
    WHILE ancestor IS NOT NULL AND steps < 50 LOOP
        EXIT WHEN EXISTS (
            SELECT FROM public.memberships WHERE organization_id = org AND user_id = ancestor AND manager_id = p_from);
        ancestor := (SELECT manager_id FROM public.memberships WHERE organization_id = org AND user_id = ancestor);
        steps := steps + 1;
    END LOOP;
    IF upper IS NOT NULL AND NOT EXISTS (
        SELECT FROM public.memberships WHERE organization_id = org AND user_id = upper AND status = 'active')
    THEN
        upper := NULL;
    END IF;

    UPDATE public.memberships SET manager_id = upper WHERE organization_id = org AND user_id = ancestor AND manager_id = p_from;
    GET DIAGNOSTICS members = ROW_COUNT;
    UPDATE public.memberships SET manager_id = p_to
     WHERE organization_id = org AND manager_id = p_from AND user_id <> p_to AND status <> 'removed';
    GET DIAGNOSTICS steps = ROW_COUNT;
    members := members + steps;
    UPDATE public.teams SET manager_id = p_to WHERE organization_id = org AND manager_id = p_from AND deleted_at IS NULL;
    GET DIAGNOSTICS teams = ROW_COUNT;
    RETURN NEXT;
END
$$;

-- ---------------------------------------------------------------- teams

ALTER TABLE teams ADD COLUMN name_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED;
-- Names were not unique before: the later ones of a name get their id behind it.
UPDATE teams AS later
   SET name = left(later.name, 200) || ' ' || later.id
 WHERE later.deleted_at IS NULL
   AND EXISTS (
       SELECT FROM teams AS earlier
        WHERE earlier.organization_id = later.organization_id AND earlier.name_key = later.name_key
          AND earlier.deleted_at IS NULL AND earlier.id < later.id);
CREATE UNIQUE INDEX teams_name_live ON teams (organization_id, name_key) WHERE deleted_at IS NULL;

CREATE FUNCTION app.guard_team() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NEW.manager_id IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.manager_id IS DISTINCT FROM OLD.manager_id) AND EXISTS (
        SELECT FROM public.memberships
         WHERE organization_id = NEW.organization_id AND user_id = NEW.manager_id AND status <> 'active')
    THEN
        RAISE EXCEPTION 'the manager is not an active member'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'member_not_active', COLUMN = 'manager_id', TABLE = TG_TABLE_NAME;
    END IF;
    IF TG_OP = 'INSERT' THEN
        RETURN NEW;
    END IF;

    IF OLD.deleted_at IS NOT NULL THEN
        RAISE EXCEPTION 'a deleted record cannot be changed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'record_deleted', TABLE = TG_TABLE_NAME;
    ELSIF NEW.deleted_at IS NOT NULL THEN
        NEW.deleted_at := now();
        UPDATE public.memberships SET team_id = NULL WHERE organization_id = NEW.organization_id AND team_id = NEW.id;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_20_team BEFORE INSERT OR UPDATE ON teams
    FOR EACH ROW EXECUTE FUNCTION app.guard_team();

SELECT app.secure_table('teams', 'manager');
SELECT app.install_tracking('teams', 'team', 'r.name');
SELECT app.install_query_view('teams', 'q_teams');
GRANT INSERT (name, manager_id), UPDATE (name, manager_id, deleted_at) ON teams TO crm_app;

-- ---------------------------------------------------------------- audit

-- What concerns security, apart from the records of the CRM: rare among them, so it has an index of its own, which costs nothing
-- when records change. The list of kinds is spelled out alike in both, or the planner does not see that the one serves the other.
CREATE INDEX crm_activities_audit ON crm_activities (organization_id, id)
    WHERE entity_type IN ('organization', 'member', 'team', 'session', 'credential', 'api_token', 'invitation', 'second_factor',
                          'external_identity');

CREATE VIEW q_audit AS
SELECT activity.*,
       detail.description,
       detail.changes,
       detail.metadata,
       detail.ip,
       detail.user_agent
  FROM (SELECT *
          FROM crm_activities
         WHERE app.is_manager()
           AND entity_type IN ('organization', 'member', 'team', 'session', 'credential', 'api_token', 'invitation',
                               'second_factor', 'external_identity')
       ) AS activity
  LEFT JOIN LATERAL (
       SELECT description, changes, metadata, ip, user_agent
         FROM crm_activity_details
        WHERE organization_id = activity.organization_id
          AND activity_id = activity.id
          AND created_at = activity.created_at
        LIMIT 1) AS detail ON true
 WHERE activity.organization_id = app.org_id()
   AND app.role() IS NOT NULL;
ALTER VIEW q_audit OWNER TO crm_definer;
GRANT SELECT ON q_audit TO crm_app;

-- ---------------------------------------------------------------- housekeeping

-- Purging looks from a record for what refers to it, in the bin too; the indexes of lists know the living only.
CREATE INDEX crm_contacts_company_reference ON crm_contacts (organization_id, company_id) WHERE company_id IS NOT NULL;
CREATE INDEX crm_deals_company_reference ON crm_deals (organization_id, company_id) WHERE company_id IS NOT NULL;
CREATE INDEX crm_deals_contact_reference ON crm_deals (organization_id, primary_contact_id) WHERE primary_contact_id IS NOT NULL;
CREATE INDEX crm_external_ids_company ON crm_external_ids (organization_id, rel_company_id) WHERE rel_company_id IS NOT NULL;
CREATE INDEX crm_external_ids_contact ON crm_external_ids (organization_id, rel_contact_id) WHERE rel_contact_id IS NOT NULL;
CREATE INDEX crm_external_ids_deal ON crm_external_ids (organization_id, rel_deal_id) WHERE rel_deal_id IS NOT NULL;

-- How far the addresses of an organisation's log have been emptied, so that no run looks at the same rows again.
CREATE TABLE identity.emptied_addresses (
    organization_id uuid        NOT NULL,
    up_to           timestamptz NOT NULL,
    CONSTRAINT emptied_addresses_pkey PRIMARY KEY (organization_id),
    CONSTRAINT emptied_addresses_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES public.organizations (id)
);
ALTER TABLE identity.emptied_addresses OWNER TO crm_owner;
ALTER TABLE identity.emptied_addresses ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity.emptied_addresses FORCE ROW LEVEL SECURITY;
CREATE POLICY definer_all ON identity.emptied_addresses TO crm_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON identity.emptied_addresses TO crm_definer;

GRANT DELETE ON identity.sessions, identity.refresh_tokens TO crm_definer;
GRANT UPDATE (ip, user_agent) ON crm_activity_details TO crm_definer;
-- Everything that has a bin, and what is a part of it.
GRANT DELETE ON teams, crm_companies, crm_contacts, crm_contact_points, crm_contact_companies, crm_pipelines, crm_pipeline_stages,
                crm_deals, crm_deal_stage_history, crm_deal_contacts, crm_products, crm_deal_line_items, crm_external_ids
   TO crm_definer;

-- Tables whose old rows nobody needs: one line each. Rows are found by the column and deleted when the condition holds, which is asked
-- again of each row that goes: the column need not be the whole key.
CREATE FUNCTION app.outdated_rows() RETURNS TABLE (chore text, table_name text, key_column text, condition text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    VALUES
        -- Used refresh tokens stay while their session lives: that is how a stolen one is noticed.
        ('refresh_tokens', 'identity.refresh_tokens', 'token_hash',
         'session_id IN (SELECT id FROM identity.sessions
                          WHERE coalesce(ended_at, expires_at) < now() - interval ''30 days'')'),
        ('sessions', 'identity.sessions', 'id',
         'coalesce(ended_at, expires_at) < now() - interval ''30 days''
          AND NOT EXISTS (SELECT FROM identity.refresh_tokens AS token WHERE token.session_id = outdated.id)'),
        ('letters', 'identity.letters', 'id',
         'coalesce(sent_at, failed_at, expires_at) < now() - interval ''30 days'''),
        -- The password of somebody who never came is not kept.
        ('registrations', 'identity.registrations', 'id', 'expires_at < now() - interval ''1 day'''),
        ('links', 'identity.links', 'id', 'expires_at < now() - interval ''30 days'''),
        -- Who was asked in by whom, and what became of it, can be seen for a year; that somebody came in stays in the log.
        ('invitations', 'identity.invitations', 'id', 'coalesce(closed_at, expires_at) < now() - interval ''1 year'''),
        ('external_tokens', 'identity.external_tokens', 'token_hash', 'expires_at < now()'),
        ('throttles', 'identity.throttles', 'key_hash', 'empty_at <= now()'),
        ('known_devices', 'identity.known_devices', 'id', 'expires_at <= now()')
$$;

-- What there is to do, in the order in which to do it.
CREATE FUNCTION app.housekeeping_chores() RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT chore
      FROM (SELECT chore, 2 AS turn, row_number() OVER () AS place FROM app.outdated_rows()
             UNION ALL
            VALUES ('partitions', 1, 1), ('bins', 1, 2), ('activity_addresses', 1, 3), ('session_addresses', 1, 4)) AS all_chores
     ORDER BY turn, place
$$;

-- The smallest version 7 id of a moment.
CREATE FUNCTION app.uuid7_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid $$;

-- Purges one table's bin for one organisation: what nothing refers to any more, together with what is a part of it (a row without a
-- bin of its own that cannot be without the record). One statement, so that a record that is restored meanwhile keeps its parts.
CREATE FUNCTION app.purge_bin(p_org uuid, p_table regclass, p_before timestamptz, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    unreferenced text := '';
    parts        text := '';
    child        record;
    purged       bigint;
BEGIN
    FOR child IN
        SELECT reference.conrelid::regclass AS relation,
               attribute.attname,
               (attribute.attnotnull OR attribute.attgenerated <> '') AND NOT EXISTS (
                   SELECT FROM pg_attribute
                    WHERE attrelid = reference.conrelid AND attname = 'deleted_at' AND NOT attisdropped) AS is_part,
               row_number() OVER () AS number
          FROM pg_constraint AS reference
          JOIN pg_attribute AS attribute ON attribute.attrelid = reference.conrelid AND attribute.attnum = reference.conkey[2]
         WHERE reference.contype = 'f' AND reference.confrelid = p_table AND cardinality(reference.conkey) = 2
         ORDER BY reference.conname
    LOOP
        IF child.is_part THEN
            parts := parts || format(
                ', part_%s AS (DELETE FROM %s AS part USING gone WHERE part.organization_id = $1 AND part.%I = gone.id)',
                child.number, child.relation, child.attname);
        ELSE
            unreferenced := unreferenced || format(
                ' AND NOT EXISTS (SELECT FROM %s AS child WHERE child.organization_id = record.organization_id AND child.%I = record.id)',
                child.relation, child.attname);
        END IF;
    END LOOP;

    EXECUTE format(
        'WITH gone AS (
             DELETE FROM %1$s
              WHERE organization_id = $1
                AND deleted_at < $2
                AND id IN (SELECT record.id FROM %1$s AS record
                            WHERE record.organization_id = $1 AND record.deleted_at < $2 %2$s
                            ORDER BY record.id LIMIT $3)
             RETURNING id
         )%3$s
         SELECT count(*) FROM gone', p_table, unreferenced, parts)
       INTO purged
      USING p_org, p_before, p_limit;
    RETURN purged;
END
$$;

-- Purges the bins of organisations that keep them for a time, children before their parents, which are free only then. A few seconds
-- long, and in no order: with many organisations each has its turn within some runs, and one that has much to purge keeps nobody.
CREATE FUNCTION app.purge_bins(p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    purged bigint := 0;
    before bigint;
    owner  record;
    target record;
    until  timestamptz := clock_timestamp() + interval '3 seconds';
BEGIN
    FOR owner IN
        SELECT id, now() - make_interval(days => bin_retention_days) AS kept_since
          FROM public.organizations
         WHERE bin_retention_days IS NOT NULL
         ORDER BY random()
    LOOP
        EXIT WHEN clock_timestamp() > until;
        LOOP
            before := purged;
            FOR target IN
                SELECT class.oid::regclass AS relation
                  FROM pg_class AS class
                 WHERE class.relnamespace = 'public'::regnamespace
                   AND class.relkind = 'r'
                   AND EXISTS (SELECT FROM pg_trigger WHERE tgrelid = class.oid AND tgname = 'track_delete')
                   AND 3 = (SELECT count(*) FROM pg_attribute
                             WHERE attrelid = class.oid AND attname IN ('organization_id', 'id', 'deleted_at') AND NOT attisdropped)
                 ORDER BY class.oid DESC  -- what refers to others was made after them
            LOOP
                EXIT WHEN purged >= p_limit;
                purged := purged
                    + app.purge_bin(owner.id, target.relation, owner.kept_since, (p_limit - purged)::integer);
            END LOOP;
            EXIT WHEN purged = before OR purged >= p_limit;
        END LOOP;
        EXIT WHEN purged >= p_limit;
    END LOOP;
    RETURN purged;
END
$$;

-- Empties addresses and client descriptions in the log that are older than their organisation keeps them.
CREATE FUNCTION app.empty_activity_addresses(p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    emptied bigint := 0;
    step    bigint;
    owner   record;
    last_id text;
    reached timestamptz;
    until   timestamptz := clock_timestamp() + interval '3 seconds';
BEGIN
    FOR owner IN
        SELECT organization.id,
               coalesce(mark.up_to, organization.created_at) AS since,
               now() - make_interval(days => organization.address_retention_days) AS kept_since
          FROM public.organizations AS organization
          LEFT JOIN identity.emptied_addresses AS mark ON mark.organization_id = organization.id
         WHERE coalesce(mark.up_to, organization.created_at) < now() - make_interval(days => organization.address_retention_days)
         ORDER BY coalesce(mark.up_to, organization.created_at)
    LOOP
        EXIT WHEN emptied >= p_limit OR clock_timestamp() > until;
        -- Ids are made just before the moment that created_at holds: they find the rows, created_at decides.
        WITH batch AS MATERIALIZED (
            SELECT activity_id, created_at
              FROM public.crm_activity_details
             WHERE organization_id = owner.id
               AND activity_id >= app.uuid7_floor(owner.since - interval '1 minute')
               AND activity_id < app.uuid7_floor(owner.kept_since + interval '1 minute')
               AND created_at >= owner.since
               AND created_at < owner.kept_since
             ORDER BY activity_id
             LIMIT p_limit - emptied
        ), changed AS (
            UPDATE public.crm_activity_details AS detail
               SET ip = NULL, user_agent = NULL
              FROM batch
             WHERE detail.organization_id = owner.id
               AND detail.activity_id = batch.activity_id
               AND detail.created_at = batch.created_at
               AND (detail.ip IS NOT NULL OR detail.user_agent IS NOT NULL)
        )
        SELECT count(*), (SELECT activity_id::text FROM batch ORDER BY activity_id DESC LIMIT 1) INTO step, last_id FROM batch;
        -- What comes behind a full batch has a later id, and so was not recorded before the moment in this one.
        reached := CASE
            WHEN step < p_limit - emptied THEN owner.kept_since
            ELSE greatest(owner.since, to_timestamp(
                ('x0000' || substr(last_id, 1, 8) || substr(last_id, 10, 4))::bit(64)::bigint / 1000.0))
        END;
        emptied := emptied + step;
        INSERT INTO identity.emptied_addresses (organization_id, up_to)
        VALUES (owner.id, reached)
        ON CONFLICT (organization_id) DO UPDATE SET up_to = excluded.up_to;
    END LOOP;
    RETURN emptied;
END
$$;

CREATE FUNCTION app.empty_session_addresses(p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    emptied bigint;
BEGIN
    UPDATE identity.sessions
       SET ip = NULL, user_agent = NULL
     WHERE id IN (
           SELECT session.id
             FROM identity.sessions AS session
             JOIN public.organizations AS organization ON organization.id = session.organization_id
            WHERE (session.ip IS NOT NULL OR session.user_agent IS NOT NULL)
              AND coalesce(session.ended_at, session.expires_at)
                  < now() - make_interval(days => organization.address_retention_days)
            LIMIT p_limit);
    GET DIAGNOSTICS emptied = ROW_COUNT;
    RETURN emptied;
END
$$;

-- Does a part of one chore and says how much; as much as the limit means that there may be more. Of several programs one works,
-- the others find nothing to do.
CREATE FUNCTION app.housekeeping(p_chore text, p_limit integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    outdated record;
    done     bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('app.housekeeping')) THEN
        RETURN 0;
    END IF;
    CASE p_chore
        WHEN 'partitions' THEN
            -- A new partition waits for all who write the log, and they for it: not for long, there are months of time.
            SET LOCAL lock_timeout = '300ms';
            RETURN app.ensure_activity_partitions();
        WHEN 'bins' THEN RETURN app.purge_bins(p_limit);
        WHEN 'activity_addresses' THEN RETURN app.empty_activity_addresses(p_limit);
        WHEN 'session_addresses' THEN RETURN app.empty_session_addresses(p_limit);
        ELSE NULL;
    END CASE;

    SELECT * INTO STRICT outdated FROM app.outdated_rows() AS known WHERE known.chore = p_chore;
    -- What somebody is at stays for another time: nobody waits for housekeeping, and it waits for nobody.
    EXECUTE format(
        'DELETE FROM %1$s AS outdated
          WHERE %2$I IN (SELECT outdated.%2$I FROM %1$s AS outdated WHERE %3$s LIMIT $1 FOR UPDATE SKIP LOCKED) AND (%3$s)',
        outdated.table_name, outdated.key_column, outdated.condition)
      USING p_limit;
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.ensure_activity_partitions(integer, date) TO crm_definer;
GRANT EXECUTE ON FUNCTION app.leave_organization() TO crm_app;
GRANT EXECUTE ON FUNCTION app.ownership_columns() TO crm_app;
GRANT EXECUTE ON FUNCTION app.count_owned_records(uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION app.reassign_records(text, text, uuid, uuid, uuid, integer) TO crm_app;
GRANT EXECUTE ON FUNCTION app.count_led(uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION app.hand_over_led(uuid, uuid) TO crm_app;
GRANT EXECUTE ON FUNCTION app.housekeeping_chores() TO crm_app;
GRANT EXECUTE ON FUNCTION app.outdated_rows() TO crm_app;
GRANT EXECUTE ON FUNCTION app.housekeeping(text, integer) TO crm_app;
