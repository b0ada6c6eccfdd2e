-- The role that was not known before comes last: the table is not copied.
ALTER TABLE GroupUser MODIFY grouprole ENUM('creator', 'normal', 'admin') NOT NULL DEFAULT 'normal';

-- Links by which one joins a group, by the SHA-256 of their texts; created and expires are in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS GroupLink (
  hash VARBINARY(32) NOT NULL PRIMARY KEY,
  groupid INT NOT NULL,
  userid INT NOT NULL,
  uses INT NOT NULL,
  used INT NOT NULL DEFAULT 0,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  KEY groupid (groupid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who is in a group no longer has nothing to get of what was said since.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.furthest AND Message.seq > Member.since
  AND Message.seq <= Member.until
  AND Message.sender <> Member.userid AND Message.recalled = 0 AND Message.kind = 0 AND Message.hidden = 0;
