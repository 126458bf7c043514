//! The tables of this crate as Diesel sees them; the migrations define them.

diesel::table! {
    /// Written here.
    crm_notes (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        content -> Text,
        related_to_type -> Nullable<Text>,
        related_to_id -> Nullable<Uuid>,
        is_pinned -> Bool,
        mentions -> Jsonb,
        owner_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Read here: the same rows through the view that lets every operator use its index.
    q_notes (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        content -> Text,
        related_to_type -> Nullable<Text>,
        related_to_id -> Nullable<Uuid>,
        is_pinned -> Bool,
        mentions -> Jsonb,
        owner_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        updated_at_key -> Timestamptz,
        last_activity_at -> Timestamptz,
        last_activity_key -> Timestamptz,
        in_bin -> Bool,
    }
}
