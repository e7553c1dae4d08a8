-- A database of version 1 with three events, as the first shoal with events made it.
CREATE TABLE shoal_schema_version (version INTEGER NOT NULL PRIMARY KEY, time DOUBLE PRECISION NOT NULL);
INSERT INTO shoal_schema_version VALUES (1, 1700000000.0);
CREATE TABLE shoal_events (
    id INTEGER PRIMARY KEY,
    user_id TEXT NOT NULL,
    item_id TEXT NOT NULL,
    type TEXT NOT NULL,
    value DOUBLE PRECISION,
    time DOUBLE PRECISION NOT NULL,
    received DOUBLE PRECISION NOT NULL,
    event_key TEXT
);
CREATE INDEX shoal_events_user ON shoal_events (user_id, time, id);
CREATE INDEX shoal_events_time ON shoal_events (time);
CREATE UNIQUE INDEX shoal_events_key ON shoal_events (event_key) WHERE event_key IS NOT NULL;
CREATE TABLE shoal_calls (key TEXT NOT NULL PRIMARY KEY, digest TEXT NOT NULL, time DOUBLE PRECISION NOT NULL);
CREATE INDEX shoal_calls_time ON shoal_calls (time);
CREATE TABLE shoal_deleted_users (user_hash TEXT NOT NULL PRIMARY KEY, time DOUBLE PRECISION NOT NULL);
INSERT INTO shoal_events VALUES (1, 'ann', '1193', 'view', NULL, 1600000000.5, 1600000001.0, NULL);
INSERT INTO shoal_events VALUES (2, 'ann', '661', 'rating', 4.5, 1600000100.0, 1600000101.0, 'first');
INSERT INTO shoal_events VALUES (3, 'bob', '661', 'view', NULL, 1600000200.0, 1600000201.0, NULL);
-- sha256 of "carl"
INSERT INTO shoal_deleted_users VALUES ('69bfe1e6e44821df7f8a0927bd7e61ef208fdb25deaa4353450bc3fb904abd52', 1650000000.0);
