-- What the statements of a fill are made of. Temporary: it goes with the connection.
-- Must stay true: everything follows from the number of a record alone, so that two runs make the same organisation.

-- A number below `below`, another one for each `salt`.
CREATE FUNCTION pg_temp.chance(number bigint, salt bigint, below bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
AS $$ SELECT (hashint8extended(number, salt) & 9007199254740991) % below $$;

-- The day on which everything stands still.
CREATE FUNCTION pg_temp.standing() RETURNS timestamptz LANGUAGE sql IMMUTABLE
AS $$ SELECT '2026-11-01T00:00:00Z'::timestamptz $$;

-- The six years before it; number `number` of `total` in their order.
CREATE FUNCTION pg_temp.moment(number bigint, total bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
AS $$ SELECT pg_temp.standing() - make_interval(secs => 189345600.0 * (total - number) / total) $$;

-- Some time between the making of a record and that day.
CREATE FUNCTION pg_temp.changed(number bigint, total bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
AS $$
SELECT pg_temp.moment(number, total)
     + (pg_temp.standing() - pg_temp.moment(number, total)) * pg_temp.chance(number, 13, 1000) / 1000
$$;

-- A UUIDv7 of that moment.
CREATE FUNCTION pg_temp.id(kind text, number bigint, total bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
AS $$
SELECT (lpad(to_hex((extract(epoch FROM pg_temp.moment(number, total)) * 1000)::bigint), 12, '0')
        || '7' || substr(digest, 1, 3) || '8' || substr(digest, 4, 15))::uuid
  FROM md5(kind || number || '/' || total) AS digest
$$;

-- A parent that is not in the bin: there lies every fiftieth.
CREATE FUNCTION pg_temp.living(number bigint, total bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN number % 50 = 7 THEN number - 1 WHEN number > total THEN total ELSE number END $$;

-- The record that `number` refers to.
CREATE FUNCTION pg_temp.company(number bigint, salt bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
AS $$
SELECT pg_temp.id('company', pg_temp.living(1 + pg_temp.chance(number, salt, pg_temp.companies()), pg_temp.companies()), pg_temp.companies())
$$;

CREATE FUNCTION pg_temp.contact(number bigint, salt bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
AS $$
SELECT pg_temp.id('contact', pg_temp.living(1 + pg_temp.chance(number, salt, pg_temp.contacts()), pg_temp.contacts()), pg_temp.contacts())
$$;

CREATE FUNCTION pg_temp.deal(number bigint, salt bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
AS $$ SELECT pg_temp.id('deal', pg_temp.living(1 + pg_temp.chance(number, salt, pg_temp.deals()), pg_temp.deals()), pg_temp.deals()) $$;

CREATE FUNCTION pg_temp.campaign(number bigint, salt bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
AS $$
SELECT pg_temp.id('campaign', pg_temp.living(1 + pg_temp.chance(number, salt, pg_temp.campaigns()), pg_temp.campaigns()), pg_temp.campaigns())
$$;

CREATE FUNCTION pg_temp.tags(number bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE
AS $$
SELECT CASE WHEN pg_temp.chance(number, 31, 100) < 40 THEN '[]'::jsonb ELSE '["newsletter"]' END
    || CASE WHEN pg_temp.chance(number, 32, 200) = 0 THEN '["vip"]'::jsonb ELSE '[]' END
    || jsonb_build_array('tag ' || pg_temp.chance(number, 33, 400))
$$;

-- In the bin lies every fiftieth.
CREATE FUNCTION pg_temp.deleted(number bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
AS $$ SELECT CASE WHEN number % 50 = 7 THEN pg_temp.standing() END $$;
