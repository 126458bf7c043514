-- Runs of many transactions under one Idempotency-Key: how far a run has come stands where its answer will stand.
--
-- What must stay true:
--   * A step and the note that it was done are one transaction: none is done twice, none left out, whatever dies between.
--   * What has not come to its end has no body. It may be replaced by its caller, as what is older than a day may be; what was answered may not.

ALTER TABLE crm_idempotent_answers
    ADD COLUMN progress jsonb,  -- of a run that has not come to its end; created_at is then the time of its last step
    ADD CONSTRAINT crm_idempotent_answers_progress_length CHECK (octet_length(progress::text) <= 262144),
    ADD CONSTRAINT crm_idempotent_answers_either CHECK (progress IS NULL OR body IS NULL);

DROP POLICY own_delete ON crm_idempotent_answers;
CREATE POLICY own_delete ON crm_idempotent_answers FOR DELETE TO crm_app
    USING (organization_id = app.org_id() AND user_id = app.user_id()
           AND (progress IS NOT NULL OR created_at < now() - interval '24 hours'));
GRANT INSERT (progress) ON crm_idempotent_answers TO crm_app;
