-- The texts that an entry had before it was edited, oldest first: until is the seq of the edit that ended it, at when it
-- was written, in milliseconds since the epoch.
CREATE TABLE Version (
  conversation TEXT NOT NULL,
  seq INTEGER NOT NULL,
  until INTEGER NOT NULL,
  at INTEGER NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (conversation, seq, until)
) STRICT;

-- Who has put which emoji to an entry, by its bytes.
CREATE TABLE Reaction (
  conversation TEXT NOT NULL,
  seq INTEGER NOT NULL,
  emoji BLOB NOT NULL,
  userid INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (conversation, seq, emoji, userid)
) STRICT, WITHOUT ROWID;

-- How many have.
CREATE TABLE ReactionCount (
  conversation TEXT NOT NULL,
  seq INTEGER NOT NULL,
  emoji BLOB NOT NULL,
  users INTEGER NOT NULL,
  PRIMARY KEY (conversation, seq, emoji)
) STRICT, WITHOUT ROWID;

-- The entries that are pinned, and by whom.
CREATE TABLE Pin (
  conversation TEXT NOT NULL,
  seq INTEGER NOT NULL,
  userid INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

-- Whom an entry names; 0: everybody.
CREATE TABLE Mention (
  conversation TEXT NOT NULL,
  userid INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (conversation, userid, seq)
) STRICT, WITHOUT ROWID;

DROP VIEW IF EXISTS OfflineMessage;

CREATE VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.since
  AND Message.sender <> Member.userid AND Message.recalled = 0 AND Message.kind = 0;
