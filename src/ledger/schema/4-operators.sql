-- Who began a run, and the earlier run that it is about: the one that it puts back, or whose way back it gives up. That one
-- may be forgotten before it.
ALTER TABLE runs ADD COLUMN operator TEXT;
ALTER TABLE runs ADD COLUMN about TEXT;

PRAGMA user_version = 4;
