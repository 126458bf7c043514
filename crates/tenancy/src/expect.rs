//! What a query may answer, and what the database's refusals mean to a caller.
//!
//! The database is the last word on rules; their names are the interface: constraints are called
//! `<table>_<column>_<rule>`, and triggers raise with the name of the rule and the column at fault.
//! Must stay true: no text of the database reaches a client, only names that we chose ourselves.

use crm_kernel::{Error, FieldError, Result};
use diesel::{
    QueryResult,
    result::{DatabaseErrorInformation, DatabaseErrorKind as Kind, Error as DieselError},
};

/// A noun, as errors speak of it.
#[derive(Debug, Clone, Copy)]
pub struct Entity {
    /// In prose: `company`.
    pub name: &'static str,
    /// In the database: `crm_companies`.
    pub table: &'static str,
}

/// What is answered to whoever holds an invitation's link and does not prove to own the account of its address.
pub(crate) const UNPROVED: &str = "this address has an account: show its password or external identity, or log in and join";

/// The same for all that can be wrong with a login.
pub(crate) const LOGIN_REFUSED: &str = "e-mail, password or organisation is wrong";

/// The same for all that can be wrong with a refresh token.
pub(crate) const REFRESH_REFUSED: &str = "the refresh token is not valid";

/// The same for all that can be wrong with an external token: whoever tries learns nothing.
pub(crate) const EXTERNAL_REFUSED: &str = "the external token is not accepted";

/// Turns what Diesel returns into what the CRM promises.
pub trait Expect<T> {
    /// Exactly one row; none is `NotFound`.
    ///
    /// # Errors
    /// As the module says.
    fn expect_one(self, entity: Entity) -> Result<T>;

    /// Any number of rows.
    ///
    /// # Errors
    /// As the module says.
    fn expect_any(self, entity: Entity) -> Result<T>;
}

impl<T> Expect<T> for QueryResult<T> {
    fn expect_one(self, entity: Entity) -> Result<T> {
        self.map_err(|error| match error {
            DieselError::NotFound => Error::NotFound(entity.name),
            error => refusal(error, entity.table),
        })
    }

    fn expect_any(self, entity: Entity) -> Result<T> {
        self.map_err(|error| refusal(error, entity.table))
    }
}

/// An error outside any noun.
pub(crate) fn error(error: DieselError) -> Error {
    refusal(error, "")
}

fn refusal(error: DieselError, table: &str) -> Error {
    let DieselError::DatabaseError(kind, information) = &error else {
        return Error::internal(error);
    };
    let constraint = information.constraint_name().unwrap_or_default();
    match kind {
        Kind::UniqueViolation if constraint == "custom_field_unique" => {
            Error::Conflict(custom_fields(information.column_name().unwrap_or_default()))
        }
        Kind::UniqueViolation => Error::Conflict(vec![unique(table, constraint)]),
        Kind::ForeignKeyViolation => Error::Invalid(vec![reference(table, constraint)]),
        Kind::NotNullViolation => {
            let column = information.column_name().unwrap_or_default();
            Error::invalid(format!("/{column}"), "required", "must not be empty")
        }
        Kind::ReadOnlyTransaction => Error::forbidden("this token may only read"),
        Kind::SerializationFailure | Kind::ClosedConnection | Kind::UnableToSendCommand => Error::unavailable(error),
        _ if !constraint.is_empty() => rule(table, constraint, information.as_ref()),
        _ => by_message(error),
    }
}

