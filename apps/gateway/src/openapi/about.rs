//! What stands at the head of the document: what the API is, the conventions that every operation keeps, the groups of operations.

use serde_json::{Value, json};

/// The conventions, so that the sentences of single operations need not repeat them.
const DESCRIPTION: &str = "\
A multi-tenant CRM: every request acts within the one organisation of its access token.

**Authentication.** Log in with `POST /api/v1/auth/login` and send the access token as `Authorization: Bearer <token>`. \
A token that is missing, expired or damaged is 401 with `WWW-Authenticate`; a right one that may not do this is 403. \
A record of another organisation is answered exactly like one that never was: 404. Each operation says who may call it, and \
its name (`company:list`) is what API tokens and narrowed tokens are limited to.

**Order of refusals.** 401, then 400 for what cannot be understood, 404, 403, 412, 422 for values that break a rule (all of them \
at once), 409 for what collides with something that exists.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`; `errors` names every bad field by a JSON pointer into the \
body, or by the name of its parameter. `request_id` is also the answer's header `X-Request-Id`; a client may choose it.

**HEAD** is answered wherever GET is, as GET without the body.

**Values.** Ids are UUIDs, of version 7 where the server makes them. Moments are RFC 3339 in UTC. Amounts of money are text with an \
exact decimal; requests may send a number too. A number that would be rounded is refused: whole ones have 64 bits, others what a \
double precision number gives back. Text cannot hold U+0000. What an operation \
does not take is refused by name, never ignored: an unknown field, an unknown parameter, a body, a header such as `If-Match`.

**Lists** come in pages: `limit`, then `cursor` with `page.next_cursor` of the page before. Every field that filters is a parameter; \
repeated, it means any of the values. A cursor goes on in its own list, with the filter and the order that it came from. `filter` takes a condition of the filter language. `sort` takes one key. `fields` and `include` \
choose the shape of the records. Custom fields that the organisation has defined filter and sort like others, by names such as \
`custom_fields.region`, which cannot stand in this document.

**Concurrency.** Records carry a `version` and answers an `ETag`. A change with `If-Match` is 412 when the record has another version by \
now, or when there is none; without it the change applies to whatever is there. `If-None-Match` makes a read 304 when nothing has changed.

**Changes.** `PUT` replaces every editable field; `PATCH` is a JSON Merge Patch (RFC 7396); `DELETE` of a record of the CRM moves it \
to the bin, from which `restore` brings it back. A POST with an `Idempotency-Key` may be sent again for 24 hours: the same body gets \
the first answer again, with `Idempotency-Replayed`; another one is 422; one that is still under way is 409. `bulk` takes a thousand \
changes at once.

**Limits.** A body may have 2 MiB, one of `bulk` 8 MiB; an address with its parameters 16 KiB (414); 64 headers 32 KiB (431). Requests \
are counted by address, by caller and by organisation: `RateLimit` says how many are left, `RateLimit-Policy` how many there are, and \
beyond them comes 429 with `Retry-After`. An address beyond 64 KiB, or a head beyond 128 KiB or 96 headers, ends the connection, with 400 or 431 and no body.";

/// The groups of operations, in the order in which they are read.
const TAGS: &[(&str, &str)] = &[
    ("Account", "Signing up, the password, the address: what belongs to a person and not to an organisation."),
    ("Session", "Coming in, staying, leaving: logins, refreshed tokens, sessions, the keys that verify tokens."),
    ("Second factor", "What somebody proves oneself with beside the password."),
    ("External identities", "Coming in with a token of another identity provider."),
    ("API tokens", "Tokens of programs, which can be limited to operations and kinds of records."),
    ("Organization", "The organisation of the token and its security settings."),
    ("Members", "Who belongs to the organisation, and what becomes of the records of who leaves."),
    ("Invitations", "Who is asked in, and how they accept."),
    ("Service users", "Members that are programs."),
    ("Teams", "Groups of members."),
    ("Audit", "What concerns security."),
    ("Companies", "Organisations that we deal with."),
    ("Contacts", "People that we deal with."),
    ("Deals", "What may be sold, and where it stands."),
    ("Pipelines", "The stages that deals go through."),
    ("Products", "What is sold, for the lines of deals."),
    ("Exchange rates", "What other currencies are worth in the organisation's own, by day."),
    ("Projects", "Work for companies, and for the deals that sold it."),
    ("Notes", "What somebody wrote about a record, in Markdown."),
    ("Tasks", "What somebody is to do, by when, and about which record."),
    ("Campaigns", "What is done to win people over, who takes part, and what comes of it."),
    ("Custom fields", "What the organisation defines beside the fields of its records."),
    ("Activities", "The log of what happened, written by the system alone."),
];

/// Fills the head of the document.
pub fn describe(document: &mut Value) {
    // The generator speaks 3.0; what a client generator cannot read of 3.1 is more than what 3.1 would say better.
    document["openapi"] = json!("3.0.3");
    document["info"] = json!({
        "title": "Ascendore CRM",
        "version": env!("CARGO_PKG_VERSION"),
        "description": DESCRIPTION,
        "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "The server that this document comes from." }]);
    let tags = TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description }));
    document["tags"] = tags.collect();
    document["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http", "scheme": "bearer", "bearerFormat": "biscuit",
            "description": "The access token of a login, an API token, or either of them narrowed by its holder.",
        },
    });
}
