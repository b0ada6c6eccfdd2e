DROP VIEW OfflineMessage;

-- What is hidden from one of two is not what it has still to get.
CREATE VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.furthest AND Message.seq > Member.since
  AND Message.sender <> Member.userid AND Message.recalled = 0 AND Message.kind = 0 AND Message.hidden = 0;
