-- An engine that takes a site over, and whoever asks which gates follow a lockdown, read what was ordered and what the
-- gates said of it: few entries in a log of many.

SET LOCAL lock_timeout = '5s';

CREATE INDEX entry_of_lockdowns ON entry (site_id, seq)
WHERE kind IN ('lockdown.changed', 'gate.hello', 'gate.status');
