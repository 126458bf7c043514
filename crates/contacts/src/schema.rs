//! The tables of this crate as Diesel sees them; the migrations define them.

diesel::table! {
    /// Written here.
    crm_contacts (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        company_id -> Nullable<Uuid>,
        first_name -> Text,
        last_name -> Text,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        mobile -> Nullable<Text>,
        title -> Nullable<Text>,
        department -> Nullable<Text>,
        contact_status -> Text,
        lead_source -> Nullable<Text>,
        lead_score -> Nullable<Integer>,
        owner_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        social_profiles -> Nullable<Jsonb>,
        preferences -> Nullable<Jsonb>,
        opted_out -> Bool,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        lists_version -> Integer,
        email_key -> Nullable<Text>,
    }
}

diesel::table! {
    /// Written here: addresses and numbers.
    crm_contact_points (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        contact_id -> Uuid,
        kind -> Text,
        label -> Nullable<Text>,
        value -> Text,
        value_key -> Text,
        is_primary -> Bool,
        position -> Integer,
    }
}

diesel::table! {
    /// Written here: companies besides, or with more said of, the contact's own.
    crm_contact_companies (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        contact_id -> Uuid,
        company_id -> Uuid,
        role -> Nullable<Text>,
        is_primary -> Bool,
        position -> Integer,
    }
}

diesel::table! {
    /// Read here: what a contact's companies are called.
    q_companies (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(crm_contact_companies, q_companies);

diesel::table! {
    /// Read here: the same rows through the view that lets every operator use its index.
    q_contacts (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        company_id -> Nullable<Uuid>,
        first_name -> Text,
        last_name -> Text,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        mobile -> Nullable<Text>,
        title -> Nullable<Text>,
        department -> Nullable<Text>,
        contact_status -> Text,
        lead_source -> Nullable<Text>,
        lead_score -> Nullable<Integer>,
        owner_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        social_profiles -> Nullable<Jsonb>,
        preferences -> Nullable<Jsonb>,
        opted_out -> Bool,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        email_key -> Nullable<Text>,
        name_key -> Text,
        lead_score_key -> BigInt,
        updated_at_key -> Timestamptz,
        last_activity_at -> Timestamptz,
        last_activity_key -> Timestamptz,
        in_bin -> Bool,
    }
}

diesel::allow_tables_to_appear_in_same_query!(crm_contact_points, crm_contacts);

diesel::table! {
    /// Read here: the country whose telephone numbers need not say it.
    organizations (id) {
        id -> Uuid,
        country -> Nullable<Text>,
    }
}
