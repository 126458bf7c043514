-- Any number of addresses and numbers of a contact, and any number of companies, as lists that are kept with the contact.
--
-- What must stay true:
--   * email, phone and company_id of the contact are the primary ones. Whoever changes them alone changes the lists too: what is in the list
--     already becomes the primary one, anything else takes the place of the one that was.
--   * A change of the lists is a change of the contact: it has a new version.

ALTER TABLE crm_contacts ADD COLUMN lists_version integer NOT NULL DEFAULT 1;
SELECT app.install_tracking(
    'crm_contacts', 'contact', $$concat_ws(' ', r.first_name, r.last_name)$$, status_column => 'contact_status');
SELECT app.install_query_view('crm_contacts', 'q_contacts');
GRANT UPDATE (lists_version) ON crm_contacts TO crm_app;

ALTER TABLE crm_contact_points
    ADD CONSTRAINT crm_contact_points_label_length CHECK (length(btrim(label)) > 0),
    ADD CONSTRAINT crm_contact_points_position_range CHECK (position BETWEEN 0 AND 1000);
GRANT INSERT (contact_id, kind, label, value, is_primary, position), UPDATE (label, value, is_primary, position), DELETE
   ON crm_contact_points TO crm_app;

ALTER TABLE crm_contact_companies ADD COLUMN position integer NOT NULL DEFAULT 0
    CONSTRAINT crm_contact_companies_position_range CHECK (position BETWEEN 0 AND 1000);
SELECT app.install_tracking(
    'crm_contact_companies', 'contact_company', $$coalesce(r.role, '')$$,
    subject_type => '''contact''', subject_id => 'r.contact_id');
GRANT INSERT (position), UPDATE (position) ON crm_contact_companies TO crm_app;

-- A company that is in the list already and is written again may have been deleted meanwhile.
CREATE FUNCTION app.guard_contact_company() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.crm_contact_companies
         WHERE organization_id = NEW.organization_id AND contact_id = NEW.contact_id AND company_id = NEW.company_id)
    THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_companies', NEW.company_id, 'company_id');
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER guard_30_company ON crm_contact_companies;
CREATE TRIGGER guard_30_company BEFORE INSERT ON crm_contact_companies
    FOR EACH ROW EXECUTE FUNCTION app.guard_contact_company();

-- With the rights of whoever changes the contact: they may change its lists as well. A contact that has no lists yet costs one look.
CREATE FUNCTION app.follow_primary_point(p_contact public.crm_contacts, p_kind text, p_value text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    known uuid;
BEGIN
    IF p_value IS NULL THEN
        DELETE FROM public.crm_contact_points
         WHERE organization_id = p_contact.organization_id AND contact_id = p_contact.id AND kind = p_kind AND is_primary;
        RETURN;
    END IF;
    SELECT id INTO known
      FROM public.crm_contact_points
     WHERE organization_id = p_contact.organization_id AND contact_id = p_contact.id AND kind = p_kind AND value_key = lower(p_value);
    IF known IS NULL THEN
        UPDATE public.crm_contact_points
           SET value = p_value
         WHERE organization_id = p_contact.organization_id AND contact_id = p_contact.id AND kind = p_kind AND is_primary;
        RETURN;
    END IF;
    UPDATE public.crm_contact_points
       SET is_primary = false
     WHERE organization_id = p_contact.organization_id AND contact_id = p_contact.id AND kind = p_kind AND is_primary AND id <> known;
    UPDATE public.crm_contact_points
       SET is_primary = true, value = p_value
     WHERE organization_id = p_contact.organization_id AND id = known AND (NOT is_primary OR value <> p_value);
END
$$;

CREATE FUNCTION app.follow_primary_company(p_contact public.crm_contacts) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    known uuid;
BEGIN
    SELECT id INTO known
      FROM public.crm_contact_companies
     WHERE organization_id = p_contact.organization_id AND contact_id = p_contact.id AND company_id = p_contact.company_id;
    IF known IS NULL THEN
        -- What somebody was at the one company says nothing of the other.
        DELETE FROM public.crm_contact_companies
         WHERE organization_id = p_contact.organization_id AND contact_id = p_contact.id AND is_primary;
        RETURN;
    END IF;
    UPDATE public.crm_contact_companies
       SET is_primary = false
     WHERE organization_id = p_contact.organization_id AND contact_id = p_contact.id AND is_primary AND id <> known;
    UPDATE public.crm_contact_companies
       SET is_primary = true
     WHERE organization_id = p_contact.organization_id AND id = known AND NOT is_primary;
END
$$;

CREATE FUNCTION app.follow_primaries() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NEW.email IS DISTINCT FROM OLD.email THEN
        PERFORM app.follow_primary_point(NEW, 'email', NEW.email);
    END IF;
    IF NEW.phone IS DISTINCT FROM OLD.phone THEN
        PERFORM app.follow_primary_point(NEW, 'phone', NEW.phone);
    END IF;
    IF NEW.company_id IS DISTINCT FROM OLD.company_id THEN
        PERFORM app.follow_primary_company(NEW);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER follow_primaries AFTER UPDATE OF email, phone, company_id ON crm_contacts
    FOR EACH ROW
    WHEN ((NEW.email, NEW.phone, NEW.company_id) IS DISTINCT FROM (OLD.email, OLD.phone, OLD.company_id))
    EXECUTE FUNCTION app.follow_primaries();

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION
    app.follow_primary_point(public.crm_contacts, text, text), app.follow_primary_company(public.crm_contacts) TO crm_app, crm_definer;
