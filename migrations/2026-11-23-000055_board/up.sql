-- Where a deal stands among the others of its stage.
--
-- What must stay true:
--   * A position is a fraction between 0 and 1 in hexadecimal digits without the "0.", not ending in 0: there is always one between two
--     others, so that placing a deal writes that deal alone. Two deals may have the same one; their ids decide then.
--   * Who comes into a stage without being placed stands on top.

CREATE FUNCTION app.top_position(p_moment timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- Later is smaller; the last digit keeps it from ending in 0.
    SELECT lpad(to_hex(9223372036854775807 - (extract(epoch FROM p_moment) * 1000000)::bigint), 16, '0') || '8'
$$;

ALTER TABLE crm_deals ADD COLUMN board_position varchar(1000) COLLATE "C";
ALTER TABLE crm_deals DISABLE TRIGGER USER;
UPDATE crm_deals SET board_position = app.top_position(created_at);
ALTER TABLE crm_deals ENABLE TRIGGER USER;
ALTER TABLE crm_deals
    ALTER COLUMN board_position SET NOT NULL,
    ALTER COLUMN board_position SET DEFAULT '8', -- where the guard sleeps
    ADD CONSTRAINT crm_deals_board_position_fraction CHECK (board_position ~ '^[0-9a-f]*[1-9a-f]$');
CREATE INDEX crm_deals_board ON crm_deals (organization_id, pipeline_id, stage, board_position, id) WHERE deleted_at IS NULL;
SELECT app.install_tracking('crm_deals', 'deal', 'r.name', status_column => 'stage');
SELECT app.install_query_view('crm_deals', 'q_deals');
GRANT UPDATE (board_position) ON crm_deals TO crm_app;

CREATE FUNCTION app.place_deal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.board_position := app.top_position(NEW.created_at);
    ELSIF (NEW.pipeline_id, NEW.stage) <> (OLD.pipeline_id, OLD.stage) AND NEW.board_position = OLD.board_position THEN
        NEW.board_position := app.top_position(clock_timestamp());
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER guard_30_place BEFORE INSERT OR UPDATE OF pipeline_id, stage ON crm_deals
    FOR EACH ROW EXECUTE FUNCTION app.place_deal();

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.top_position(timestamptz) TO crm_definer;
