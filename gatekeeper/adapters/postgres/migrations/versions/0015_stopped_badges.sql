-- What a gate did alone is told late: whether a badge was stopped by then is asked of the instant, not of now. Of those that are
-- stopped already nobody knows since when, and they count as stopped all along.

SET LOCAL lock_timeout = '5s';

ALTER TABLE badge ADD COLUMN stopped_at timestamptz;
