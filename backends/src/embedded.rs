//! The adapters that need no servers: `SQLite` in a data folder.
