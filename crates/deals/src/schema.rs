//! The tables of this crate as Diesel sees them; the migrations define them.

diesel::table! {
    /// Written here.
    crm_deals (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        company_id -> Nullable<Uuid>,
        primary_contact_id -> Nullable<Uuid>,
        campaign_id -> Nullable<Uuid>,
        pipeline_id -> Uuid,
        stage -> Text,
        probability -> Integer,
        amount -> Nullable<Numeric>,
        currency -> Text,
        expected_close_date -> Nullable<Date>,
        actual_close_date -> Nullable<Date>,
        deal_source -> Nullable<Text>,
        lost_reason -> Nullable<Text>,
        owner_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        parts_version -> Integer,
        board_position -> Text,
    }
}

diesel::table! {
    /// Read here: the same rows through the view that lets every operator use its index.
    q_deals (organization_id, id) {
        id -> Uuid,
        organization_id -> Uuid,
        name -> Text,
        company_id -> Nullable<Uuid>,
        primary_contact_id -> Nullable<Uuid>,
        campaign_id -> Nullable<Uuid>,
        pipeline_id -> Uuid,
        stage -> Text,
        probability -> Integer,
        amount -> Nullable<Numeric>,
        currency -> Text,
        base_amount -> Nullable<Numeric>,
        expected_close_date -> Nullable<Date>,
        actual_close_date -> Nullable<Date>,
        deal_source -> Nullable<Text>,
        lost_reason -> Nullable<Text>,
        owner_id -> Nullable<Uuid>,
        created_by_id -> Nullable<Uuid>,
        tags -> Jsonb,
        custom_fields -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        name_key -> Text,
        base_amount_key -> BigInt,
        expected_close_key -> Date,
        actual_close_key -> Date,
        updated_at_key -> Timestamptz,
        last_activity_at -> Timestamptz,
        last_activity_key -> Timestamptz,
        in_bin -> Bool,
    }
}

diesel::table! {
    /// Where deals stand among those of their stage: of the same view, what lists do not need.
    #[sql_name = "q_deals"]
    board_places (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        pipeline_id -> Uuid,
        stage -> Text,
        board_position -> Text,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// The way of a deal through the stages, written by the database alone.
    q_deal_stage_history (organization_id, deal_id, seq) {
        organization_id -> Uuid,
        deal_id -> Uuid,
        seq -> BigInt,
        pipeline_id -> Uuid,
        from_stage -> Nullable<Text>,
        stage -> Text,
        entered_at -> Timestamptz,
        left_at -> Nullable<Timestamptz>,
        next_stage -> Nullable<Text>,
        amount -> Nullable<Numeric>,
        owner_id -> Nullable<Uuid>,
        user_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    /// Read and written here: what a deal consists of.
    crm_deal_line_items (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        deal_id -> Uuid,
        product_id -> Nullable<Uuid>,
        name -> Text,
        quantity -> Numeric,
        unit_price -> Numeric,
        discount_percent -> Numeric,
        amount -> Numeric,
        position -> Integer,
    }
}

diesel::table! {
    /// Read and written here: who takes part in a deal.
    crm_deal_contacts (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        deal_id -> Uuid,
        contact_id -> Uuid,
        role -> Nullable<Text>,
    }
}

diesel::table! {
    /// The directory of people, for the names of those who take part.
    q_contacts (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        first_name -> Text,
        last_name -> Text,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Written here.
    crm_products (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        sku -> Nullable<Text>,
        description -> Nullable<Text>,
        unit_price -> Nullable<Numeric>,
        currency -> Text,
        is_active -> Bool,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// Read here, through the view.
    q_products (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        sku -> Nullable<Text>,
        description -> Nullable<Text>,
        unit_price -> Nullable<Numeric>,
        currency -> Text,
        is_active -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        name_key -> Text,
    }
}

diesel::table! {
    /// What living deals come to, written by the database alone: the rows of a group are to be added up.
    q_deal_figures (organization_id, seq) {
        organization_id -> Uuid,
        seq -> BigInt,
        grouping -> Text,
        pipeline_id -> Uuid,
        stage -> Text,
        owner_id -> Nullable<Uuid>,
        month -> Nullable<Text>,
        base_amount -> Numeric,
        weighted_amount -> Numeric,
    }
}

diesel::table! {
    /// Written here.
    crm_pipelines (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        is_default -> Bool,
        position -> Integer,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
        stages_version -> Integer,
    }
}

diesel::table! {
    /// Written here. What a stage means for its deals is said once, when it is made.
    crm_pipeline_stages (organization_id, pipeline_id, key) {
        organization_id -> Uuid,
        pipeline_id -> Uuid,
        key -> Text,
        label -> Text,
        position -> Integer,
        probability -> Integer,
        outcome -> Text,
        rotting_days -> Nullable<Integer>,
        forecast_category -> Nullable<Text>,
    }
}

diesel::table! {
    /// Read here, through the view.
    q_pipelines (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        name -> Text,
        is_default -> Bool,
        position -> Integer,
        deleted_at -> Nullable<Timestamptz>,
        version -> Integer,
    }
}

diesel::table! {
    /// The stages of pipelines; read here, through the view.
    q_pipeline_stages (organization_id, pipeline_id, key) {
        organization_id -> Uuid,
        pipeline_id -> Uuid,
        key -> Text,
        label -> Text,
        position -> Integer,
        probability -> Integer,
        outcome -> Text,
        rotting_days -> Nullable<Integer>,
        forecast_category -> Nullable<Text>,
    }
}

diesel::table! {
    /// The tenant, for its currency.
    organizations (id) {
        id -> Uuid,
        default_currency -> Text,
    }
}

diesel::table! {
    /// The directory, for the names of owners and their teams.
    q_members (organization_id, user_id) {
        organization_id -> Uuid,
        user_id -> Uuid,
        full_name -> Text,
        team_id -> Nullable<Uuid>,
        team_name -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(q_deals, organizations);
diesel::allow_tables_to_appear_in_same_query!(q_deals, q_pipeline_stages);
diesel::allow_tables_to_appear_in_same_query!(q_deal_figures, q_pipeline_stages);
diesel::allow_columns_to_appear_in_same_group_by_clause!(q_deal_figures::owner_id, q_pipeline_stages::outcome);
diesel::allow_columns_to_appear_in_same_group_by_clause!(q_deal_figures::month, q_pipeline_stages::outcome);
diesel::allow_tables_to_appear_in_same_query!(crm_deal_contacts, q_contacts);

diesel::table! {
    /// Written here.
    crm_exchange_rates (organization_id, currency, valid_on) {
        organization_id -> Uuid,
        id -> Uuid,
        currency -> Text,
        valid_on -> Date,
        rate -> Numeric,
    }
}

diesel::table! {
    /// Read here, through the view.
    q_exchange_rates (organization_id, id) {
        organization_id -> Uuid,
        id -> Uuid,
        currency -> Text,
        valid_on -> Date,
        rate -> Numeric,
        set_by_id -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        version -> Integer,
    }
}
