-- On companies mostly, and some pinned.
INSERT INTO crm_notes (
    id, content, related_to_type, related_to_id, is_pinned, mentions, owner_id, tags, custom_fields, created_at, updated_at, deleted_at)
SELECT pg_temp.id('note', n, pg_temp.notes()),
       format('Spoke with **%s %s**: %s.', person.first_name, person.surname,
              (ARRAY['wants an offer by the end of the month', 'asked for a lower price', 'is away until Monday', 'will decide with the board',
                     'has chosen somebody else', 'likes what they saw'])[1 + pg_temp.chance(n, 6, 6)]),
       CASE WHEN n % 8 = 0 THEN NULL WHEN n % 3 = 0 THEN 'contact' ELSE 'company' END,
       CASE WHEN n % 8 = 0 THEN NULL WHEN n % 3 = 0 THEN pg_temp.contact(n, 2) ELSE pg_temp.company(n, 3) END,
       n % 500 = 0,
       CASE WHEN n % 100 = 0 THEN jsonb_build_array(mentioned.user_id) ELSE '[]' END,
       CASE WHEN n % 50 = 0 THEN NULL ELSE member.user_id END,
       pg_temp.tags(n),
       jsonb_build_object('source_id', 'N' || n),
       pg_temp.moment(n, pg_temp.notes()),
       pg_temp.changed(n, pg_temp.notes()),
       pg_temp.deleted(n)
  FROM generate_series($1::bigint, $2::bigint) AS n
  JOIN pg_temp.words AS person ON person.place = pg_temp.chance(n, 1, 4096)
  JOIN pg_temp.members AS member ON member.place = pg_temp.chance(n, 4, 200)
  JOIN pg_temp.members AS mentioned ON mentioned.place = pg_temp.chance(n, 5, 200)
