-- Version 11: what a webhook says about the TLS of its receiver; see proto's tls.rs.
ALTER TABLE webhooks ADD COLUMN tls TEXT NOT NULL DEFAULT '{}';
