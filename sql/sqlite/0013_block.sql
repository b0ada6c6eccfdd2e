-- Whom userid does not want to hear of; at is in milliseconds since the epoch.
CREATE TABLE Block (
  userid INTEGER NOT NULL,
  blockedid INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (userid, blockedid)
) STRICT, WITHOUT ROWID;
