-- Pipelines of one's own: owners and admins make and change them, with their stages.
--
-- What must stay true:
--   * A stage keeps its outcome as long as it is there, because the closing dates of its deals were checked against it. A deal that is
--     being written holds its stage, so that nobody takes the stage away and puts another of the same name in its place meanwhile.
--   * A pipeline with living deals in it is not deleted, and the default one never is.
--   * A change of the stages is a change of their pipeline: it has a new version.

-- Counts the changes of the stages, so that `touch` sees them.
ALTER TABLE crm_pipelines ADD COLUMN stages_version integer NOT NULL DEFAULT 1;
SELECT app.install_tracking('crm_pipelines', 'pipeline', 'r.name');
SELECT app.install_query_view('crm_pipelines', 'q_pipelines');
GRANT UPDATE (stages_version) ON crm_pipelines TO crm_app;

-- NULL: the probability decides.
ALTER TABLE crm_pipeline_stages
    ADD COLUMN forecast_category varchar(10),
    ADD CONSTRAINT crm_pipeline_stages_forecast_category_known
        CHECK (forecast_category IN ('commit', 'best_case', 'pipeline', 'omitted')),
    ADD CONSTRAINT crm_pipeline_stages_forecast_category_open CHECK (forecast_category IS NULL OR outcome = 'open');
SELECT app.install_tracking(
    'crm_pipeline_stages', 'pipeline_stage', 'r.label',
    entity_id => 'r.pipeline_id', subject_type => '''pipeline''', subject_id => 'r.pipeline_id');
SELECT app.install_query_view('crm_pipeline_stages', 'q_pipeline_stages');
GRANT INSERT (forecast_category), UPDATE (forecast_category) ON crm_pipeline_stages TO crm_app;

REVOKE UPDATE (outcome) ON crm_pipeline_stages FROM crm_app;

-- KEY SHARE is what the foreign key takes a moment later anyway. It lets label, probability and position change. Before guard_20_deal,
-- which reads the outcome; not of a deal that stays where it is, so that writers of one stage do not meet at its row.
CREATE FUNCTION app.hold_stage() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    PERFORM FROM public.crm_pipeline_stages
      WHERE organization_id = NEW.organization_id
        AND pipeline_id = coalesce(NEW.pipeline_id, (
                SELECT id
                  FROM public.crm_pipelines
                 WHERE organization_id = NEW.organization_id AND is_default AND deleted_at IS NULL))
        AND key = NEW.stage
        FOR KEY SHARE;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_15_stage BEFORE INSERT OR UPDATE OF pipeline_id, stage ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.hold_stage();
GRANT UPDATE (label) ON crm_pipeline_stages TO crm_definer;  -- a lock needs the right to write

CREATE FUNCTION app.guard_pipeline() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN
        NEW.deleted_at := now();
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
CREATE TRIGGER guard_20_pipeline BEFORE UPDATE OF deleted_at ON crm_pipelines
    FOR EACH ROW EXECUTE FUNCTION app.guard_pipeline();

SELECT app.seal_functions();
