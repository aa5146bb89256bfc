"""The database: PostgreSQL holds every word, id and outcome. Tables, one module a subject, SQL and migrations."""
