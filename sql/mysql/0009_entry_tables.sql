-- The texts that an entry had before it was edited, oldest first: until is the seq of the edit that ended it, at when it
-- was written, in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS Version (
  conversation VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq BIGINT NOT NULL,
  until BIGINT NOT NULL,
  at BIGINT NOT NULL,
  message MEDIUMTEXT NOT NULL,
  PRIMARY KEY (conversation, seq, until)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who has put which emoji to an entry, by its bytes.
CREATE TABLE IF NOT EXISTS Reaction (
  conversation VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq BIGINT NOT NULL,
  emoji VARBINARY(32) NOT NULL,
  userid INT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (conversation, seq, emoji, userid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How many have.
CREATE TABLE IF NOT EXISTS ReactionCount (
  conversation VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq BIGINT NOT NULL,
  emoji VARBINARY(32) NOT NULL,
  users INT NOT NULL,
  PRIMARY KEY (conversation, seq, emoji)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The entries that are pinned, and by whom.
CREATE TABLE IF NOT EXISTS Pin (
  conversation VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq BIGINT NOT NULL,
  userid INT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (conversation, seq)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Whom an entry names; 0: everybody.
CREATE TABLE IF NOT EXISTS Mention (
  conversation VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  userid INT NOT NULL,
  seq BIGINT NOT NULL,
  PRIMARY KEY (conversation, userid, seq)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW OfflineMessage AS
SELECT Member.userid AS userid, Message.message AS message
FROM Member JOIN Message ON Message.conversation = Member.conversation
WHERE Message.seq > Member.delivered AND Message.seq > Member.since
  AND Message.sender <> Member.userid AND Message.recalled = 0 AND Message.kind = 0;
