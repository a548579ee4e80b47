"""What a PostgreSQL server is asked. Names of metrics are postgres_exporter's where it has them.

It publishes counts without `_total` too; such have no type here, because a counter must end in it.
"""

from __future__ import annotations

from exporter.postgres.query import Column, Query

SETTINGS = Query(
    "settings",
    """
    SELECT current_setting('max_connections')::float8 AS max_connections,
           extract(epoch FROM pg_postmaster_start_time())::float8 AS started
    """,
    (
        Column("max_connections", "pg_settings_max_connections", "gauge", "How many connections there may be."),
        Column("started", "pg_postmaster_start_time_seconds", "gauge", "When the server started, since 1970."),
    ),
)

# Every state of every database, at 0 where nobody is in it.
ACTIVITY = Query(
    "activity",
    """
    WITH here AS (
        SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY oid LIMIT $1
    ), known (state) AS (
        VALUES ('active'), ('idle'), ('idle in transaction'), ('idle in transaction (aborted)'),
               ('fastpath function call'), ('disabled')
    ), there AS (
        SELECT datname, state, count(*)::float8 AS number,
               extract(epoch FROM max(clock_timestamp() - xact_start))::float8 AS longest
        FROM pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY datname, state
    )
    SELECT here.datname, known.state, coalesce(number, 0) AS number, coalesce(longest, 0) AS longest
    FROM here CROSS JOIN known LEFT JOIN there USING (datname, state)
    """,
    (
        Column("number", "pg_stat_activity_count", "unknown", "Connections by database and by what they do."),
        Column(
            "longest", "pg_stat_activity_max_tx_duration", "gauge", "Seconds of the longest transaction that is open."
        ),
    ),
    labels=("datname", "state"),
    top="databases",
)

LOCKS = Query(
    "locks",
    """
    SELECT (SELECT count(*) FROM pg_locks WHERE NOT granted)::float8 AS waiting,
           (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock')::float8 AS blocked
    """,
    (
        Column("waiting", "pg_locks_waiting", "gauge", "Locks that are waited for."),
        Column("blocked", "pg_stat_activity_blocked", "gauge", "Connections that wait for a lock of another."),
    ),
)

DATABASES = Query(
    "databases",
    """
    SELECT datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched,
           tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, deadlocks,
           CASE WHEN has_database_privilege(datid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
                THEN pg_database_size(datid) END AS size_bytes
    FROM pg_stat_database JOIN pg_database USING (datname)
    WHERE datallowconn AND NOT datistemplate ORDER BY datid LIMIT $1
    """,
    (
        Column("numbackends", "pg_stat_database_numbackends", "gauge", "Connections to the database."),
        Column("xact_commit", "pg_stat_database_xact_commit", "unknown", "Transactions that were committed."),
        Column("xact_rollback", "pg_stat_database_xact_rollback", "unknown", "Transactions that were rolled back."),
        Column("blks_read", "pg_stat_database_blks_read", "unknown", "Blocks read from the disk, or the kernel."),
        Column("blks_hit", "pg_stat_database_blks_hit", "unknown", "Blocks that were in the server's memory already."),
        Column("tup_returned", "pg_stat_database_tup_returned", "unknown", "Rows read by scans."),
        Column("tup_fetched", "pg_stat_database_tup_fetched", "unknown", "Rows fetched by index."),
        Column("tup_inserted", "pg_stat_database_tup_inserted", "unknown", "Rows inserted."),
        Column("tup_updated", "pg_stat_database_tup_updated", "unknown", "Rows updated."),
        Column("tup_deleted", "pg_stat_database_tup_deleted", "unknown", "Rows deleted."),
        Column("conflicts", "pg_stat_database_conflicts", "unknown", "Queries of a standby ended by recovery."),
        Column("temp_files", "pg_stat_database_temp_files", "unknown", "Temporary files that queries wrote."),
        Column("temp_bytes", "pg_stat_database_temp_bytes", "unknown", "Bytes of temporary files."),
        Column("deadlocks", "pg_stat_database_deadlocks", "unknown", "Deadlocks that were ended."),
        Column("size_bytes", "pg_database_size_bytes", "gauge", "What the database takes on the disk."),
    ),
    labels=("datname",),
    top="databases",
)

