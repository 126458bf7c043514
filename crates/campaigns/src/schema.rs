//! The tables of this crate as Diesel sees them; the migrations define them.

diesel::table! {
    /// Written here.
    crm_campaigns (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        description -> Nullable<Text>,
        campaign_type -> Text,
        status -> Text,
        start_date -> Nullable<Date>,
        end_date -> Nullable<Date>,
        budget -> Nullable<Numeric>,
        actual_cost -> Nullable<Numeric>,
        target_audience -> Nullable<Jsonb>,
        goals -> Nullable<Jsonb>,
        owner_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Read here: the same rows through the view that lets every operator use its index.
    q_campaigns (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        description -> Nullable<Text>,
        campaign_type -> Text,
        status -> Text,
        start_date -> Nullable<Date>,
        end_date -> Nullable<Date>,
        budget -> Nullable<Numeric>,
        actual_cost -> Nullable<Numeric>,
        target_audience -> Nullable<Jsonb>,
        goals -> Nullable<Jsonb>,
        started_at -> Nullable<Timestamptz>,
        paused_at -> Nullable<Timestamptz>,
        completed_at -> Nullable<Timestamptz>,
        cancelled_at -> Nullable<Timestamptz>,
        owner_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        name_key -> Text,
        start_key -> Date,
        end_key -> Date,
        budget_key -> BigInt,
        updated_at_key -> Timestamptz,
        last_activity_at -> Timestamptz,
        last_activity_key -> Timestamptz,
        in_bin -> Bool,
    }
}

diesel::table! {
    /// Written here. The times are the database's to set.
    crm_campaign_contacts (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        campaign_id -> Uuid,
        contact_id -> Uuid,
        status -> Text,
        version -> Integer,
    }
}

diesel::table! {
    /// Read here, through the view.
    q_campaign_contacts (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        campaign_id -> Uuid,
        contact_id -> Uuid,
        status -> Text,
        sent_at -> Nullable<Timestamptz>,
        delivered_at -> Nullable<Timestamptz>,
        opened_at -> Nullable<Timestamptz>,
        clicked_at -> Nullable<Timestamptz>,
        bounced_at -> Nullable<Timestamptz>,
        unsubscribed_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        version -> Integer,
    }
}

diesel::table! {
    /// Contacts, for who may become a member.
    q_contacts (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        opted_out -> Bool,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Deals, for what came of a campaign.
    q_deals (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        campaign_id -> Nullable<Uuid>,
        pipeline_id -> Uuid,
        stage -> Text,
        base_amount -> Nullable<Numeric>,
        amount -> Nullable<Numeric>,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// The stages of pipelines, for whether a deal is won.
    q_pipeline_stages (organization_id, pipeline_id, key) {
        organization_id -> Uuid,
        pipeline_id -> Uuid,
        key -> Text,
        outcome -> Text,
    }
}

diesel::table! {
    /// The tenant, for its currency.
    organizations (id) {
        id -> Uuid,
        default_currency -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(q_campaigns, organizations);
diesel::allow_tables_to_appear_in_same_query!(q_deals, q_pipeline_stages);
diesel::allow_tables_to_appear_in_same_query!(q_contacts, q_campaign_contacts);
diesel::allow_tables_to_appear_in_same_query!(q_contacts, crm_campaign_contacts);
