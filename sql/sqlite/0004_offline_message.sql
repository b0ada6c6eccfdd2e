-- The original's table of this name, as a view: who has still to get what.
CREATE VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.since
  AND Message.sender <> Member.userid AND Message.recalled = 0;