# A standby that has everything is not late, however long ago the last transaction was. One that has replayed none since
# its start does not know how late it is.
REPLICATION = Query(
    "replication",
    """
    SELECT pg_is_in_recovery()::int AS is_replica,
           CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                WHEN since < 0 THEN 0
                ELSE since
           END::float8 AS lag
    FROM (SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) AS since) AS last
    """,
    (
        Column("is_replica", "pg_replication_is_replica", "gauge", "1 for a standby, 0 for a primary."),
        Column("lag", "pg_replication_lag_seconds", "gauge", "How far a standby is behind; 0 for a primary."),
    ),
)

STANDBYS = Query(
    "standbys",
    """
    SELECT application_name, state,
           pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                           replay_lsn)::float8 AS behind_bytes,
           extract(epoch FROM coalesce(replay_lag, '0'::interval))::float8 AS behind_seconds
    FROM pg_stat_replication ORDER BY application_name, pid LIMIT $1
    """,
    (
        Column(
            "behind_bytes", "pg_stat_replication_pg_wal_lsn_diff", "gauge", "Bytes that a standby has not replayed."
        ),
        Column(
            "behind_seconds", "pg_stat_replication_replay_lag_seconds", "gauge", "How long a standby took to replay."
        ),
    ),
    labels=("application_name", "state"),
    top="standbys",
)

SLOTS = Query(
    "slots",
    """
    SELECT slot_name, slot_type, active::int AS active,
           pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                           restart_lsn)::float8 AS kept
    FROM pg_replication_slots ORDER BY slot_name LIMIT $1
    """,
    (
        Column("active", "pg_replication_slot_slot_is_active", "gauge", "1 while somebody reads from the slot."),
        Column("kept", "pg_replication_slots_pg_wal_lsn_diff", "gauge", "Bytes of WAL that are kept for the slot."),
    ),
    labels=("slot_name", "slot_type"),
    top="standbys",
)

TABLES = Query(
    "tables",
    """
    SELECT current_database() AS datname, seen.schemaname, seen.relname, n_live_tup, n_dead_tup, n_mod_since_analyze,
           seq_scan, idx_scan, vacuum_count, autovacuum_count,
           coalesce(extract(epoch FROM last_vacuum), 0)::float8 AS last_vacuum,
           coalesce(extract(epoch FROM last_autovacuum), 0)::float8 AS last_autovacuum,
           coalesce(extract(epoch FROM last_analyze), 0)::float8 AS last_analyze,
           coalesce(extract(epoch FROM last_autoanalyze), 0)::float8 AS last_autoanalyze,
           relpages::float8 * current_setting('block_size')::int AS size_bytes
    FROM pg_stat_user_tables AS seen JOIN pg_class ON pg_class.oid = relid
    ORDER BY relpages DESC, relid LIMIT $1
    """,
    (
        Column(
            "n_live_tup", "pg_stat_user_tables_n_live_tup", "gauge", "Rows that are alive, as the server estimates."
        ),
        Column("n_dead_tup", "pg_stat_user_tables_n_dead_tup", "gauge", "Rows that are dead, and not yet vacuumed."),
        Column(
            "n_mod_since_analyze", "pg_stat_user_tables_n_mod_since_analyze", "gauge", "Rows changed since ANALYZE."
        ),
        Column("seq_scan", "pg_stat_user_tables_seq_scan", "unknown", "Scans of the whole table."),
        Column("idx_scan", "pg_stat_user_tables_idx_scan", "unknown", "Scans of an index of it."),
        Column("vacuum_count", "pg_stat_user_tables_vacuum_count", "unknown", "How often somebody vacuumed it."),
        Column(
            "autovacuum_count",
            "pg_stat_user_tables_autovacuum_count",
            "unknown",
            "How often the server vacuumed it by itself.",
        ),
        Column(
            "last_vacuum",
            "pg_stat_user_tables_last_vacuum",
            "gauge",
            "When somebody last vacuumed it, since 1970; 0 is never.",
        ),
        Column(
            "last_autovacuum",
            "pg_stat_user_tables_last_autovacuum",
            "gauge",
            "When the server last vacuumed it by itself, since 1970; 0 is never.",
        ),
        Column(
            "last_analyze",
            "pg_stat_user_tables_last_analyze",
            "gauge",
            "When somebody last analyzed it, since 1970; 0 is never.",
        ),
        Column(
            "last_autoanalyze",
            "pg_stat_user_tables_last_autoanalyze",
            "gauge",
            "When the server last analyzed it by itself, since 1970; 0 is never.",
        ),
        Column("size_bytes", "pg_stat_user_tables_heap_bytes", "gauge", "Its pages, as of the last VACUUM or ANALYZE."),
    ),
    labels=("datname", "schemaname", "relname"),
    top="tables",
)

