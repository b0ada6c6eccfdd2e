-- What operators do: see lib/store/admin_events.ts. One row, whose number is that of the newest event.
CREATE TABLE AdminCounter (
  id INTEGER NOT NULL PRIMARY KEY,
  last INTEGER NOT NULL
) STRICT;

INSERT INTO AdminCounter (id, last) VALUES (1, 0);

-- Every change, in the order in which they were committed; nodes follow it, and it is what an audit shows. at is in
-- milliseconds since the epoch, detail a JSON object.
CREATE TABLE AdminEvent (
  id INTEGER NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  what TEXT NOT NULL,
  userid INTEGER,
  detail TEXT NOT NULL
) STRICT;

CREATE INDEX AdminEvent_userid ON AdminEvent (userid);

-- Codes that let somebody do something, by their SHA-256; created and expires are in milliseconds since the epoch.
CREATE TABLE AccessCode (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  userid INTEGER,
  uses INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  note TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX AccessCode_userid ON AccessCode (userid);