/// Rules of triggers carry only their name and column; CHECK constraints carry the table in front of both.
fn rule(table: &str, constraint: &str, information: &(dyn DatabaseErrorInformation + Send + Sync)) -> Error {
    match constraint {
        "not_a_member" => return Error::unauthenticated("no longer an active member of this organisation"),
        "token_revoked" => return Error::unauthenticated("the token has been revoked or has expired"),
        "session_ended" => return Error::unauthenticated("the session has ended"),
        "refresh_refused" => return Error::unauthenticated(REFRESH_REFUSED),
        "organization_unknown" => return Error::NotFound("organization"),
        "login_refused" => return Error::unauthenticated(LOGIN_REFUSED),
        "invitation_unknown" => return Error::NotFound("invitation"),
        "invitation_forbidden" => return Error::forbidden("only an owner may invite an owner, or change such an invitation"),
        "invitation_of_another" => return Error::forbidden("this invitation is for another address than yours"),
        "invitation_unproved" => return Error::unauthenticated(UNPROVED),
        "invitation_letters_limited" => return Error::Limited { retry_after_seconds: 3600 },
        "invitation_closed"
        | "invitations_pending_limited"
        | "external_linked"
        | "external_identities_limited"
        | "last_way_in" => {
            return Error::Conflict(vec![FieldError::new("", constraint, sentence(constraint))]);
        }
        "external_refused" => return Error::unauthenticated(EXTERNAL_REFUSED),
        "external_not_linked" => return Error::NotLinked,
        "external_identity_unknown" => return Error::NotFound("external identity"),
        "second_factor_required" => return Error::SecondFactorRequired,
        "second_factor_refused" => return Error::SecondFactorMissing,
        "second_factor_needed" | "second_factor_not_begun" => {
            return Error::Conflict(vec![FieldError::new("", constraint, sentence(constraint))]);
        }
        "restore_forbidden" => return Error::forbidden("only an owner, an admin or the member who deleted it may restore it"),
        "parent_not_yours" => return Error::forbidden("the record this belongs to is not yours"),
        "api_token_forbidden" => return Error::forbidden("an API token may not do this: log in"),
        "api_token_of_another" => return Error::forbidden("tokens are made for oneself or for a service user"),
        "service_user_forbidden" => return Error::forbidden("only an owner or an admin may do this"),
        "too_many_tokens" | "too_many_service_users" | "pipeline_default" | "pipeline_in_use" => {
            return Error::Conflict(vec![FieldError::new("", constraint, sentence(constraint))]);
        }
        "owner_only" => return Error::forbidden("only an owner may do this"),
        "manager_only" => return Error::forbidden("only an owner or an admin may do this"),
        "own_role" => return Error::forbidden("nobody may raise the role of their own"),
        "own_status" => return Error::forbidden("nobody may suspend themselves"),
        "import_forbidden" => return Error::forbidden("only an owner or an admin may import"),
        _ => {}
    }
    if let Some(column) = information.column_name() {
        return Error::invalid(format!("/{column}"), constraint, sentence(constraint));
    }
    let (column, code) = split(table, constraint);
    Error::invalid(format!("/{column}"), code, sentence(code))
}

fn unique(table: &str, constraint: &str) -> FieldError {
    match constraint {
        "invitations_email_member" => return FieldError::new("/email", "member", "this address is a member's already"),
        "invitations_email_open" => {
            return FieldError::new("/email", "invited", "this address is invited already: send another letter");
        }
        "custom_field_duplicates" => return FieldError::new("/unique", "duplicates", "records share a value of this field"),
        "custom_field_busy" => {
            return FieldError::new("/field_type", "busy", "its values are being worked on: try again when that is done");
        }
        _ => {}
    }
    let (column, _) = split(table, constraint);
    // The primary key carries no column name: it is the id that the client chose.
    let column = if column.is_empty() || constraint.ends_with("_pkey") { "id" } else { column };
    FieldError::new(format!("/{column}"), "unique", "another record has this value")
}

/// The trigger names all keys whose values are taken, and does so in the place of a column.
fn custom_fields(keys: &str) -> Vec<FieldError> {
    let taken = |key: &str| FieldError::new(format!("/custom_fields/{key}"), "unique", "another record has this value");
    keys.split(',').map(taken).collect()
}

fn reference(table: &str, constraint: &str) -> FieldError {
    let (column, _) = split(table, constraint);
    FieldError::new(format!("/{column}"), "reference", "no such record")
}

/// `crm_companies_parent_id_fkey` of `crm_companies` is column `parent_id`, rule `fkey`.
fn split<'a>(table: &str, constraint: &'a str) -> (&'a str, &'a str) {
    let own = constraint.strip_prefix(table).map_or(constraint, |rest| rest.trim_start_matches('_'));
    own.rsplit_once('_').unwrap_or(("", own))
}

