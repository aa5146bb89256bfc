"""The two statements with which `agent restore` makes room for a copy: our sessions end, and our schema is emptied.

`pg_restore --clean` drops only what its copy names. What a newer version added would stay, and be in the way of that
version's migrations. The schema itself, its rights and other people's extensions in it stay.
"""

from __future__ import annotations

from storage.database import APPLICATION_NAME

END_OUR_SESSIONS = f"""
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = '{APPLICATION_NAME}' AND pid <> pg_backend_pid();
"""
"""Their statements know tables and functions that are no more; the pools connect again by themselves."""

EMPTY_SCHEMA = """
    DO $$ BEGIN EXECUTE coalesce((
        SELECT string_agg(format('DROP %s IF EXISTS %s CASCADE;', kind, name), ' ' ORDER BY kind <> 'TABLE')
        FROM (
            SELECT tableoid AS catalog, oid, oid::regclass::text AS name,
                CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                             WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind
            FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            UNION ALL
            SELECT tableoid, oid, oid::regprocedure::text, 'ROUTINE'
            FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            UNION ALL
            SELECT tableoid, oid, oid::regtype::text, 'TYPE'
            FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r')
        ) AS ours
        WHERE NOT EXISTS (
            SELECT FROM pg_depend AS needed
            WHERE needed.classid = ours.catalog AND needed.objid = ours.oid AND needed.deptype = 'e'
        )
    ), ''); END $$;
"""
