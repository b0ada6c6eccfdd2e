-- Another role: a check can only be changed with its table.
CREATE TABLE GroupUserNew (
  groupid INTEGER NOT NULL,
  userid INTEGER NOT NULL,
  grouprole TEXT NOT NULL DEFAULT 'normal' CHECK (grouprole IN ('creator', 'normal', 'admin')),
  PRIMARY KEY (groupid, userid)
) STRICT, WITHOUT ROWID;

INSERT INTO GroupUserNew (groupid, userid, grouprole) SELECT groupid, userid, grouprole FROM GroupUser;

DROP TABLE GroupUser;

ALTER TABLE GroupUserNew RENAME TO GroupUser;

CREATE INDEX GroupUser_userid ON GroupUser (userid);

-- Links by which one joins a group, by the SHA-256 of their texts; created and expires are in milliseconds since the epoch.
CREATE TABLE GroupLink (
  hash BLOB NOT NULL PRIMARY KEY,
  groupid INTEGER NOT NULL,
  userid INTEGER NOT NULL,
  uses INTEGER NOT NULL,
  used INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX GroupLink_groupid ON GroupLink (groupid);

DROP VIEW OfflineMessage;

-- Who is in a group no longer has nothing to get of what was said since.
CREATE VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.furthest AND Message.seq > Member.since
  AND Message.seq <= Member.until
  AND Message.sender <> Member.userid AND Message.recalled = 0 AND Message.kind = 0 AND Message.hidden = 0;
