CREATE OR REPLACE FUNCTION identity.replace_password(p_user uuid, p_password_hash text, p_event text, p_ip text, p_agent text, p_request text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO identity.credentials AS credential (user_id, password_hash)
    VALUES (p_user, p_password_hash)
    ON CONFLICT (user_id) DO UPDATE SET password_hash = excluded.password_hash, changed_at = now();
    -- A seed that was begun by whoever knew the old one must not be confirmed by them later.
    UPDATE identity.second_factors
       SET pending_seed = NULL, pending_login = NULL, pending_at = NULL
     WHERE user_id = p_user AND pending_seed IS NOT NULL;
    UPDATE identity.links SET used_at = now() WHERE user_id = p_user AND used_at IS NULL;
    PERFORM identity.end_sessions(p_user, NULL, NULL, p_event);
    PERFORM app.log_person_event(p_user, p_event, 'credential', p_user, NULL, NULL, p_ip, p_agent, p_request);
    PERFORM identity.queue_letter(
                'password_changed', email, locale, NULL, jsonb_build_object('name', full_name), now() + interval '24 hours')
       FROM public.users
      WHERE id = p_user AND email IS NOT NULL;
END
$$;

CREATE OR REPLACE FUNCTION identity.reset_password(
    p_id            uuid,
    p_secret_hash   bytea,
    p_password_hash text,
    p_device        bytea,  -- the secret that the client will send
    p_ip            text,
    p_agent         text,
    p_request       text
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    link identity.links;
BEGIN
    PERFORM identity.hold_person_of_link(p_id, p_secret_hash);
    SELECT * INTO link
      FROM identity.links
     WHERE id = p_id AND secret_hash = p_secret_hash AND purpose = 'reset_password'
       FOR UPDATE;
    IF NOT FOUND
       OR link.used_at IS NOT NULL
       OR link.expires_at <= now()
       OR NOT EXISTS (SELECT FROM public.users WHERE id = link.user_id AND email = link.email AND deleted_at IS NULL)
    THEN
        RETURN false;
    END IF;
    PERFORM identity.replace_password(link.user_id, p_password_hash, 'password_reset', p_ip, p_agent, p_request);
    PERFORM identity.remember_device(link.user_id, NULL, p_device);
    RETURN true;
END
$$;

SELECT app.seal_functions();
