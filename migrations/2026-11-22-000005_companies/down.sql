-- Takes the companies away. What the log says of them stays.
SELECT app.remove_tracking('crm_companies');
DROP VIEW q_companies;
DROP TABLE crm_companies;
DROP FUNCTION app.guard_company();
