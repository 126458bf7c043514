DROP INDEX crm_activities_task;
