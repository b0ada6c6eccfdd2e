-- What users log in on from version 3 on. tokens are the SHA-256 of those that are good, issued is the time of the last one,
-- later than that of all before; times are in milliseconds since the epoch.
CREATE TABLE Device (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  userid INTEGER NOT NULL,
  name TEXT NOT NULL,
  created INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  tokens BLOB NOT NULL,
  issued INTEGER NOT NULL,
  expires INTEGER NOT NULL
) STRICT;

CREATE INDEX Device_userid ON Device (userid);

-- How far a device is; without a row it has nothing that its user was entitled to. Member.furthest is the furthest of them.
CREATE TABLE DeviceCursor (
  device INTEGER NOT NULL,
  conversation TEXT NOT NULL,
  delivered INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (device, conversation)
) STRICT, WITHOUT ROWID;

CREATE INDEX DeviceCursor_conversation ON DeviceCursor (conversation);

DROP VIEW OfflineMessage;

CREATE VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.furthest AND Message.seq > Member.since
  AND Message.sender <> Member.userid AND Message.recalled = 0 AND Message.kind = 0;
