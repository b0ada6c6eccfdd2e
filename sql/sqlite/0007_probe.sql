-- A row that the node changes to see whether the database takes writes; at is in milliseconds since the epoch.
CREATE TABLE Probe (
  slot INTEGER NOT NULL PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT;
