-- What operators do: see lib/store/admin_events.ts. One row, whose number is that of the newest event.
CREATE TABLE IF NOT EXISTS AdminCounter (
  id TINYINT NOT NULL PRIMARY KEY,
  last BIGINT NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO AdminCounter (id, last) VALUES (1, 0);

-- Every change, in the order in which they were committed; nodes follow it, and it is what an audit shows. at is in
-- milliseconds since the epoch, detail a JSON object.
CREATE TABLE IF NOT EXISTS AdminEvent (
  id BIGINT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  actor VARCHAR(100) NOT NULL,
  what VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  userid INT NULL,
  detail TEXT NOT NULL,
  KEY userid (userid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Codes that let somebody do something, by their SHA-256; created and expires are in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS AccessCode (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  hash VARBINARY(32) NOT NULL,
  userid INT NULL,
  uses INT NOT NULL,
  used INT NOT NULL DEFAULT 0,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  note VARCHAR(200) NOT NULL DEFAULT '',
  UNIQUE KEY hash (hash),
  KEY userid (userid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
