-- The timeline of a record: what happened on its page, newest first by when it happened, not by when it was recorded.
--
-- What must stay true: a page of a timeline is one walk through an index for each kind of record that shows on it, whatever else the log holds.

-- Everything that shows on a record's page, one kind at a time: whoever may not read a kind, or asks for one alone, skips no rows of the others.
CREATE INDEX crm_activities_timeline ON crm_activities (organization_id, subject_id, entity_type, occurred_at, id);

-- Campaigns in which a contact is a member: the log has them on the campaign's page.
CREATE INDEX crm_campaign_contacts_timeline ON crm_campaign_contacts (organization_id, contact_id, created_at, id);
