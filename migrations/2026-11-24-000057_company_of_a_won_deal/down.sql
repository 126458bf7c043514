-- As before: the program says which company it is, and the stage alone is read under the lock.
CREATE OR REPLACE FUNCTION app.guard_project() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    is_new         boolean := TG_OP = 'INSERT';
    sold           record;
    manager_status text;
BEGIN
    IF is_new OR NEW.company_id IS DISTINCT FROM OLD.company_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_companies', NEW.company_id, 'company_id');
    END IF;
    IF is_new OR NEW.deal_id IS DISTINCT FROM OLD.deal_id THEN
        PERFORM app.require_parent(NEW.organization_id, TG_TABLE_NAME, 'public.crm_deals', NEW.deal_id, 'deal_id');
    END IF;

    IF NOT is_new AND OLD.origin = 'won_deal' AND NEW.deal_id IS DISTINCT FROM OLD.deal_id THEN
        RAISE EXCEPTION 'a project that came from a deal keeps it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_kept', COLUMN = 'deal_id', TABLE = TG_TABLE_NAME;
    ELSIF is_new AND NEW.origin = 'won_deal' THEN
        -- Held until this transaction ends: a deal is not opened again between the look and the project.
        SELECT pipeline_id, stage INTO sold
          FROM public.crm_deals
         WHERE organization_id = NEW.organization_id AND id = NEW.deal_id
           FOR SHARE;
        IF app.stage_outcome(NEW.organization_id, sold.pipeline_id, sold.stage) IS DISTINCT FROM 'won' THEN
            RAISE EXCEPTION 'the deal is not won'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'deal_not_won', COLUMN = 'deal_id', TABLE = TG_TABLE_NAME;
        END IF;
    END IF;

    -- As guard_record() has it for owners.
    IF NEW.project_manager_id IS NOT NULL AND (is_new OR NEW.project_manager_id IS DISTINCT FROM OLD.project_manager_id) THEN
        SELECT status INTO manager_status
          FROM public.memberships
         WHERE organization_id = NEW.organization_id AND user_id = NEW.project_manager_id;
        IF manager_status IS NULL THEN
            RAISE EXCEPTION 'no such member'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'crm_projects_project_manager_id_fkey',
                      COLUMN = 'project_manager_id', TABLE = TG_TABLE_NAME;
        ELSIF manager_status <> 'active' THEN
            RAISE EXCEPTION 'the project manager is not an active member'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'member_not_active', COLUMN = 'project_manager_id',
                      TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

SELECT app.seal_functions();
