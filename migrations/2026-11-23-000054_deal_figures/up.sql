-- What living deals come to, kept beside them: counts and sums by stage and owner, and by stage and month. ADR 0047.
--
-- What must stay true:
--   * The sum of all rows of a group is what the deals of that group come to, in every transaction, whoever writes.
--   * Writers of deals never wait for each other here: a change adds a row with the difference. Rows of one group are folded into one by
--     whichever writer finds nobody else at it.

CREATE TABLE crm_deal_figures (
    organization_id    uuid        NOT NULL,
    seq                bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    grouping           varchar(10) NOT NULL,
    pipeline_id        uuid        NOT NULL,
    stage              varchar(50) NOT NULL,
    owner_id           uuid,        -- of the grouping by owner; NULL: nobody's
    month              varchar(10), -- of the grouping by month: 2017-03; NULL: no date
    deals              bigint      NOT NULL,
    with_amount        bigint      NOT NULL,
    with_base_amount   bigint      NOT NULL,
    base_amount        numeric     NOT NULL,
    weighted_amount    numeric     NOT NULL, -- a hundred times too large: probabilities are percents
    CONSTRAINT crm_deal_figures_pkey PRIMARY KEY (organization_id, seq),
    CONSTRAINT crm_deal_figures_grouping_known CHECK (grouping IN ('owner', 'month')),
    CONSTRAINT crm_deal_figures_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
CREATE INDEX crm_deal_figures_grouping ON crm_deal_figures (organization_id, grouping);
ALTER TABLE crm_deal_figures SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

SELECT app.secure_table('crm_deal_figures');
SELECT app.install_query_view('crm_deal_figures', 'q_deal_figures');
GRANT SELECT ON crm_deal_figures TO crm_app;
GRANT INSERT, DELETE ON crm_deal_figures TO crm_definer;
GRANT USAGE ON SEQUENCE crm_deal_figures_seq_seq TO crm_definer;

-- Adds the same rows together, if nobody else does so for this organisation now. Groups that came to nothing go.
CREATE FUNCTION app.fold_deal_figures(p_org uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('app.fold_deal_figures ' || p_org::text, 0)) THEN
        RETURN;
    END IF;
    WITH folded AS (
        DELETE FROM public.crm_deal_figures WHERE organization_id = p_org RETURNING *
    )
    INSERT INTO public.crm_deal_figures (
        organization_id, grouping, pipeline_id, stage, owner_id, month,
        deals, with_amount, with_base_amount, base_amount, weighted_amount)
    SELECT organization_id, grouping, pipeline_id, stage, owner_id, month,
           sum(deals), sum(with_amount), sum(with_base_amount), sum(base_amount), sum(weighted_amount)
      FROM folded
     GROUP BY organization_id, grouping, pipeline_id, stage, owner_id, month
    HAVING (sum(deals), sum(with_amount), sum(with_base_amount), sum(base_amount), sum(weighted_amount)) <> (0, 0, 0, 0, 0);
END
$$;

-- One statement's difference, in as few rows as it has groups. What changes nothing here adds nothing. Three functions from one text: a
-- trigger has only the rows that its statement has, and a text put together at every write would be planned at every write.
DO $do$
DECLARE
    columns constant text := 'organization_id, pipeline_id, stage, owner_id, amount, base_amount, probability,
                    to_char(coalesce(actual_close_date, expected_close_date)::timestamp, ''YYYY-MM'') AS month';
    before_rows constant text := format('SELECT -1 AS sign, %s FROM oldtab WHERE deleted_at IS NULL', columns);
    after_rows  constant text := format('SELECT 1 AS sign, %s FROM newtab WHERE deleted_at IS NULL', columns);
    command text;
    rows    text;
BEGIN
    FOREACH command IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
        rows := CASE command
            WHEN 'insert' THEN after_rows
            WHEN 'delete' THEN before_rows
            ELSE before_rows || ' UNION ALL ' || after_rows
        END;
        EXECUTE format($create$
CREATE FUNCTION app.count_deals_%1$s() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $body$
DECLARE
    added bigint;
BEGIN
    INSERT INTO public.crm_deal_figures (
        organization_id, grouping, pipeline_id, stage, owner_id, month,
        deals, with_amount, with_base_amount, base_amount, weighted_amount)
    SELECT organization_id, CASE WHEN grouping(month) = 1 THEN 'owner' ELSE 'month' END, pipeline_id, stage, owner_id, month,
           sum(sign), sum(sign * (amount IS NOT NULL)::integer), sum(sign * (base_amount IS NOT NULL)::integer),
           sum(sign * coalesce(base_amount, 0)), sum(sign * coalesce(base_amount, 0) * probability)
      FROM (%2$s) AS deal
     GROUP BY GROUPING SETS ((organization_id, pipeline_id, stage, owner_id), (organization_id, pipeline_id, stage, month))
    HAVING (sum(sign), sum(sign * (amount IS NOT NULL)::integer), sum(sign * (base_amount IS NOT NULL)::integer),
            sum(sign * coalesce(base_amount, 0)), sum(sign * coalesce(base_amount, 0) * probability)) <> (0, 0, 0, 0, 0);
    GET DIAGNOSTICS added = ROW_COUNT;
    -- Whoever adds a row whose number is a multiple of 512 tidies up, so that readers never add up many.
    IF added > 0 AND currval('public.crm_deal_figures_seq_seq') %% 512 < added THEN
        PERFORM app.fold_deal_figures(organization_id) FROM (SELECT DISTINCT organization_id FROM %3$s) AS touched;
    END IF;
    RETURN NULL;
END
$body$
$create$, command, rows, CASE command WHEN 'delete' THEN 'oldtab' ELSE 'newtab' END);
    END LOOP;
END
$do$;

CREATE TRIGGER count_deals_insert AFTER INSERT ON crm_deals
    REFERENCING NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.count_deals_insert();
CREATE TRIGGER count_deals_update AFTER UPDATE ON crm_deals
    REFERENCING OLD TABLE AS oldtab NEW TABLE AS newtab FOR EACH STATEMENT EXECUTE FUNCTION app.count_deals_update();
CREATE TRIGGER count_deals_delete AFTER DELETE ON crm_deals
    REFERENCING OLD TABLE AS oldtab FOR EACH STATEMENT EXECUTE FUNCTION app.count_deals_delete();

INSERT INTO crm_deal_figures (
    organization_id, grouping, pipeline_id, stage, owner_id, month,
    deals, with_amount, with_base_amount, base_amount, weighted_amount)
SELECT organization_id, CASE WHEN grouping(month) = 1 THEN 'owner' ELSE 'month' END, pipeline_id, stage, owner_id, month,
       count(*), count(amount), count(base_amount), coalesce(sum(base_amount), 0), coalesce(sum(base_amount * probability), 0)
  FROM (SELECT *, to_char(coalesce(actual_close_date, expected_close_date)::timestamp, 'YYYY-MM') AS month
          FROM crm_deals WHERE deleted_at IS NULL) AS deal
 GROUP BY GROUPING SETS ((organization_id, pipeline_id, stage, owner_id), (organization_id, pipeline_id, stage, month));

SELECT app.seal_functions();
