//! The functions that policies and views ask, and those that run with another role's rights.

/// What the application may call although it runs with its owner's rights: `(function, why)`.
pub const CALLABLE: &[(&str, &str)] = &[
    (
        "app.begin_request(uuid, uuid, uuid, uuid, text, boolean, text, text, text, uuid, bytea)",
        "looks the membership up before there is a tenant, and sets the context",
    ),
    ("app.import_records(text, jsonb)", "writes the columns history brings along; owners and admins only, in their organisation"),
    ("app.leave_organization()", "whoever leaves ends a membership that they may not change otherwise"),
    (
        "app.hand_over_led(uuid, uuid)",
        "a member who leaves may not change the teams and people they led; asks for the caller's role or that they are the caller's",
    ),
    (
        "app.housekeeping(text, integer)",
        "removes what has outlived its organisation's retention, by fixed rules, for every tenant",
    ),
    (
        "app.follow_exchange_rates(integer)",
        "counts deals of every owner at the rates that were set; owners and admins only, in their organisation",
    ),
    ("app.organizations_behind(uuid, integer)", "housekeeping goes from tenant to tenant; tells ids alone, which open nothing"),
    (
        "app.follow_organization_rates(uuid, integer)",
        "counts deals at the rates that are theirs, by fixed rules, for every tenant",
    ),
    ("app.vital_signs()", "open transactions and waiting letters are counted across tenants; tells numbers alone"),
    (
        "app.convert_custom_field(uuid, text, jsonb, text)",
        "begins what the job goes on with, which the application may not write; owners and admins only, in their organisation",
    ),
    ("app.custom_conversion_report(uuid, text, jsonb, integer)", "as convert_custom_field; changes nothing"),
    ("app.custom_field_work(integer)", "puts values in order and converts them, by fixed rules, for every tenant"),
    (
        "app.unsubscribe_member(uuid, uuid)",
        "opts a contact out that may be another's; asks whether the campaign, which it is a member of, is the caller's to change",
    ),
    ("app.hold_custom_fields()", "takes a lock by a number that is the caller's organisation's"),
    ("identity.find_login(text)", "a password is compared before the person is known"),
    ("identity.list_organizations(uuid)", "whoever signs in chooses a tenant"),
    (
        "identity.start_session(uuid, uuid, bytea, integer, integer, text, text, text, boolean)",
        "sessions are not the application's to write",
    ),
    (
        "identity.switch_session(uuid, uuid, bytea, uuid, bytea, integer, integer, text, text)",
        "as start_session, in another organisation; ends the session that it is asked from",
    ),
    ("identity.end_reused(bytea)", "found by hash, whoever asks; ends the login of a refresh token that was spent before"),
    ("identity.rotate_refresh(bytea, bytea, integer)", "found by hash before the tenant is known"),
    (
        "identity.invite(uuid, text, text, text, uuid, uuid, uuid, bytea, integer)",
        "invitations hold secrets; checks the caller's role, and how many there are",
    ),
    ("identity.invitation_exists(uuid)", "tells a member whose role is too low that there is one, and no more"),
    ("identity.resend_invitation(uuid, uuid, bytea, integer)", "as invite"),
    ("identity.revoke_invitation(uuid)", "as invite"),
    ("identity.find_invitation(uuid, bytea)", "found by the hash of its secret before the tenant is known"),
    (
        "identity.accept_invitation(uuid, bytea, uuid, text, text, text, text, text, bytea, timestamp with time zone, boolean, bigint, bytea, bytea[], bytea, integer, integer, text, text, text)",
        "makes person, member and session of whoever has the secret",
    ),
    ("identity.count_proof(uuid, bytea)", "bounds how often a password is tried with a link"),
    (
        "identity.join_by_invitation(uuid, bytea, uuid, bytea, bytea, integer, integer, text, text)",
        "makes a member of the caller in an organisation that is not the caller's yet, and moves the login there",
    ),
    ("identity.find_external_identity(text, text)", "who signs in with a provider is found before the tenant is known"),
    (
        "identity.exchange_external(text, text, bytea, timestamp with time zone, text, boolean, bigint, bytea, bytea[], bytea, integer, integer, text, text)",
        "as start_session, for a person that a provider has proved",
    ),
    (
        "identity.link_external_identity(text, text, text, bytea, timestamp with time zone)",
        "the caller's own ways in are not the application's to write",
    ),
    ("identity.list_external_identities()", "the caller's own"),
    ("identity.unlink_external_identity(uuid)", "as link_external_identity; never the last way in"),
    (
        "identity.reenter(uuid, text, uuid, bytea, integer, integer, text, text, boolean)",
        "as start_session, for a person whose password was just set",
    ),
    ("identity.log_out(uuid, uuid)", "signing out ends what the application cannot write"),
    (
        "identity.log_refused_login(uuid, text, text, text, text)",
        "writes the log of organisations that the one who tries is not in",
    ),
    ("identity.log_refused_proof(uuid, uuid, uuid, text, text, text, text)", "as log_refused_login; checks the session itself"),
    ("identity.claim_letters(integer, integer)", "the queue of letters belongs to no tenant"),
    ("identity.letter_sent(uuid)", "as claim_letters"),
    ("identity.letter_failed(uuid, text, boolean)", "as claim_letters"),
    (
        "identity.request_registration(uuid, bytea, text, text, text, text, text, boolean, text, text, text, text, boolean, text)",
        "there is no tenant before somebody has signed up; it does not answer who is known",
    ),
    ("identity.find_registration(uuid, bytea)", "a password is compared before there is an account; needs the link's secret"),
    ("identity.confirm_registration(uuid, bytea, text)", "makes person and organisation for whoever holds the link's secret"),
    (
        "identity.request_password_reset(uuid, bytea, text)",
        "whoever forgot a password has no tenant; it does not answer who is known",
    ),
    ("identity.find_reset(uuid, bytea)", "a new password is judged by whom it is for; needs the link's secret"),
    ("identity.reset_password(uuid, bytea, text, bytea, text, text, text)", "as find_reset, and writes the password"),
    ("identity.own_password()", "the caller's own, inside a transaction of theirs"),
    ("identity.change_password(text, text)", "as own_password"),
    ("identity.request_email_change(uuid, bytea, text)", "people are not the application's to write; the caller's own address"),
    ("identity.confirm_email_change(uuid, bytea, text, text, text)", "needs the link's secret"),
    ("identity.update_profile(text, text, text)", "people are not the application's to write; the caller's own profile"),
    (
        "identity.create_api_token(uuid, uuid, text, bytea, text[], text[], boolean, timestamp with time zone)",
        "tokens are not the application's to write; for oneself or a service user",
    ),
    ("identity.revoke_api_token(uuid)", "one's own, or any of the organisation for owners and admins"),
    (
        "identity.note_token_uses(uuid[], uuid[], timestamp with time zone[])",
        "when tokens were last used, for several tenants at once; nothing else of them",
    ),
    ("identity.create_service_user(text, text)", "people are not the application's to write; owners and admins only"),
    ("identity.update_service_user(uuid, text, text)", "as create_service_user"),
    ("identity.remove_service_user(uuid)", "as create_service_user"),
    (
        "identity.attempt_login(text, bytea, bytea[], double precision[], double precision[])",
        "a try is counted and a password compared before the person is known",
    ),
    (
        "identity.log_in(uuid, text, uuid, bytea, integer, integer, text, text, bigint, bytea, bytea[], bytea, bytea)",
        "code, session, device and throttle are one: each is not the application's to write",
    ),
    ("identity.take_attempt(bytea[], double precision[], double precision[])", "tries are counted before anyone is known"),
    ("identity.return_attempt(bytea[])", "as take_attempt"),
    ("identity.find_second_factor(uuid)", "a code is compared before there is a session; the seed is sealed"),
    ("identity.list_sessions(uuid, uuid, uuid, integer)", "one's own sessions in every organisation; checks the session itself"),
    ("identity.end_own_session(uuid, uuid, uuid, text, text, text, uuid)", "as list_sessions"),
    ("identity.end_other_sessions(uuid, uuid, uuid, text, text, text)", "as list_sessions"),
    ("identity.end_member_sessions(uuid)", "a manager ends what the application cannot write; checks the role itself"),
    (
        "identity.read_second_factor(uuid, uuid, uuid)",
        "enrolling must work in a session that is not let in yet; checks the session itself",
    ),
    ("identity.begin_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea, bytea)", "as read_second_factor"),
    ("identity.confirm_second_factor(uuid, uuid, uuid, text, text, text, bytea, bigint, bytea[])", "as read_second_factor"),
    ("identity.replace_recovery_codes(uuid, uuid, uuid, text, text, text, bigint, bytea, bytea[])", "as read_second_factor"),
    ("identity.verify_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea)", "as read_second_factor"),
    ("identity.disable_second_factor(uuid, uuid, uuid, text, text, text, bigint, bytea)", "as read_second_factor"),
];

