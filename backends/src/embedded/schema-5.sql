-- Version 5: by which record a change of standing was made; none, if by no record.
ALTER TABLE changes ADD COLUMN made_by TEXT;
