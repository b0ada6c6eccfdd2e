-- The same tables as sql/mysql has, column by column. STRICT, so that a value of the wrong type is an error here as well.
-- A file never changes once it was released. A statement ends with a semicolon at the end of a line.

CREATE TABLE User (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  name_key BLOB UNIQUE,
  password TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'offline' CHECK (state IN ('online', 'offline'))
) STRICT;

CREATE INDEX User_state ON User (state);

CREATE TABLE Friend (
  userid INTEGER NOT NULL,
  friendid INTEGER NOT NULL,
  PRIMARY KEY (userid, friendid)
) STRICT, WITHOUT ROWID;

CREATE TABLE AllGroup (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  groupname TEXT NOT NULL UNIQUE,
  groupname_key BLOB UNIQUE,
  groupdesc TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE GroupUser (
  groupid INTEGER NOT NULL,
  userid INTEGER NOT NULL,
  grouprole TEXT NOT NULL DEFAULT 'normal' CHECK (grouprole IN ('creator', 'normal')),
  PRIMARY KEY (groupid, userid)
) STRICT, WITHOUT ROWID;

CREATE INDEX GroupUser_userid ON GroupUser (userid);

-- `u<lower user id>-<higher user id>` or `g<group id>`; members is the number of the group's GroupUser rows.
CREATE TABLE Conversation (
  id TEXT NOT NULL PRIMARY KEY,
  last_seq INTEGER NOT NULL DEFAULT 0,
  members INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The log. message is the sender's JSON object, without what the server adds when it sends; NULL once recalled.
-- at is in milliseconds since the epoch. Not WITHOUT ROWID: with long rows that halves the rate of inserts.
CREATE TABLE Message (
  conversation TEXT NOT NULL,
  seq INTEGER NOT NULL,
  sender INTEGER NOT NULL,
  cid BLOB,
  at INTEGER NOT NULL,
  message TEXT,
  recalled INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation, seq),
  UNIQUE (sender, cid)
) STRICT;

-- How far a member is: entitled to seq > since, has everything up to delivered, has read everything up to read.
CREATE TABLE Member (
  userid INTEGER NOT NULL,
  conversation TEXT NOT NULL,
  since INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0,
  `read` INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (userid, conversation)
) STRICT, WITHOUT ROWID;

CREATE INDEX Member_conversation ON Member (conversation);

-- Resume tokens, by their SHA-256; expires is in milliseconds since the epoch.
CREATE TABLE Token (
  hash BLOB NOT NULL PRIMARY KEY,
  userid INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX Token_userid ON Token (userid);

-- One row: the name of this database's cluster.
CREATE TABLE Cluster (id TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

INSERT INTO Cluster (id) VALUES (lower(hex(randomblob(16))));