/// What says whose the rows are: `(function without arguments, body)`, as the first migration makes them.
pub(super) const CONTEXT: &[(&str, &str)] = &[
    ("app.org_id", "SELECT nullif(current_setting('app.org_id', true), '')::uuid"),
    ("app.user_id", "SELECT nullif(current_setting('app.user_id', true), '')::uuid"),
    ("app.role", "SELECT nullif(current_setting('app.role', true), '')"),
    ("app.is_manager", "SELECT coalesce(current_setting('app.role', true) IN ('owner', 'admin'), false)"),
];

/// Callable functions with another role's rights that are not among `$1`.
pub(super) const DEFINER_FAULTS: &str = "
    WITH callable AS (
        SELECT format('%s.%s(%s)', namespace.nspname, procedure.proname, oidvectortypes(procedure.proargtypes)) AS object
          FROM pg_proc AS procedure
          JOIN pg_namespace AS namespace ON namespace.oid = procedure.pronamespace
         WHERE procedure.prosecdef
           AND namespace.nspname !~ '^pg_' AND namespace.nspname <> 'information_schema'
           AND has_function_privilege(procedure.oid, 'EXECUTE')
    )
    SELECT object, 'the application may call it, it runs with the rights of its owner, and it is not on the list' AS reason
      FROM callable
     WHERE object <> ALL ($1)
     ORDER BY object";

/// The functions of `$1` that are missing, or are not plain SQL with the body of `$2`. A setting of the function itself would
/// answer for the request's.
pub(super) const CONTEXT_FAULTS: &str = r"
    SELECT wanted.name || '()' AS object, 'it is not what the migration made, and policies and views rely on its answer' AS reason
      FROM unnest($1, $2) AS wanted (name, body)
     WHERE NOT EXISTS (
           SELECT
             FROM pg_proc AS procedure
             JOIN pg_namespace AS namespace ON namespace.oid = procedure.pronamespace
             JOIN pg_language AS language ON language.oid = procedure.prolang
            WHERE namespace.nspname || '.' || procedure.proname = wanted.name
              AND procedure.pronargs = 0
              AND language.lanname = 'sql'
              AND NOT procedure.prosecdef
              AND procedure.proconfig IS NULL
              AND btrim(regexp_replace(procedure.prosrc, '\s+', ' ', 'g')) = wanted.body)
     ORDER BY object";
