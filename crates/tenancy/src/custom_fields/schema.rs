//! The tables and views of this module alone. Of the records that a field may refer to only what tells whether they are there.

diesel::table! {
    /// Definitions, for writing.
    crm_custom_fields (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        entity -> Text,
        key -> Text,
        label -> Text,
        help_text -> Nullable<Text>,
        field_type -> Text,
        options -> Jsonb,
        is_required -> Bool,
        is_unique -> Bool,
        is_indexed -> Bool,
        default_value -> Nullable<Jsonb>,
        position -> Integer,
        retired_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Definitions, for reading.
    q_custom_fields (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        entity -> Text,
        key -> Text,
        label -> Text,
        help_text -> Nullable<Text>,
        field_type -> Text,
        options -> Jsonb,
        is_required -> Bool,
        is_unique -> Bool,
        is_indexed -> Bool,
        default_value -> Nullable<Jsonb>,
        position -> Integer,
        generation -> Integer,
        retired_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        version -> Integer,
        created_by_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    /// What is being done to the values of a field, or was last.
    q_custom_field_work (organization_id, field_id) {
        organization_id -> Uuid,
        field_id -> Uuid,
        task -> Text,
        from_type -> Nullable<Text>,
        records -> BigInt,
        converted -> BigInt,
        misfitting -> BigInt,
        has_duplicates -> Bool,
        started_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Companies that a field may refer to.
    q_companies (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Contacts that a field may refer to.
    q_contacts (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Deals that a field may refer to.
    q_deals (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Companies, for what stands in their own fields while somebody changes it.
    crm_companies (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        custom_fields -> Jsonb,
    }
}

diesel::table! {
    /// Contacts, for what stands in their own fields while somebody changes it.
    crm_contacts (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        custom_fields -> Jsonb,
    }
}

diesel::table! {
    /// Deals, for what stands in their own fields while somebody changes it.
    crm_deals (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        custom_fields -> Jsonb,
    }
}

diesel::table! {
    /// Projects, for what stands in their own fields while somebody changes it.
    crm_projects (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        custom_fields -> Jsonb,
    }
}

diesel::table! {
    /// Tasks, for what stands in their own fields while somebody changes it.
    crm_tasks (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        custom_fields -> Jsonb,
    }
}

diesel::table! {
    /// Notes, for what stands in their own fields while somebody changes it.
    crm_notes (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        custom_fields -> Jsonb,
    }
}

diesel::table! {
    /// Campaigns, for what stands in their own fields while somebody changes it.
    crm_campaigns (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        custom_fields -> Jsonb,
    }
}

diesel::allow_tables_to_appear_in_same_query!(q_custom_fields, q_custom_field_work);
