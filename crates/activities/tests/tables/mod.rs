//! What shows on a record's page, written as the application writes. Activities do not know the crates of notes and tasks.

diesel::table! {
    crm_notes (id) {
        id -> Uuid,
        content -> Text,
        related_to_type -> Text,
        related_to_id -> Uuid,
        is_pinned -> Bool,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    crm_tasks (id) {
        id -> Uuid,
        title -> Text,
        status -> Text,
        related_to_type -> Text,
        related_to_id -> Uuid,
    }
}

diesel::table! {
    crm_contacts (id) {
        id -> Uuid,
        first_name -> Text,
        last_name -> Text,
    }
}

diesel::table! {
    crm_campaigns (id) {
        id -> Uuid,
        name -> Text,
    }
}

diesel::table! {
    crm_campaign_contacts (campaign_id, contact_id) {
        campaign_id -> Uuid,
        contact_id -> Uuid,
    }
}

diesel::table! {
    crm_deals (id) {
        id -> Uuid,
        name -> Text,
        stage -> Text,
    }
}
