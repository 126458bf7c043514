CREATE OR REPLACE FUNCTION app.place_deal() RETURNS trigger
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
DROP FUNCTION app.position_above(text);
SELECT app.seal_functions();
