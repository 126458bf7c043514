-- What is counted beside the deals is added to with every change and summed up again by a chore, so that most of what was ever in the table is
-- gone. By the usual share of a table it would be tidied up too late: a board that is read a hundred times a second looked through 37,000
-- entries of which 1,290 were left.
ALTER TABLE crm_deal_figures SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

SELECT app.seal_functions();
