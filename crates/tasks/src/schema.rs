//! The tables of this crate as Diesel sees them; the migrations define them.

diesel::table! {
    /// Written here.
    crm_tasks (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        title -> Text,
        description -> Nullable<Text>,
        related_to_type -> Nullable<Text>,
        related_to_id -> Nullable<Uuid>,
        task_type -> Text,
        status -> Text,
        priority -> Text,
        due_date -> Nullable<Timestamptz>,
        is_all_day -> Bool,
        remind_at -> Nullable<Timestamptz>,
        recurrence -> Nullable<Text>,
        next_id -> Nullable<Uuid>,
        assigned_to_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Read here: the same rows through the view that lets every operator use its index.
    q_tasks (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        title -> Text,
        description -> Nullable<Text>,
        related_to_type -> Nullable<Text>,
        related_to_id -> Nullable<Uuid>,
        task_type -> Text,
        status -> Text,
        priority -> Text,
        due_date -> Nullable<Timestamptz>,
        is_all_day -> Bool,
        remind_at -> Nullable<Timestamptz>,
        recurrence -> Nullable<Text>,
        next_id -> Nullable<Uuid>,
        completed_at -> Nullable<Timestamptz>,
        assigned_to_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        title_key -> Text,
        due_key -> Timestamptz,
        open_due_key -> Nullable<Timestamptz>,
        updated_at_key -> Timestamptz,
        last_activity_at -> Timestamptz,
        last_activity_key -> Timestamptz,
        in_bin -> Bool,
    }
}

diesel::table! {
    /// The directory, for the clocks of people.
    q_members (organization_id, user_id) {
        organization_id -> Uuid,
        user_id -> Uuid,
        time_zone -> Text,
    }
}
