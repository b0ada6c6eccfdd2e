-- Whom userid does not want to hear of; at is in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS Block (
  userid INT NOT NULL,
  blockedid INT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (userid, blockedid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
