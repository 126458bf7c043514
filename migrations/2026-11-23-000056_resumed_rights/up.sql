-- What was taken does not come back by the way, and nobody stands where there is nothing.
--
-- What must stay true:
--   * A deal that lives is in a pipeline that lives: whoever writes a deal into a pipeline, or brings one back, holds the pipeline's key and
--     looks again; whoever deletes a pipeline waits for them.
--   * An invitation of an owner or an admin that nobody can accept any more stays so. Another one takes the password.
--   * A new password closes what its person wrote or sent, also what somebody has in hand at this moment.

CREATE OR REPLACE FUNCTION app.hold_stage() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    pipeline    uuid := coalesce(NEW.pipeline_id, (
                    SELECT id
                      FROM public.crm_pipelines
                     WHERE organization_id = NEW.organization_id AND is_default AND deleted_at IS NULL));
    is_deleted  boolean;
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        RETURN NEW;
    END IF;
    SELECT deleted_at IS NOT NULL INTO is_deleted
      FROM public.crm_pipelines
     WHERE organization_id = NEW.organization_id AND id = pipeline
       FOR KEY SHARE;
    IF is_deleted THEN
        RAISE EXCEPTION 'nothing can be attached to a deleted record'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'parent_deleted', COLUMN = 'pipeline_id', TABLE = TG_TABLE_NAME;
    END IF;
    PERFORM FROM public.crm_pipeline_stages
      WHERE organization_id = NEW.organization_id AND pipeline_id = pipeline AND key = NEW.stage
        FOR KEY SHARE;
    RETURN NEW;
END
$$;
GRANT UPDATE (name) ON crm_pipelines TO crm_definer;  -- a lock needs the right to write
DROP TRIGGER guard_15_stage ON crm_deals;
CREATE TRIGGER guard_15_stage BEFORE INSERT OR UPDATE OF pipeline_id, stage, deleted_at ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.hold_stage();

CREATE OR REPLACE FUNCTION app.guard_pipeline() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN
        NEW.deleted_at := now();
        -- Deals that are being written into it hold its key: this waits for them, and then sees them.
        PERFORM FROM public.crm_pipelines WHERE organization_id = OLD.organization_id AND id = OLD.id FOR UPDATE;
        IF OLD.is_default THEN
            RAISE EXCEPTION 'the default pipeline cannot be deleted'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'pipeline_default', TABLE = TG_TABLE_NAME;
        ELSIF EXISTS (
            SELECT FROM public.crm_deals
             WHERE organization_id = OLD.organization_id AND pipeline_id = OLD.id AND deleted_at IS NULL)
        THEN
            RAISE EXCEPTION 'deals stand in this pipeline'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'pipeline_in_use', TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

-- ---------------------------------------------------------------- invitations

-- Who wrote it, whoever sends it again.
ALTER TABLE identity.invitations ADD COLUMN created_by_id uuid;
UPDATE identity.invitations SET created_by_id = invited_by_id;
ALTER TABLE identity.invitations ALTER COLUMN created_by_id SET DEFAULT app.user_id();

CREATE OR REPLACE FUNCTION identity.resend_invitation(p_id uuid, p_secret_id uuid, p_secret_hash bytea, p_seconds integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    held identity.invitations := identity.hold_invitation(p_id);
BEGIN
    PERFORM identity.refuse_api_tokens();
    IF held.closed_as IS NOT NULL THEN
        RAISE EXCEPTION 'the invitation is closed'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitation_closed';
    END IF;
    IF held.role IN ('owner', 'admin')
       AND (held.expires_at <= now()
            OR identity.may_invite(app.active_role(held.organization_id, held.invited_by_id), held.role) IS NOT TRUE)
    THEN
        RAISE EXCEPTION 'the invitation has expired'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'invitation_expired';
    END IF;
    PERFORM identity.refuse_member(held.organization_id, held.email);
    PERFORM identity.limit_invitations(held.organization_id, held.email);

    PERFORM identity.withdraw_invitation(held);
    UPDATE identity.invitations
       SET secret_id = p_secret_id,
           secret_hash = p_secret_hash,
           invited_by_id = app.user_id(),
           sent_at = now(),
           sent_lately = ARRAY(SELECT at FROM unnest(held.sent_lately) AS at WHERE at > now() - interval '1 hour') || now(),
           expires_at = now() + make_interval(secs => p_seconds)
     WHERE organization_id = held.organization_id AND id = held.id
    RETURNING * INTO held;
    PERFORM identity.queue_invitation(held);
END
$$;

-- As before, but it waits for whoever has one of the invitations in hand, and closes those that its person wrote and another sent again.
CREATE OR REPLACE FUNCTION identity.replace_password(p_user uuid, p_password_hash text, p_event text, p_ip text, p_agent text, p_request text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    pending identity.invitations;
BEGIN
    INSERT INTO identity.credentials AS credential (user_id, password_hash)
    VALUES (p_user, p_password_hash)
    ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = now();
    -- A seed that was begun by whoever knew the old one must not be confirmed by them later.
    UPDATE identity.second_factors
       SET pending_seed = NULL, pending_login = NULL, pending_at = NULL
     WHERE user_id = p_user AND pending_seed IS NOT NULL;
    UPDATE identity.links SET used_at = now() WHERE user_id = p_user AND used_at IS NULL;
    FOR pending IN
        SELECT *
          FROM identity.invitations
         WHERE p_user IN (invited_by_id, created_by_id) AND closed_as IS NULL
         ORDER BY organization_id, id
           FOR UPDATE
    LOOP
        PERFORM identity.withdraw_invitation(pending);
        UPDATE identity.invitations
           SET closed_at = now(), closed_as = 'revoked'
         WHERE organization_id = pending.organization_id AND id = pending.id;
    END LOOP;
    PERFORM identity.end_sessions(p_user, NULL, NULL, p_event);
    PERFORM app.log_person_event(p_user, p_event, 'credential', p_user, NULL, NULL, p_ip, p_agent, p_request);
    PERFORM identity.queue_letter(
                'password_changed', email, locale, NULL, jsonb_build_object('name', full_name), now() + interval '24 hours')
       FROM public.users
      WHERE id = p_user AND email IS NOT NULL;
END
$$;

SELECT app.seal_functions();
