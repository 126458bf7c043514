-- What other systems call our records: a source, its id, and the record here.
--
-- What must stay true:
--   * Within one kind of record, a source's id means one record. It points at a record of the same organisation: the
--     generated columns turn the pair (entity_type, entity_id) into real foreign keys.
--   * Written by owners and admins (imports and synchronisation), never changed: a wrong one is deleted and made again.

CREATE TABLE crm_external_ids (
    organization_id uuid         NOT NULL DEFAULT app.org_id(),
    id              uuid         NOT NULL DEFAULT app.uuid7(),
    entity_type     varchar(50)  NOT NULL,
    entity_id       uuid         NOT NULL,
    source          varchar(100) NOT NULL,
    external_id     varchar(255) NOT NULL,
    created_at      timestamptz  NOT NULL DEFAULT now(),
    rel_company_id  uuid GENERATED ALWAYS AS (CASE entity_type WHEN 'company' THEN entity_id END) STORED,
    rel_contact_id  uuid GENERATED ALWAYS AS (CASE entity_type WHEN 'contact' THEN entity_id END) STORED,
    rel_deal_id     uuid GENERATED ALWAYS AS (CASE entity_type WHEN 'deal'    THEN entity_id END) STORED,
    CONSTRAINT crm_external_ids_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT crm_external_ids_entity_type_known CHECK (entity_type IN ('company', 'contact', 'deal')),
    CONSTRAINT crm_external_ids_source_length CHECK (length(btrim(source)) > 0),
    CONSTRAINT crm_external_ids_external_id_length CHECK (length(btrim(external_id)) > 0),
    CONSTRAINT crm_external_ids_external_id_key UNIQUE (organization_id, entity_type, source, external_id),
    CONSTRAINT crm_external_ids_organization_id_fkey FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT crm_external_ids_rel_company_id_fkey FOREIGN KEY (organization_id, rel_company_id)
        REFERENCES crm_companies (organization_id, id),
    CONSTRAINT crm_external_ids_rel_contact_id_fkey FOREIGN KEY (organization_id, rel_contact_id)
        REFERENCES crm_contacts (organization_id, id),
    CONSTRAINT crm_external_ids_rel_deal_id_fkey FOREIGN KEY (organization_id, rel_deal_id)
        REFERENCES crm_deals (organization_id, id)
);
CREATE INDEX crm_external_ids_entity ON crm_external_ids (organization_id, entity_id);

SELECT app.secure_table('crm_external_ids', 'manager', deletable => true);
SELECT app.install_tracking(
    'crm_external_ids', 'external_id', $$r.source || ' ' || r.external_id$$,
    subject_type => 'r.entity_type', subject_id => 'r.entity_id');
GRANT SELECT, DELETE, INSERT (id, entity_type, entity_id, source, external_id) ON crm_external_ids TO crm_app;