# Pages that are there, less those that the rows would need: 24 bytes of header and 4 of pointer a row, its columns'
# average widths in steps of 8 bytes, and 24 bytes of header a page, at the table's fill factor.
BLOAT = Query(
    "bloat",
    """
    WITH widths AS (
        SELECT schemaname, tablename, sum((1 - null_frac) * avg_width) AS bytes
        FROM pg_stats WHERE NOT inherited GROUP BY schemaname, tablename
    ), tables AS (
        SELECT nspname AS schemaname, relname, relpages::float8 AS pages, block,
               ceil(reltuples * (28 + 8 * ceil(bytes / 8)) / ((block - 24) * coalesce(filled::float8, 100) / 100))
                   AS needed
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        CROSS JOIN (SELECT current_setting('block_size')::float8 AS block) AS server
        CROSS JOIN LATERAL (
            SELECT substring(array_to_string(reloptions, ' ') FROM 'fillfactor=([0-9]+)') AS filled
        ) AS options
        JOIN widths ON widths.schemaname = nspname AND widths.tablename = relname
        WHERE relkind IN ('r', 'm') AND relpages > 16 AND reltuples >= 0
          AND nspname NOT IN ('pg_catalog', 'information_schema')
    )
    SELECT current_database() AS datname, schemaname, relname, greatest(0, pages - needed) * block AS wasted,
           greatest(0, 1 - needed / pages) AS ratio
    FROM tables ORDER BY wasted DESC, schemaname, relname LIMIT $1
    """,
    (
        Column("wasted", "pg_table_bloat_bytes", "gauge", "An estimate of what the table wastes of its pages."),
        Column("ratio", "pg_table_bloat_ratio", "gauge", "The same as a part of its pages, from 0 to 1."),
    ),
    labels=("datname", "schemaname", "relname"),
    top="bloat",
    seldom=True,
)

STATEMENTS = Query(
    "statements",
    """
    SELECT datname, queryid::text AS queryid, sum(calls)::float8 AS calls,
           sum(total_exec_time)::float8 / 1000 AS seconds, sum(rows)::float8 AS rows, min(left(query, 2000)) AS query
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE queryid IS NOT NULL
    GROUP BY datname, queryid ORDER BY seconds DESC, queryid LIMIT $1
    """,
    (
        Column("calls", "pg_stat_statements_calls_total", "counter", "How often the statement ran."),
        Column("seconds", "pg_stat_statements_seconds_total", "counter", "How long it ran, all runs together."),
        Column("rows", "pg_stat_statements_rows_total", "counter", "How many rows it gave back or changed."),
    ),
    labels=("datname", "queryid"),
    numbers=("queryid",),
    top="statements",
)

QUESTIONS = (SETTINGS, ACTIVITY, LOCKS, DATABASES, REPLICATION, STANDBYS, SLOTS, TABLES, STATEMENTS, BLOAT)
