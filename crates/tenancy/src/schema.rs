//! What this crate reads through typed queries: the directory of members and the organisation itself.

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
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
