"""Help that knows no resource: time, paging, SQLite, object store."""
