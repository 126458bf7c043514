-- The timeline of a task: what happened to it, and the notes about it.
--
-- What must stay true: a page of it is one walk through an index for each kind of record, as of every timeline. What happens to a task shows on
-- the page of the record that it is about, so that its own lines are found by the task and not by the page.

CREATE INDEX crm_activities_task ON crm_activities (organization_id, entity_id, occurred_at, id) WHERE entity_type = 'task';
