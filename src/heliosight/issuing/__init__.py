"""Operation: inputs as they were at issue time, widening, the archive, the ledger, the server."""
