-- Pipelines and their stages.
--
-- What must stay true:
--   * Every organisation begins with one pipeline of six stages, and has at most one living default.
--   * A stage that deals stand in keeps its outcome: their closing dates depend on it.
--   * Only owners and admins write here.

CREATE TABLE crm_pipelines (
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    name            varchar(255) NOT NULL,
    is_default      boolean      NOT NULL DEFAULT false,
    position        integer      NOT NULL DEFAULT 0,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    updated_at      timestamptz  NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    version         integer      NOT NULL DEFAULT 1,
    CONSTRAINT crm_pipelines_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_pipelines_name_length CHECK (length(btrim(name)) > 0),
    CONSTRAINT crm_pipelines_is_default_live CHECK (NOT is_default OR deleted_at IS NULL),
    CONSTRAINT crm_pipelines_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
CREATE UNIQUE INDEX crm_pipelines_one_default ON crm_pipelines (organization_id)
    WHERE is_default AND deleted_at IS NULL;

CREATE TABLE crm_pipeline_stages (
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    pipeline_id     uuid         NOT NULL,
    key             varchar(50)  NOT NULL,
    label           varchar(100) NOT NULL,
    position        integer      NOT NULL DEFAULT 0,
    probability     integer      NOT NULL DEFAULT 0,
    outcome         varchar(10)  NOT NULL DEFAULT 'open',
    rotting_days    integer,
    CONSTRAINT crm_pipeline_stages_pkey PRIMARY KEY (organization_id, pipeline_id, key),
    CONSTRAINT crm_pipeline_stages_key_format CHECK (key ~ '^[a-z0-9_]+$'),
    CONSTRAINT crm_pipeline_stages_label_length CHECK (length(btrim(label)) > 0),
    CONSTRAINT crm_pipeline_stages_probability_range CHECK (probability BETWEEN 0 AND 100),
    CONSTRAINT crm_pipeline_stages_outcome_known CHECK (outcome IN ('open', 'won', 'lost')),
    CONSTRAINT crm_pipeline_stages_rotting_days_range CHECK (rotting_days > 0),
    CONSTRAINT crm_pipeline_stages_pipeline_id_fkey FOREIGN KEY (organization_id, pipeline_id)
        REFERENCES crm_pipelines (organization_id, id)
);

SELECT app.secure_table('crm_pipelines', 'manager');
SELECT app.secure_table('crm_pipeline_stages', 'manager', deletable => true);
SELECT app.install_tracking('crm_pipelines', 'pipeline', 'r.name');
-- A stage has no id of its own; its activities carry its pipeline's, and its label says which one it is.
SELECT app.install_tracking(
    'crm_pipeline_stages', 'pipeline_stage', 'r.label',
    entity_id => 'r.pipeline_id', subject_type => '''pipeline''', subject_id => 'r.pipeline_id');
SELECT app.install_query_view('crm_pipelines', 'q_pipelines');
SELECT app.install_query_view('crm_pipeline_stages', 'q_pipeline_stages');

GRANT SELECT, INSERT (id, name, is_default, position), UPDATE (name, is_default, position, deleted_at)
   ON crm_pipelines TO crm_app;
GRANT SELECT, DELETE,
      INSERT (pipeline_id, key, label, position, probability, outcome, rotting_days),
      UPDATE (label, position, probability, outcome, rotting_days)
   ON crm_pipeline_stages TO crm_app;
GRANT INSERT ON crm_pipelines, crm_pipeline_stages TO crm_definer;

CREATE FUNCTION app.make_default_pipeline() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    new_pipeline uuid;
BEGIN
    INSERT INTO public.crm_pipelines (organization_id, name, is_default)
    VALUES (NEW.id, 'Sales pipeline', true)
    RETURNING id INTO new_pipeline;

    INSERT INTO public.crm_pipeline_stages (organization_id, pipeline_id, position, key, label, probability, outcome)
    VALUES (NEW.id, new_pipeline, 1, 'prospecting',   'Prospecting',   10,  'open'),
           (NEW.id, new_pipeline, 2, 'qualification', 'Qualification', 25,  'open'),
           (NEW.id, new_pipeline, 3, 'proposal',      'Proposal',      50,  'open'),
           (NEW.id, new_pipeline, 4, 'negotiation',   'Negotiation',   75,  'open'),
           (NEW.id, new_pipeline, 5, 'closed_won',    'Closed won',    100, 'won'),
           (NEW.id, new_pipeline, 6, 'closed_lost',   'Closed lost',   0,   'lost');
    RETURN NULL;
END
$$;
CREATE TRIGGER make_default_pipeline AFTER INSERT ON organizations
    FOR EACH ROW EXECUTE FUNCTION app.make_default_pipeline();

SELECT app.seal_functions();
