-- A gate has two streams of messages: each of its boots, and a journal that outlives them. Four later boots close a boot;
-- only four later journals close a journal.

SET LOCAL lock_timeout = '5s';

ALTER TABLE gate_boot ADD COLUMN journal boolean NOT NULL DEFAULT false;
