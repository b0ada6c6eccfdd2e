-- A row each for some nodes, which they change to see whether the database takes writes; at is in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS Probe (
  slot INT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
