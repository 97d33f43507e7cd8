-- The indexes that every entry is put into begin with what tells entries apart. A site's name before it made each of the
-- comparisons on the way down longer, and commits an eighth slower; few databases hold more than one site.

SET LOCAL lock_timeout = '5s';

DROP INDEX entry_by_tenant, entry_by_owner, personal_by_person;
CREATE INDEX entry_by_tenant ON entry (tenant, tenant_index) WHERE tenant IS NOT NULL;
CREATE INDEX entry_by_owner ON entry (owner, owner_index) WHERE owner IS NOT NULL;
CREATE INDEX personal_by_person ON personal (person, seq);
