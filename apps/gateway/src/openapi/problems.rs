//! Which problems an operation can answer with: from what it takes, from the policy, and from one table for what neither can know.
//!
//! Must stay true: no answer that is not in the document, and none in the document that cannot come. A test calls every operation in
//! good and in bad ways and compares.

use serde_json::{Map, Value, json};

use super::operations::Facts;

/// What stands behind a code: its status, and a sentence on when it comes.
const CODES: &[(&str, u16, &str)] = &[
    ("malformed", 400, "The request cannot be understood; `errors` names every part."),
    ("unauthenticated", 401, "No valid credentials."),
    ("second_factor_missing", 401, "A code of the second factor is asked for: send it as `code`."),
    ("forbidden", 403, "Your role or this token may not do this."),
    ("second_factor_required", 403, "The organisation lets in only sessions that have given a second factor."),
    ("not_linked", 403, "The external identity is linked to nobody."),
    ("not_found", 404, "Not there, or not yours to see: the two cannot be told apart."),
    ("too_slow", 408, "The body did not arrive in time."),
    ("conflict", 409, "Collides with something that exists; `errors` names what."),
    ("stale", 412, "Changed since the version that was named; nothing has happened."),
    ("too_large", 413, "The body is larger than 2 MiB, or than 8 MiB where it says many records."),
    ("address_too_long", 414, "The address is longer than 16 KiB: long questions can be sent with POST …/search."),
    ("unsupported_media_type", 415, "The body is not sent as JSON."),
    ("invalid", 422, "Values that break a rule; `errors` names all of them."),
    ("too_costly", 422, "It would read too many records: `errors` names what no index answers, and what to narrow by."),
    ("limited", 429, "Too much; `Retry-After` says when to try again."),
    ("headers_too_large", 431, "More than 64 headers, or more than 32 KiB of them."),
    ("internal", 500, "A fault of ours; the request id helps us find out what."),
    ("unavailable", 503, "Something needed is away for the moment; try again."),
    ("question_too_slow", 503, "It did not finish in the time that a request may take: narrow the question."),
];

/// Codes that are in the answer by another name than in this file, because two of them share it.
fn written(code: &str) -> &str {
    if code == "second_factor_missing" { "second_factor_required" } else { code }
}

/// Problems that follow from what an operation does, and from nothing that could be read: by the name of the operation, or by the end of
/// its name (`:restore`).
const BESIDES: &[(&str, &[&str])] = &[
    ("session:login", &["unauthenticated", "second_factor_missing"]),
    ("session:refresh", &["unauthenticated"]),
    ("session:exchange", &["unauthenticated", "second_factor_missing", "not_linked"]),
    ("session:switch", &["not_found"]),
    ("account:register", &["forbidden", "conflict"]),
    ("account:confirm", &["conflict"]),
    ("account:confirm_email", &["conflict"]),
    ("api_token:create", &["conflict"]),
    ("external_identity:link", &["unauthenticated", "conflict"]),
    ("external_identity:unlink", &["conflict"]),
    ("invitation:look", &["not_found"]),
    ("invitation:accept", &["unauthenticated", "second_factor_missing", "not_found", "conflict"]),
    ("invitation:join", &["not_found", "conflict"]),
    ("invitation:revoke", &["conflict"]),
    ("invitation:resend", &["conflict"]),
    ("second_factor:enroll", &["conflict"]),
    ("second_factor:disable", &["second_factor_missing", "not_found", "conflict"]),
    ("second_factor:confirm", &["not_found", "conflict"]),
    ("second_factor:replace", &["second_factor_missing", "not_found", "conflict"]),
    ("second_factor:verify", &["second_factor_missing", "not_found", "conflict"]),
    ("second_factor:renew_codes", &["second_factor_missing", "not_found", "conflict"]),
    ("service_user:mint", &["conflict"]),
    ("organization:delete", &["invalid"]),
    ("member:leave", &["conflict"]),
    ("member:remove", &["invalid", "conflict"]),
    ("member:reassign", &["conflict"]),
    (":create", &["conflict"]),
    (":replace", &["conflict"]),
    (":update", &["conflict"]),
    (":restore", &["invalid", "conflict"]),
    (":upsert", &["conflict"]),
    (":attach", &["invalid", "conflict"]),
    ("pipeline:delete", &["conflict"]),
    // With `atomic` it is answered like the operation at fault.
    (":bulk", &["stale", "too_costly"]),
    // What is asked with a filter is judged before it runs.
    ("company:list", &["too_costly"]),
    ("contact:list", &["too_costly"]),
    ("deal:list", &["too_costly"]),
    ("deal:pipeline", &["too_costly"]),
    ("deal:forecast", &["too_costly"]),
    ("deal:win_loss", &["too_costly"]),
    ("deal:board", &["too_costly"]),
    ("product:list", &["too_costly"]),
    ("exchange_rate:list", &["too_costly"]),
    ("contact:write_points", &["conflict"]),
    ("project:list", &["too_costly"]),
    ("task:list", &["too_costly"]),
    ("note:list", &["too_costly"]),
    ("campaign:list", &["too_costly"]),
    ("campaign_contact:list", &["too_costly"]),
    ("campaign_contact:add", &["too_costly"]),
    ("campaign_contact:remove", &["too_costly"]),
    ("activity:list", &["too_costly"]),
    ("audit:list", &["too_costly"]),
    ("custom_field:retire", &["conflict"]),
    ("custom_field:reinstate", &["conflict"]),
    ("custom_field:convert", &["conflict"]),
    (":move", &["conflict"]),
];

