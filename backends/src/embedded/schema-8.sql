-- Version 8: what the owner of a webhook chose of what its format leaves open; see proto's options.rs.
ALTER TABLE webhooks ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
