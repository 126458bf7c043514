-- Takes the columns for filters away: the views as they were before.
DROP VIEW q_activities;
CREATE VIEW q_activities AS
SELECT activity.*,
       detail.description,
       detail.changes,
       detail.metadata,
       CASE WHEN app.is_manager() THEN detail.ip END AS ip,
       CASE WHEN app.is_manager() THEN detail.user_agent END AS user_agent
  FROM (SELECT *
          FROM crm_activities
         WHERE app.is_manager()
            OR entity_type NOT IN ('session', 'credential', 'api_token', 'invitation', 'second_factor', 'external_identity')
       ) AS activity
  LEFT JOIN LATERAL (
       SELECT description, changes, metadata, ip, user_agent
         FROM crm_activity_details
        WHERE organization_id = activity.organization_id
          AND activity_id = activity.id
          AND created_at = activity.created_at
        LIMIT 1) AS detail ON true
 WHERE activity.organization_id = app.org_id()
   AND app.role() IS NOT NULL;
ALTER VIEW q_activities OWNER TO crm_definer;
GRANT SELECT ON q_activities TO crm_app;

DROP VIEW q_audit;
CREATE VIEW q_audit AS
SELECT activity.*,
       detail.description,
       detail.changes,
       detail.metadata,
       detail.ip,
       detail.user_agent
  FROM (SELECT *
          FROM crm_activities
         WHERE app.is_manager()
           AND entity_type IN ('organization', 'member', 'team', 'session', 'credential', 'api_token', 'invitation',
                               'second_factor', 'external_identity')
       ) AS activity
  LEFT JOIN LATERAL (
       SELECT description, changes, metadata, ip, user_agent
         FROM crm_activity_details
        WHERE organization_id = activity.organization_id
          AND activity_id = activity.id
          AND created_at = activity.created_at
        LIMIT 1) AS detail ON true
 WHERE activity.organization_id = app.org_id()
   AND app.role() IS NOT NULL;
ALTER VIEW q_audit OWNER TO crm_definer;
GRANT SELECT ON q_audit TO crm_app;
