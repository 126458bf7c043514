//! The tables of this crate as Diesel sees them; the migrations define them.

diesel::table! {
    /// Written here.
    crm_projects (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        company_id -> Nullable<Uuid>,
        deal_id -> Nullable<Uuid>,
        description -> Nullable<Text>,
        project_status -> Text,
        priority -> Text,
        start_date -> Nullable<Date>,
        due_date -> Nullable<Date>,
        completion_date -> Nullable<Date>,
        estimated_hours -> Nullable<Numeric>,
        actual_hours -> Nullable<Numeric>,
        owner_id -> Nullable<Uuid>,
        project_manager_id -> Nullable<Uuid>,
        origin -> Text,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Read here: the same rows through the view that lets every operator use its index.
    q_projects (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        company_id -> Nullable<Uuid>,
        deal_id -> Nullable<Uuid>,
        description -> Nullable<Text>,
        project_status -> Text,
        priority -> Text,
        start_date -> Nullable<Date>,
        due_date -> Nullable<Date>,
        completion_date -> Nullable<Date>,
        open_due_date -> Nullable<Date>,
        estimated_hours -> Nullable<Numeric>,
        actual_hours -> Nullable<Numeric>,
        owner_id -> Nullable<Uuid>,
        project_manager_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        origin -> Text,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        name_key -> Text,
        due_key -> Date,
        completion_key -> Date,
        open_due_key -> Date,
        updated_at_key -> Timestamptz,
        last_activity_at -> Timestamptz,
        last_activity_key -> Timestamptz,
        in_bin -> Bool,
    }
}

diesel::table! {
    /// Deals, for the name of the one that a project comes from.
    q_deals (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Tasks, for how many of a project's are done.
    q_tasks (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        status -> Text,
        rel_project_id -> Nullable<Uuid>,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Members, for the clock of who asks.
    q_members (organization_id, user_id) {
        organization_id -> Uuid,
        user_id -> Uuid,
        time_zone -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(q_projects, q_members);
