-- Version 6: how a webhook proves where its attempts come from, besides its current secret; see store/proofs.rs.
ALTER TABLE webhooks ADD COLUMN proofs TEXT NOT NULL DEFAULT '{}';
