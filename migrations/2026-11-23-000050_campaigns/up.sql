-- Campaigns, the contacts that take part in them, the deals that came of them, and who wants none of it.
--
-- What must stay true:
--   * A campaign goes forward only: planning, active (and paused in between), then completed or cancelled, each with its time.
--   * A contact takes part in a campaign once. A member goes forward only too: pending, sent, delivered, opened, clicked; bounced or
--     unsubscribed end it. Each of these has its time, and what comes later implies what came before.
--   * Nobody who opted out becomes a member, also not while they opt out; and whoever opts out is unsubscribed wherever they are a
--     member. Members are unsubscribed in no other way (ADR 0046).
--   * Amounts are in the organisation's currency, as those that deals are summed in.

CREATE TABLE crm_campaigns (
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    name            varchar(255) NOT NULL,
    description     text,
    campaign_type   varchar(50)  NOT NULL DEFAULT 'other',
    status          varchar(50)  NOT NULL DEFAULT 'planning',
    start_date      date,
    end_date        date,
    budget          numeric(18,3),
    actual_cost     numeric(18,3),
    target_audience jsonb,
    goals           jsonb,
    started_at      timestamptz,
    paused_at       timestamptz,
    completed_at    timestamptz,
    cancelled_at    timestamptz,
    owner_id        uuid                  DEFAULT app.user_id(),
    tags            jsonb        NOT NULL DEFAULT '[]',
    custom_fields   jsonb        NOT NULL DEFAULT '{}',
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    version         integer      NOT NULL DEFAULT 1,
    created_by_id   uuid                  DEFAULT app.user_id(),
    deleted_by_id   uuid,
    name_key        text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(name)) STORED,
    start_key       date NOT NULL GENERATED ALWAYS AS (coalesce(start_date, 'infinity'::date)) STORED,
    end_key         date NOT NULL GENERATED ALWAYS AS (coalesce(end_date, 'infinity'::date)) STORED,
    budget_key      bigint NOT NULL GENERATED ALWAYS AS (coalesce((budget * 1000)::bigint, 9223372036854775807)) STORED,
    CONSTRAINT crm_campaigns_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_campaigns_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT crm_campaigns_description_length CHECK (length(description) <= 10000),
    CONSTRAINT crm_campaigns_campaign_type_known CHECK (
        campaign_type IN ('email', 'social', 'webinar', 'event', 'content', 'other')),
    CONSTRAINT crm_campaigns_status_known CHECK (status IN ('planning', 'active', 'paused', 'completed', 'cancelled')),
    -- Infinity stands for no date in the keys above; a real one would be no date of a calendar.
    CONSTRAINT crm_campaigns_start_date_range CHECK (isfinite(start_date)),
    CONSTRAINT crm_campaigns_end_date_range CHECK (isfinite(end_date)),
    CONSTRAINT crm_campaigns_end_date_order CHECK (end_date >= start_date),
    CONSTRAINT crm_campaigns_budget_range CHECK (budget >= 0),
    CONSTRAINT crm_campaigns_actual_cost_range CHECK (actual_cost >= 0),
    CONSTRAINT crm_campaigns_target_audience_object CHECK (app.valid_object(target_audience)),
    CONSTRAINT crm_campaigns_goals_object CHECK (app.valid_object(goals)),
    CONSTRAINT crm_campaigns_started_at_status CHECK (status IN ('planning', 'cancelled') OR started_at IS NOT NULL),
    CONSTRAINT crm_campaigns_paused_at_status CHECK ((status = 'paused') = (paused_at IS NOT NULL)),
    CONSTRAINT crm_campaigns_completed_at_status CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
    CONSTRAINT crm_campaigns_cancelled_at_status CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CONSTRAINT crm_campaigns_tags_list CHECK (app.valid_tags(tags)),
    CONSTRAINT crm_campaigns_custom_fields_object CHECK (app.valid_object(custom_fields)),
    CONSTRAINT crm_campaigns_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_campaigns_owner_id_fkey FOREIGN KEY (organization_id, owner_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_campaigns_created_by_id_fkey FOREIGN KEY (organization_id, created_by_id)
        REFERENCES memberships (organization_id, user_id),
    CONSTRAINT crm_campaigns_deleted_by_id_fkey FOREIGN KEY (organization_id, deleted_by_id)
        REFERENCES memberships (organization_id, user_id)
) WITH (fillfactor = 85);

