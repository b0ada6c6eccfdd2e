-- Every statement of these files can run twice: MySQL has no transaction around DDL, so one that was cut off before it
-- was recorded runs again. A file never changes once it was released; what comes later is a file with a higher number.
-- A statement ends with a semicolon at the end of a line.

CREATE TABLE IF NOT EXISTS User (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(50) NOT NULL,
  name_key VARBINARY(1200) NULL,
  password VARCHAR(255) NOT NULL,
  state ENUM('online', 'offline') NOT NULL DEFAULT 'offline',
  UNIQUE KEY name (name),
  UNIQUE KEY name_key (name_key),
  KEY state (state)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS Friend (
  userid INT NOT NULL,
  friendid INT NOT NULL,
  PRIMARY KEY (userid, friendid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS AllGroup (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  groupname VARCHAR(50) NOT NULL,
  groupname_key VARBINARY(1200) NULL,
  groupdesc VARCHAR(200) NOT NULL DEFAULT '',
  UNIQUE KEY groupname (groupname),
  UNIQUE KEY groupname_key (groupname_key)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS GroupUser (
  groupid INT NOT NULL,
  userid INT NOT NULL,
  grouprole ENUM('creator', 'normal') NOT NULL DEFAULT 'normal',
  PRIMARY KEY (groupid, userid),
  KEY userid (userid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- `u<lower user id>-<higher user id>` or `g<group id>`; members is the number of the group's GroupUser rows.
CREATE TABLE IF NOT EXISTS Conversation (
  id VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  last_seq BIGINT NOT NULL DEFAULT 0,
  members INT NOT NULL DEFAULT 0
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The log. message is the sender's JSON object, without what the server adds when it sends; NULL once recalled.
-- at is in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS Message (
  conversation VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq BIGINT NOT NULL,
  sender INT NOT NULL,
  cid VARBINARY(256) NULL,
  at BIGINT NOT NULL,
  message MEDIUMTEXT NULL,
  recalled TINYINT NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation, seq),
  UNIQUE KEY cid (sender, cid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How far a member is: entitled to seq > since, has everything up to delivered, has read everything up to read.
CREATE TABLE IF NOT EXISTS Member (
  userid INT NOT NULL,
  conversation VARCHAR(24) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  since BIGINT NOT NULL DEFAULT 0,
  delivered BIGINT NOT NULL DEFAULT 0,
  `read` BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (userid, conversation),
  KEY conversation (conversation)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Resume tokens, by their SHA-256; expires is in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS Token (
  hash VARBINARY(32) NOT NULL PRIMARY KEY,
  userid INT NOT NULL,
  expires BIGINT NOT NULL,
  KEY userid (userid)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row: the name of this database's cluster, before every Redis channel and key of it, so that clusters can share a Redis.
CREATE TABLE IF NOT EXISTS Cluster (
  id VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO Cluster (id)
SELECT LEFT(SHA2(CONCAT(UUID(), RAND(), RAND()), 256), 32) FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM Cluster);
