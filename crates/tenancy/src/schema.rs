//! What this crate reads and writes through typed queries: the organisation, its members and teams.

diesel::table! {
    /// Memberships with the person and the team: the only way in which the application reads people.
    q_members (organization_id, user_id) {
        organization_id -> Uuid,
        user_id -> Uuid,
        email -> Nullable<Text>,
        full_name -> Text,
        role -> Text,
        status -> Text,
        title -> Nullable<Text>,
        manager_id -> Nullable<Uuid>,
        team_id -> Nullable<Uuid>,
        team_name -> Nullable<Text>,
        time_zone -> Text,
        locale -> Text,
        created_at -> Timestamptz,
        kind -> Text,
        updated_at -> Timestamptz,
        version -> Integer,
        has_second_factor -> Nullable<Bool>,
    }
}

diesel::table! {
    /// Invitations without their secrets, for owners and admins.
    q_invitations (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        email -> Text,
        role -> Text,
        title -> Nullable<Text>,
        team_id -> Nullable<Uuid>,
        manager_id -> Nullable<Uuid>,
        status -> Text,
        invited_by_id -> Uuid,
        accepted_by_id -> Nullable<Uuid>,
        sent_at -> Timestamptz,
        expires_at -> Timestamptz,
        closed_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        version -> Integer,
    }
}

diesel::table! {
    /// The tenant; a transaction sees its own alone.
    organizations (id) {
        id -> Uuid,
        name -> Text,
        slug -> Text,
        country -> Nullable<Text>,
        default_currency -> Text,
        time_zone -> Text,
        bin_retention_days -> Nullable<Integer>,
        address_retention_days -> Integer,
        require_second_factor -> Bool,
        session_days -> Nullable<Integer>,
        api_token_days -> Nullable<Integer>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Who belongs to the organisation: what may be changed, and what a change is made from.
    memberships (organization_id, user_id) {
        organization_id -> Uuid,
        user_id -> Uuid,
        role -> Text,
        status -> Text,
        title -> Nullable<Text>,
        manager_id -> Nullable<Uuid>,
        team_id -> Nullable<Uuid>,
        version -> Integer,
    }
}

diesel::table! {
    /// Teams, for writing.
    teams (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        manager_id -> Nullable<Uuid>,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Teams, for reading.
    q_teams (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        manager_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        name_key -> Text,
    }
}

diesel::table! {
    /// API tokens, without what proves them: one's own, or for owners and admins all of the organisation.
    q_api_tokens (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        user_id -> Uuid,
        user_name -> Text,
        name -> Text,
        operations -> Array<Text>,
        entities -> Array<Text>,
        read_only -> Bool,
        status -> Text,
        created_by_id -> Uuid,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        last_used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        revoked_by_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    /// What other systems call our records.
    crm_external_ids (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        entity_type -> Text,
        entity_id -> Uuid,
        source -> Text,
        external_id -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    /// Answers that are given again, one's own.
    crm_idempotent_answers (organization_id, user_id, route, key_hash) {
        organization_id -> Uuid,
        user_id -> Uuid,
        route -> Text,
        key_hash -> Binary,
        body_hash -> Binary,
        status -> SmallInt,
        etag -> Nullable<Text>,
        location -> Nullable<Text>,
        body -> Nullable<Binary>,
        record_ids -> Array<Uuid>,
        created_at -> Timestamptz,
        progress -> Nullable<Jsonb>,
    }
}
