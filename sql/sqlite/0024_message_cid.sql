DROP VIEW OfflineMessage;

-- Without UNIQUE (sender, cid): a message without a cid has no entry there, which is a page less to write for each.
CREATE TABLE MessageNew (
  conversation TEXT NOT NULL,
  seq INTEGER NOT NULL,
  sender INTEGER NOT NULL,
  cid BLOB,
  at INTEGER NOT NULL,
  message TEXT,
  recalled INTEGER NOT NULL DEFAULT 0,
  kind INTEGER NOT NULL DEFAULT 0,
  hidden INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation, seq)
) STRICT;

INSERT INTO MessageNew (rowid, conversation, seq, sender, cid, at, message, recalled, kind, hidden)
SELECT rowid, conversation, seq, sender, cid, at, message, recalled, kind, hidden FROM Message ORDER BY rowid;

DROP TABLE Message;

ALTER TABLE MessageNew RENAME TO Message;

CREATE UNIQUE INDEX Message_cid ON Message (sender, cid) WHERE cid IS NOT NULL;

CREATE VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.furthest AND Message.seq > Member.since
  AND Message.seq <= Member.until
  AND Message.sender <> Member.userid AND Message.recalled = 0 AND Message.kind = 0 AND Message.hidden = 0;