/// What a rule of the database says to a person; the code is for programs.
fn sentence(code: &str) -> String {
    match code {
        "parent_deleted" => "the record it refers to has been deleted".into(),
        "parent_cycle" => "a company cannot be above itself".into(),
        "second_factor_needed" => "an organisation that you belong to requires a second factor".into(),
        "second_factor_not_begun" => {
            "there is no second factor that this could be about: begin with POST /auth/second-factor".into()
        }
        "parent_depth" => "the hierarchy would be too deep".into(),
        "owner_not_active" => "this member is no longer active".into(),
        "currency_in_use" => "amounts are counted, and exchange rates are said, in the currency that the organisation has".into(),
        "own_currency" => "the organisation's own currency has no rate".into(),
        "time_zone_unknown" => "not a time zone of the IANA database".into(),
        "second_factor_missing" => "log in with a second factor first: whoever requires one must have given one".into(),
        "token_lifetime" => "this organisation wants its tokens to end sooner".into(),
        "last_owner" => "an organisation needs an active owner, and this is the last one".into(),
        "service_owner" => "a service user cannot be an owner".into(),
        "member_removed" => "this member was removed, and can come back by invitation alone".into(),
        "member_not_active" => "not an active member".into(),
        "manager_cycle" => "nobody can be above themselves".into(),
        "manager_depth" => "too many managers would stand above each other".into(),
        "id_not_v7" => "an id sent by a client must be a UUID of version 7".into(),
        "id_from_future" => "this id claims to be from the future".into(),
        "deal_close_date" => "a closed deal has the date of its closing, an open one has none".into(),
        "deal_not_won" => "only a won deal becomes a project".into(),
        "deal_kept" => "a project that came from a deal keeps it".into(),
        "campaign_status_order" => "a campaign goes forward only: planning, active or paused, then completed or cancelled".into(),
        "member_status_order" => "a member of a campaign goes forward only".into(),
        "member_not_opted_out" => "whoever unsubscribes opts out: their contact does".into(),
        "order" => "ends before it begins".into(),
        "completed" => "what is completed has the day of its completion, all else has none".into(),
        "pair" => "a kind of record and its id belong together".into(),
        "day" => "a whole day begins at midnight UTC".into(),
        "due" => "what comes again is due at some time".into(),
        "token_expiry" => "a token lives a year at most".into(),
        "too_many_tokens" => "100 tokens of this person are in use: revoke one first".into(),
        "too_many_service_users" => "there are 100 service users: remove one first".into(),
        "too_many_custom_fields" => {
            "100 custom fields of one kind of record, and 300 with those that are retired, are the most".into()
        }
        "pipeline_default" => "the default pipeline cannot be deleted: make another one the default first".into(),
        "pipeline_in_use" => "deals stand in this pipeline: say where they go (`move_deals_to`), or delete them first".into(),
        "required" => "is required".into(),
        "invitation_expired" => {
            "an owner or admin whose invitation has expired is invited anew, with the password: revoke this one".into()
        }
        "invitation_closed" => "this invitation was accepted, revoked or replaced".into(),
        "invitations_pending_limited" => "500 invitations are pending: revoke some, or wait until they are accepted".into(),
        "external_linked" => "this external identity cannot be linked to you".into(),
        "external_identities_limited" => "a person has ten external identities at most".into(),
        "last_way_in" => "this is your only way in: set a password or link another identity first".into(),
        "length" => "too long or empty".into(),
        "range" => "out of range".into(),
        code => format!("breaks the rule {code}"),
    }
}

/// Diesel shows no SQLSTATE for these. The texts are PostgreSQL's own, in English because the first migration sets the messages
/// of crm_app so (on a service that forbids that, the server's locale decides); an unknown text is a fault of ours.
fn by_message(error: DieselError) -> Error {
    let text = error.to_string();
    let says = |part: &str| text.contains(part);
    if says("row-level security policy") || says("permission denied") {
        return Error::forbidden("your role may not do this");
    }
    if says("statement timeout") {
        return Error::too_slow(error);
    }
    if says("lock timeout") || says("deadlock detected") || says("terminating connection") || says("connection closed") {
        return Error::unavailable(error);
    }
    // A full disk, or one that fails; memory or locks that are all in use. It passes, or somebody is on the way to it.
    if says("No space left on device")
        || says("could not extend file")
        || says("could not write")
        || says("could not read")
        || says("could not fsync file")
        || says("out of memory")
        || says("out of shared memory")
    {
        return Error::unavailable(error);
    }
    if says("value too long for type") {
        return Error::invalid("", "length", "a text is too long");
    }
    if says("invalid byte sequence") || says("unsupported Unicode escape sequence") {
        return Error::invalid("", "character", "a text contains a character that cannot be stored");
    }
    Error::internal(error)
}
