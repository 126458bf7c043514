-- Who comes into a stage without being placed stands on top, also above those that people have dragged there.
--
-- What must stay true:
--   * app.top_position is smaller the later it is, but a card that somebody drags to the top of others stands above all that come later by
--     the clock. So a newcomer takes the clock's place where that is above all others, and else one above the topmost.
--   * Two that come at once wait for nobody: each looks at what is there, and may come to the same place as the other; their ids decide.

-- A place right above this one, as position.rs finds it: a step of the last of 15 digits behind the leading zeros. Halving would grow by a
-- digit with every fourth who comes.
CREATE FUNCTION app.position_above(p_position text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT zeros || lpad(to_hex(('x0' || digits)::bit(64)::bigint - 1), 15, '0') || '8'
      FROM (SELECT substring(p_position FROM '^0*') AS zeros, rpad(ltrim(p_position, '0'), 15, '0') AS digits) AS split
$$;

CREATE OR REPLACE FUNCTION app.place_deal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    topmost text COLLATE "C";
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.board_position := app.top_position(NEW.created_at);
    ELSIF (NEW.pipeline_id, NEW.stage) <> (OLD.pipeline_id, OLD.stage) AND NEW.board_position = OLD.board_position THEN
        NEW.board_position := app.top_position(clock_timestamp());
    ELSE
        RETURN NEW;
    END IF;
    SELECT board_position
      INTO topmost
      FROM public.crm_deals
     WHERE organization_id = NEW.organization_id
       AND pipeline_id = NEW.pipeline_id
       AND stage = NEW.stage
       AND deleted_at IS NULL
     ORDER BY board_position, id
     LIMIT 1;
    IF topmost < NEW.board_position THEN
        NEW.board_position := app.position_above(topmost);
    END IF;
    RETURN NEW;
END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.position_above(text) TO crm_definer;
