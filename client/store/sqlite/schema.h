#pragma once

#include <cstdint>

namespace trawl {

// The SQL of format 1; sqlite_backend.h says what it means to a reader.
inline constexpr int64_t kSqliteApplicationId = 0x7472776c;  // "trwl"
inline constexpr int64_t kSqliteFormat = 1;

inline constexpr char kSqliteSchema[] = R"sql(
CREATE TABLE store(
  -- What is said of the file as a whole: store_id.
  name TEXT PRIMARY KEY, value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE writers(
  -- The fence: no lower incarnation of a writer may write.
  writer TEXT PRIMARY KEY, incarnation INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE lanes(
  -- Committed together with the samples: all records up to `durable` are here. Counts of samples;
  -- rejected is a JSON object of counts by code.
  writer TEXT, epoch INTEGER, lane INTEGER,
  durable INTEGER NOT NULL, stored INTEGER NOT NULL, duplicate INTEGER NOT NULL,
  lost INTEGER NOT NULL, rejected TEXT NOT NULL,
  PRIMARY KEY(writer, epoch, lane)
) WITHOUT ROWID;

CREATE TABLE targets(
  -- labels: a JSON object of the target's labels and the external ones; external: of those alone.
  id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, labels TEXT NOT NULL, external TEXT NOT NULL,
  UNIQUE(labels, external, tenant)
);

CREATE TABLE keys(
  -- A series without its target's labels. labels: a JSON object without __name__.
  -- complete: the target's labels do not apply, the external ones do.
  id INTEGER PRIMARY KEY, metric TEXT NOT NULL, labels TEXT NOT NULL, complete INTEGER NOT NULL,
  UNIQUE(metric, labels, complete)
);

CREATE TABLE layouts(
  -- The keys of a scrape, in order: 4 bytes each, little endian. hash is of these bytes.
  -- Ids are never reused.
  id INTEGER PRIMARY KEY AUTOINCREMENT, hash INTEGER NOT NULL, keys BLOB NOT NULL
);
CREATE INDEX layouts_by_hash ON layouts(hash);

CREATE TABLE layout_keys(
  -- The same as rows, for queries. Positions count from 0.
  key INTEGER, layout INTEGER, position INTEGER, PRIMARY KEY(key, layout, position)
) WITHOUT ROWID;

CREATE TABLE target_layouts(
  -- Which layouts a target has had.
  target INTEGER, layout INTEGER, PRIMARY KEY(target, layout)
) WITHOUT ROWID;

CREATE TABLE scrapes(
  -- One scrape of one target. vals: a JSON array in the layout's order of numbers, of "NaN",
  -- "+Inf", "-Inf", of "stale" (the series ended here), and null where there is no sample.
  id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, target INTEGER NOT NULL,
  time_ms INTEGER NOT NULL, vals TEXT NOT NULL
);
CREATE INDEX scrapes_by_series ON scrapes(layout, target, time_ms);
CREATE INDEX scrapes_by_time ON scrapes(time_ms);

CREATE TABLE timed_samples(
  -- Samples with a time of their own. value: a number, or one of the strings above.
  key INTEGER, target INTEGER, time_ms INTEGER, value NOT NULL, PRIMARY KEY(key, target, time_ms)
) WITHOUT ROWID;
CREATE INDEX timed_samples_by_time ON timed_samples(time_ms);

CREATE VIEW samples(metric, labels, timestamp_ms, value, stale) AS
  -- labels: a JSON object without __name__. timestamp_ms: Unix time. value: REAL; Inf and -Inf are
  -- SQLite's infinities. NULL with stale = 0 is NaN; NULL with stale = 1: the series ended here.
  SELECT metric, labels, timestamp_ms,
         CASE typeof(v) WHEN 'text' THEN CASE v WHEN '+Inf' THEN 9e999 WHEN '-Inf' THEN -9e999 END
                        ELSE CAST(v AS REAL) END,
         v = 'stale'
  FROM (SELECT k.metric AS metric,
               json_patch(iif(k.complete, t.external, t.labels), k.labels) AS labels,
               s.time_ms AS timestamp_ms,
               json_extract(s.vals, '$[' || lk.position || ']') AS v
        FROM keys k JOIN layout_keys lk ON lk.key = k.id
                    JOIN scrapes s ON s.layout = lk.layout
                    JOIN targets t ON t.id = s.target)
  WHERE v IS NOT NULL
  UNION ALL
  SELECT k.metric,
         json_patch(iif(k.complete, t.external, t.labels), k.labels),
         ts.time_ms,
         CASE typeof(ts.value)
              WHEN 'text' THEN CASE ts.value WHEN '+Inf' THEN 9e999 WHEN '-Inf' THEN -9e999 END
              ELSE CAST(ts.value AS REAL) END,
         ts.value = 'stale'
  FROM keys k JOIN timed_samples ts ON ts.key = k.id JOIN targets t ON t.id = ts.target;
)sql";

// Also for files that were made without.
inline constexpr char kSqliteLaterIndexes[] =
    "CREATE INDEX IF NOT EXISTS target_layouts_by_layout ON target_layouts(layout);";

}  // namespace trawl
