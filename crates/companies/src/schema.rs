//! The tables of this crate as Diesel sees them; the migrations define them.

diesel::table! {
    /// Written here.
    crm_companies (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        slug -> Text,
        industry -> Nullable<Text>,
        company_size -> Nullable<Text>,
        website -> Nullable<Text>,
        billing_address -> Nullable<Jsonb>,
        shipping_address -> Nullable<Jsonb>,
        annual_revenue -> Nullable<Numeric>,
        employee_count -> Nullable<Integer>,
        company_status -> Text,
        parent_id -> Nullable<Uuid>,
        owner_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Read here: the same rows through the view that lets every operator use its index.
    q_companies (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        slug -> Text,
        industry -> Nullable<Text>,
        company_size -> Nullable<Text>,
        website -> Nullable<Text>,
        billing_address -> Nullable<Jsonb>,
        shipping_address -> Nullable<Jsonb>,
        annual_revenue -> Nullable<Numeric>,
        employee_count -> Nullable<Integer>,
        company_status -> Text,
        parent_id -> Nullable<Uuid>,
        owner_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        name_key -> Text,
        annual_revenue_key -> BigInt,
        employee_count_key -> BigInt,
        updated_at_key -> Timestamptz,
        last_activity_at -> Timestamptz,
        last_activity_key -> Timestamptz,
        in_bin -> Bool,
    }
}
