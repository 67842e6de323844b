"""The only network code: one polite client, a ledger of what was fetched, parallel downloads."""
