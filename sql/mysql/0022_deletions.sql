-- Users who are deleted, and of whom something is left to be done: see lib/store/delete_user.ts. due is when somebody
-- else may go on with it, in milliseconds since the epoch.
CREATE TABLE IF NOT EXISTS Deletion (
  userid INT NOT NULL PRIMARY KEY,
  with_messages TINYINT NOT NULL,
  due BIGINT NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