/// The problems of an operation, in the order of their statuses.
pub fn of(facts: &Facts) -> Vec<&'static (&'static str, u16, &'static str)> {
    let besides = BESIDES.iter().filter(|(name, _)| facts.name == *name || name.starts_with(':') && facts.name.ends_with(name));
    let besides: Vec<&str> = besides.flat_map(|(_, codes)| codes.iter().copied()).collect();
    let can = |code: &str| match code {
        "unauthenticated" | "forbidden" | "second_factor_required" => !facts.is_public,
        // Who brings a name that is new makes a record; what was made with a key may be gone when the request comes again.
        "not_found" => facts.has_id && !facts.name.ends_with(":upsert") || facts.takes_key,
        "too_slow" | "too_large" | "unsupported_media_type" => facts.takes_body,
        // A key that came with another body, or whose request is under way.
        "invalid" => facts.takes_body || facts.takes_key,
        "conflict" => facts.takes_key,
        "stale" => facts.takes_version,
        // Of every request: what it brings that is not taken, how large it is, how many there are, and whether we can answer.
        "malformed" | "address_too_long" | "limited" | "headers_too_large" | "internal" | "unavailable" | "question_too_slow" => {
            true
        }
        _ => false,
    };
    CODES.iter().filter(|(code, ..)| can(code) || besides.contains(code)).collect()
}

/// The answer for these codes of one status.
pub fn answer(codes: &[&(&str, u16, &str)]) -> Value {
    let sentences: Vec<&str> = codes.iter().map(|(_, _, sentence)| *sentence).collect();
    let (words, status): (Vec<&str>, _) =
        (codes.iter().map(|(code, ..)| written(code)).collect(), codes.first().map(|known| known.1));
    let names_fields = words.iter().all(|word| ["malformed", "invalid", "conflict", "too_costly"].contains(word));
    let mut narrowed = json!({
        "type": "object",
        "properties": { "status": { "type": "integer", "enum": [status] }, "code": { "type": "string", "enum": words } },
    });
    if names_fields {
        narrowed["required"] = json!(["errors"]);
    }
    json!({
        "description": sentences.join(" "),
        "headers": headers(status.unwrap_or_default()),
        "content": { "application/problem+json": {
            "schema": { "allOf": [{ "$ref": "#/components/schemas/Problem" }, narrowed] },
        } },
    })
}

/// What an answer of these codes is called among the components: `UnauthenticatedOrSecondFactorMissing`.
pub fn name(codes: &[&(&str, u16, &str)]) -> String {
    let capital = |word: &str| word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default();
    let named = |code: &str| code.split('_').map(capital).collect::<String>();
    codes.iter().map(|(code, ..)| named(code)).collect::<Vec<_>>().join("Or")
}

fn headers(status: u16) -> Map<String, Value> {
    super::operations::header_references(match status {
        401 => &["WWW-Authenticate"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    })
}
