-- What users log in on from version 3 on. tokens are the SHA-256 of those that are good, issued is the time of the last one,
-- later than that of all before; times are in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS Device (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  userid INT NOT NULL,
  name VARCHAR(64) NOT NULL,
  created BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  tokens VARBINARY(160) NOT NULL,
  issued BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  KEY userid (userid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How far a device is; without a row it has nothing that its user was entitled to. Member.furthest is the furthest of them.
CREATE TABLE IF NOT EXISTS DeviceCursor (
  device INT NOT NULL,
  conversation VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  delivered BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (device, conversation),
  KEY conversation (conversation)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.furthest AND Message.seq > Member.since
  AND Message.sender <> Member.userid AND Message.recalled = 0 AND Message.kind = 0;
