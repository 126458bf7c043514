-- Runs are not continued.
DELETE FROM crm_idempotent_answers WHERE progress IS NOT NULL;
DROP POLICY own_delete ON crm_idempotent_answers;
CREATE POLICY own_delete ON crm_idempotent_answers FOR DELETE TO crm_app
    USING (organization_id = app.org_id() AND user_id = app.user_id() AND created_at < now() - interval '24 hours');
ALTER TABLE crm_idempotent_answers
    DROP CONSTRAINT crm_idempotent_answers_either,
    DROP CONSTRAINT crm_idempotent_answers_progress_length,
    DROP COLUMN progress;