CREATE INDEX crm_campaigns_name   ON crm_campaigns (organization_id, name_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_campaigns_type   ON crm_campaigns (organization_id, campaign_type, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_campaigns_status ON crm_campaigns (organization_id, status, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_campaigns_start  ON crm_campaigns (organization_id, start_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_campaigns_end    ON crm_campaigns (organization_id, end_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_campaigns_budget ON crm_campaigns (organization_id, budget_key, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_campaigns_owner  ON crm_campaigns (organization_id, owner_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_campaigns_bin    ON crm_campaigns (organization_id, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX crm_campaigns_facets ON crm_campaigns
    USING gin (organization_id, tags jsonb_path_ops, custom_fields jsonb_path_ops);

-- The status and its times are the guard's: who writes says the status, and the times follow.
CREATE FUNCTION app.guard_campaign() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    -- The clock's moment, after the row was waited for.
    moment timestamptz := clock_timestamp();
BEGIN
    IF NEW.budget IS NOT NULL OR NEW.actual_cost IS NOT NULL THEN
        -- As app.guard_deal_currency() has it: the currency must not change between this look at it and the end of the transaction.
        PERFORM FROM public.organizations WHERE id = NEW.organization_id FOR KEY SHARE;
    END IF;

    IF TG_OP = 'UPDATE' THEN
        IF NEW.status = OLD.status THEN
            RETURN NEW;
        ELSIF NOT (CASE OLD.status
            WHEN 'planning' THEN NEW.status IN ('active', 'cancelled')
            WHEN 'active'   THEN NEW.status IN ('paused', 'completed', 'cancelled')
            WHEN 'paused'   THEN NEW.status IN ('active', 'completed', 'cancelled')
            ELSE false
        END) THEN
            RAISE EXCEPTION 'a campaign goes forward only'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'campaign_status_order', COLUMN = 'status', TABLE = TG_TABLE_NAME;
        END IF;
    END IF;

    IF NEW.status IN ('active', 'paused', 'completed') THEN
        NEW.started_at := coalesce(NEW.started_at, moment);
    END IF;
    NEW.paused_at := CASE WHEN NEW.status = 'paused' THEN moment END;
    NEW.completed_at := CASE WHEN NEW.status = 'completed' THEN moment END;
    NEW.cancelled_at := CASE WHEN NEW.status = 'cancelled' THEN moment END;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_10_record BEFORE INSERT OR UPDATE ON crm_campaigns
    FOR EACH ROW EXECUTE FUNCTION app.guard_record();
CREATE TRIGGER guard_20_campaign BEFORE INSERT OR UPDATE ON crm_campaigns
    FOR EACH ROW EXECUTE FUNCTION app.guard_campaign();

-- Comes after guard_20_organization, which by then has locked out everybody who is writing an amount.
CREATE FUNCTION app.guard_campaign_currency() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF EXISTS (
        SELECT FROM public.crm_campaigns
         WHERE organization_id = NEW.id AND (budget IS NOT NULL OR actual_cost IS NOT NULL))
    THEN
        RAISE EXCEPTION 'campaigns are counted in this currency'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'currency_in_use', COLUMN = 'default_currency', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_30_campaigns BEFORE UPDATE ON organizations
    FOR EACH ROW WHEN (NEW.default_currency <> OLD.default_currency) EXECUTE FUNCTION app.guard_campaign_currency();

-- ---------------------------------------------------------------- deals of a campaign

ALTER TABLE crm_deals
    ADD COLUMN campaign_id uuid,
    ADD CONSTRAINT crm_deals_campaign_id_fkey FOREIGN KEY (organization_id, campaign_id)
        REFERENCES crm_campaigns (organization_id, id);
CREATE INDEX crm_deals_campaign ON crm_deals (organization_id, campaign_id, id) WHERE deleted_at IS NULL;
CREATE INDEX crm_deals_campaign_reference ON crm_deals (organization_id, campaign_id) WHERE campaign_id IS NOT NULL;

CREATE FUNCTION app.guard_deal_campaign() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.campaign_id IS DISTINCT FROM OLD.campaign_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_campaigns', NEW.campaign_id, 'campaign_id');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_25_campaign BEFORE INSERT OR UPDATE OF campaign_id ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.guard_deal_campaign();

SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');
GRANT INSERT (campaign_id), UPDATE (campaign_id) ON crm_deals TO crm_app;

-- ---------------------------------------------------------------- members

CREATE TABLE crm_campaign_contacts (
    id              uuid        NOT NULL DEFAULT app.uuid7(),
    organization_id uuid        NOT NULL DEFAULT app.org_id(),
    campaign_id     uuid        NOT NULL,
    contact_id      uuid        NOT NULL,
    status          varchar(50) NOT NULL DEFAULT 'pending',
    sent_at         timestamptz,
    delivered_at    timestamptz,
    opened_at       timestamptz,
    clicked_at      timestamptz,
    bounced_at      timestamptz,
    unsubscribed_at timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    version         integer     NOT NULL DEFAULT 1,
    CONSTRAINT crm_campaign_contacts_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_campaign_contacts_once UNIQUE (organization_id, campaign_id, contact_id),
    CONSTRAINT crm_campaign_contacts_status_known CHECK (
        status IN ('pending', 'sent', 'delivered', 'opened', 'clicked', 'bounced', 'unsubscribed')),
    CONSTRAINT crm_campaign_contacts_status_time CHECK (CASE status
        WHEN 'sent' THEN sent_at WHEN 'delivered' THEN delivered_at WHEN 'opened' THEN opened_at WHEN 'clicked' THEN clicked_at
        WHEN 'bounced' THEN bounced_at WHEN 'unsubscribed' THEN unsubscribed_at ELSE created_at END IS NOT NULL),
    CONSTRAINT crm_campaign_contacts_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_campaign_contacts_campaign_id_fkey FOREIGN KEY (organization_id, campaign_id)
        REFERENCES crm_campaigns (organization_id, id),
    CONSTRAINT crm_campaign_contacts_contact_id_fkey FOREIGN KEY (organization_id, contact_id)
        REFERENCES crm_contacts (organization_id, id)
) WITH (fillfactor = 85);

CREATE INDEX crm_campaign_contacts_campaign ON crm_campaign_contacts (organization_id, campaign_id, id);
CREATE INDEX crm_campaign_contacts_status   ON crm_campaign_contacts (organization_id, campaign_id, status, id);
CREATE INDEX crm_campaign_contacts_contact  ON crm_campaign_contacts (organization_id, contact_id, id);

-- One guard for all of it, and no EXECUTE: a hundred thousand rows go through here at once.
CREATE FUNCTION app.guard_campaign_contact() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    member   record;
    campaign record;
    person   record;
    -- The clock's moment, after the row was waited for.
    moment   timestamptz := clock_timestamp();
BEGIN
    IF TG_OP = 'DELETE' THEN
        member := OLD;
    ELSE
        member := NEW;
    END IF;
    SELECT owner_id, created_by_id, deleted_at
      INTO campaign
      FROM public.crm_campaigns
     WHERE organization_id = member.organization_id AND id = member.campaign_id;
    -- Whoever opts out is unsubscribed everywhere, whosesoever the campaign is. No such campaign: the foreign key's to refuse.
    IF FOUND AND app.role() = 'member' AND (TG_OP <> 'UPDATE' OR NEW.status <> 'unsubscribed')
       AND app.user_id() IS DISTINCT FROM campaign.owner_id AND app.user_id() IS DISTINCT FROM campaign.created_by_id
    THEN
        RAISE EXCEPTION 'the campaign is not yours'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'parent_not_yours', COLUMN = 'campaign_id', TABLE = TG_TABLE_NAME;
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;

    IF TG_OP = 'INSERT' THEN
        IF campaign.deleted_at IS NOT NULL THEN
            RAISE EXCEPTION 'nothing can be attached to a deleted record'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'parent_deleted', COLUMN = 'campaign_id', TABLE = TG_TABLE_NAME;
        END IF;
        -- Whoever opts out at this moment holds the contact (app.guard_opting_out): this waits for them and sees what they did, or
        -- they wait for the end of this transaction and see the member.
        SELECT opted_out, deleted_at
          INTO person
          FROM public.crm_contacts
         WHERE organization_id = NEW.organization_id AND id = NEW.contact_id
           FOR KEY SHARE;
        -- Left out, not refused: whoever adds a whole audience is told how many they were.
        IF FOUND AND (person.opted_out OR person.deleted_at IS NOT NULL) THEN
            RETURN NULL;
        END IF;
        RETURN NEW;
    END IF;

    IF NEW.status = OLD.status THEN
        RETURN NEW;
    ELSIF NOT (CASE OLD.status
        WHEN 'pending'   THEN true
        WHEN 'sent'      THEN NEW.status <> 'pending'
        WHEN 'delivered' THEN NEW.status IN ('opened', 'clicked', 'bounced', 'unsubscribed')
        WHEN 'opened'    THEN NEW.status IN ('clicked', 'unsubscribed')
        WHEN 'clicked'   THEN NEW.status = 'unsubscribed'
        WHEN 'bounced'   THEN NEW.status = 'unsubscribed'
        ELSE false
    END) THEN
        RAISE EXCEPTION 'a member goes forward only'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'member_status_order', COLUMN = 'status', TABLE = TG_TABLE_NAME;
    END IF;
    IF NEW.status = 'unsubscribed' THEN
        IF NOT EXISTS (
            SELECT FROM public.crm_contacts
             WHERE organization_id = NEW.organization_id AND id = NEW.contact_id AND opted_out)
        THEN
            RAISE EXCEPTION 'whoever unsubscribes opts out'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'member_not_opted_out', COLUMN = 'status', TABLE = TG_TABLE_NAME;
        END IF;
        NEW.unsubscribed_at := moment;
        RETURN NEW;
    END IF;
    -- What comes later implies what came before: a rate is never more than all.
    NEW.sent_at := coalesce(NEW.sent_at, moment);
    IF NEW.status = 'bounced' THEN
        NEW.bounced_at := moment;
    ELSIF NEW.status <> 'sent' THEN
        NEW.delivered_at := coalesce(NEW.delivered_at, moment);
    END IF;
    IF NEW.status IN ('opened', 'clicked') THEN
        NEW.opened_at := coalesce(NEW.opened_at, moment);
    END IF;
    IF NEW.status = 'clicked' THEN
        NEW.clicked_at := moment;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_20_member BEFORE INSERT OR UPDATE OR DELETE ON crm_campaign_contacts
    FOR EACH ROW EXECUTE FUNCTION app.guard_campaign_contact();

SELECT app.secure_table('crm_campaign_contacts', 'member', deletable => true);
-- What happens to a member happened to the campaign.
SELECT app.install_tracking(
    'crm_campaign_contacts', 'campaign_contact', 'r.status',
    subject_type => '''campaign''', subject_id => 'r.campaign_id', status_column => 'status');
SELECT app.install_query_view('crm_campaign_contacts', 'q_campaign_contacts');
-- The times are the guard's to set.
GRANT SELECT, DELETE, INSERT (campaign_id, contact_id), UPDATE (status) ON crm_campaign_contacts TO crm_app;
GRANT DELETE, UPDATE (status) ON crm_campaign_contacts TO crm_definer;

-- ---------------------------------------------------------------- opting out

ALTER TABLE crm_contacts ADD COLUMN opted_out boolean NOT NULL DEFAULT false;

-- Stronger than an update's own lock: only this one waits for those who are adding the contact to a campaign, and they for it.
CREATE FUNCTION app.guard_opting_out() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM public.crm_contacts WHERE organization_id = NEW.organization_id AND id = NEW.id FOR UPDATE;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_30_opting_out BEFORE UPDATE OF opted_out ON crm_contacts
    FOR EACH ROW WHEN (NEW.opted_out AND NOT OLD.opted_out) EXECUTE FUNCTION app.guard_opting_out();

CREATE FUNCTION app.unsubscribe_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    UPDATE public.crm_campaign_contacts
       SET status = 'unsubscribed'
     WHERE organization_id = NEW.organization_id AND contact_id = NEW.id AND status <> 'unsubscribed';
    RETURN NULL;
END
$$;
CREATE TRIGGER unsubscribe_members AFTER UPDATE OF opted_out ON crm_contacts
    FOR EACH ROW WHEN (NEW.opted_out AND NOT OLD.opted_out) EXECUTE FUNCTION app.unsubscribe_members();

SELECT app.install_tracking(
    'crm_contacts', 'contact', $$concat_ws(' ', r.first_name, r.last_name)$$, status_column => 'contact_status');
SELECT app.install_query_view('crm_contacts', 'q_contacts');
GRANT INSERT (opted_out), UPDATE (opted_out) ON crm_contacts TO crm_app;
GRANT UPDATE (opted_out) ON crm_contacts TO crm_definer;

-- A member of a campaign unsubscribes: their contact opts out, and with that from every campaign. Whoever may change the campaign may say
-- so, also of a contact that is another's.
CREATE FUNCTION app.unsubscribe_member(p_campaign uuid, p_contact uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    is_own   boolean;
    is_there boolean;
BEGIN
    SELECT owner_id = app.user_id() OR created_by_id = app.user_id()
      INTO is_own
      FROM public.crm_campaigns
     WHERE organization_id = app.org_id() AND id = p_campaign;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF coalesce(app.role(), 'viewer') = 'viewer' OR (app.role() = 'member' AND is_own IS NOT TRUE) THEN
        RAISE EXCEPTION 'the campaign is not yours'
            USING ERRCODE = 'insufficient_privilege', CONSTRAINT = 'parent_not_yours', COLUMN = 'campaign_id',
                  TABLE = 'crm_campaign_contacts';
    END IF;
    is_there := EXISTS (
        SELECT FROM public.crm_campaign_contacts
         WHERE organization_id = app.org_id() AND campaign_id = p_campaign AND contact_id = p_contact);
    -- The contact first and its members behind it, as whoever opts out takes them.
    UPDATE public.crm_contacts
       SET opted_out = true
     WHERE is_there AND organization_id = app.org_id() AND id = p_contact AND NOT opted_out;
    RETURN is_there;
END
$$;

-- ---------------------------------------------------------------- what every noun has

-- As before, and campaigns among those that something can happen to.
CREATE OR REPLACE FUNCTION app.note_activity() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    touched record;
BEGIN
    FOR touched IN
        SELECT organization_id, subject_type, subject_id, max(occurred_at) AS occurred_at
          FROM newtab
         WHERE subject_id <> entity_id
           AND subject_type IN ('company', 'contact', 'deal', 'project', 'task', 'campaign')
           AND actor_kind <> 'system'
         GROUP BY organization_id, subject_type, subject_id
         ORDER BY organization_id, subject_id
    LOOP
        UPDATE public.crm_record_times
           SET last_activity_at = touched.occurred_at
         WHERE organization_id = touched.organization_id
           AND entity = touched.subject_type
           AND record_id = touched.subject_id
           AND last_activity_at < touched.occurred_at;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION app.custom_field_table(p_entity text) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp
AS $$
    SELECT CASE p_entity
        WHEN 'company'  THEN 'public.crm_companies'::regclass
        WHEN 'contact'  THEN 'public.crm_contacts'::regclass
        WHEN 'deal'     THEN 'public.crm_deals'::regclass
        WHEN 'project'  THEN 'public.crm_projects'::regclass
        WHEN 'task'     THEN 'public.crm_tasks'::regclass
        WHEN 'campaign' THEN 'public.crm_campaigns'::regclass
    END
$$;
ALTER TABLE crm_custom_fields
    DROP CONSTRAINT crm_custom_fields_entity_known,
    ADD CONSTRAINT crm_custom_fields_entity_known CHECK (entity IN ('company', 'contact', 'deal', 'project', 'task', 'campaign'));

ALTER TABLE crm_external_ids
    ADD COLUMN rel_campaign_id uuid GENERATED ALWAYS AS (CASE entity_type WHEN 'campaign' THEN entity_id END) STORED,
    DROP CONSTRAINT crm_external_ids_entity_type_known,
    ADD CONSTRAINT crm_external_ids_entity_type_known CHECK (entity_type IN ('company', 'contact', 'deal', 'project', 'task', 'campaign')),
    ADD CONSTRAINT crm_external_ids_rel_campaign_id_fkey FOREIGN KEY (organization_id, rel_campaign_id)
        REFERENCES crm_campaigns (organization_id, id);
CREATE INDEX crm_external_ids_campaign ON crm_external_ids (organization_id, rel_campaign_id) WHERE rel_campaign_id IS NOT NULL;
SELECT app.install_tracking(
    'crm_external_ids', 'external_id', $$r.source || ' ' || r.external_id$$,
    subject_type => 'r.entity_type', subject_id => 'r.entity_id');

SELECT app.secure_table('crm_campaigns', 'member', ARRAY['owner_id', 'created_by_id']);
SELECT app.install_tracking('crm_campaigns', 'campaign', 'r.name', status_column => 'status');
SELECT app.install_times('crm_campaigns', 'campaign', 'q_campaigns');
SELECT app.install_custom_values('crm_campaigns', 'campaign');

GRANT SELECT,
      INSERT (id, name, description, campaign_type, status, start_date, end_date, budget, actual_cost, target_audience, goals,
              owner_id, tags, custom_fields),
      UPDATE (name, description, campaign_type, status, start_date, end_date, budget, actual_cost, target_audience, goals,
              owner_id, tags, custom_fields, deleted_at)
   ON crm_campaigns TO crm_app;
GRANT DELETE, UPDATE (custom_fields) ON crm_campaigns TO crm_definer;

-- Tasks are about campaigns from now on.
ALTER TABLE crm_tasks
    DROP CONSTRAINT crm_tasks_related_to_type_known,
    ADD CONSTRAINT crm_tasks_related_to_type_known CHECK (related_to_type IN ('company', 'contact', 'deal', 'project', 'campaign')),
    ADD CONSTRAINT crm_tasks_rel_campaign_id_fkey FOREIGN KEY (organization_id, rel_campaign_id)
        REFERENCES crm_campaigns (organization_id, id);

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.unsubscribe_member(uuid, uuid) TO crm_app;
