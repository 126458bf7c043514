//! The view of this crate as Diesel sees it; the migrations define it.

diesel::table! {
    /// The log joined with its values; who may not see them gets NULL for `ip` and `user_agent`.
    q_activities (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        activity_type -> Text,
        entity_type -> Text,
        entity_id -> Uuid,
        subject_type -> Text,
        subject_id -> Uuid,
        user_id -> Nullable<Uuid>,
        actor_kind -> Text,
        description -> Nullable<Text>,
        fields -> Array<Text>,
        changes -> Nullable<Jsonb>,
        record_version -> Nullable<Integer>,
        operation_id -> Nullable<Uuid>,
        request_id -> Nullable<Text>,
        occurred_at -> Timestamptz,
        created_at -> Timestamptz,
        ip -> Nullable<Inet>,
        user_agent -> Nullable<Text>,
    }
}

diesel::table! {
    /// What concerns the security of the organisation, out of the same log; for owners and admins.
    q_audit (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        activity_type -> Text,
        entity_type -> Text,
        entity_id -> Uuid,
        subject_type -> Text,
        subject_id -> Uuid,
        user_id -> Nullable<Uuid>,
        actor_kind -> Text,
        description -> Nullable<Text>,
        fields -> Array<Text>,
        changes -> Nullable<Jsonb>,
        record_version -> Nullable<Integer>,
        operation_id -> Nullable<Uuid>,
        request_id -> Nullable<Text>,
        occurred_at -> Timestamptz,
        created_at -> Timestamptz,
        ip -> Nullable<Inet>,
        user_agent -> Nullable<Text>,
    }
}

diesel::table! {
    /// What members are called.
    q_members (organization_id, user_id) {
        organization_id -> Uuid,
        user_id -> Uuid,
        full_name -> Text,
    }
}

diesel::table! {
    /// The pipeline of a deal, whose stages have names.
    q_deals (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        pipeline_id -> Uuid,
    }
}

diesel::table! {
    /// What stages are called.
    q_pipeline_stages (organization_id, pipeline_id, key) {
        organization_id -> Uuid,
        pipeline_id -> Uuid,
        key -> Text,
        label -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(q_deals, q_pipeline_stages);
