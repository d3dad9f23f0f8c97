"""What one can do with a resource: plain functions that own their transaction and know no HTTP."""
