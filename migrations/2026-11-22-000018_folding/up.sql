-- Folding: what "contains" of the filter language compares, so that `soren` finds Søren and `muller` finds Müller.
--
-- What must stay true: crm_kernel's `fold` gives the same answer, character by character, for every letter that both sides'
-- Unicode knows; a test compares them.

-- Accents are taken off, then case, then what Unicode does not take apart: strokes through letters, and letters joined. Texts
-- in ASCII, which most are, take the short way.
CREATE FUNCTION app.fold(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
SELECT CASE WHEN octet_length(value) = length(value) THEN lower(value COLLATE "C")
       ELSE replace(replace(replace(translate(
                lower(regexp_replace(normalize(value, NFD), '[\u0300-\u036f]', '', 'g')),
                'łøđħŧı', 'lodhti'),
                'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe')
       END
$$;

SELECT app.seal_functions();
GRANT EXECUTE ON FUNCTION app.fold(text) TO crm_app;
