-- Users who are deleted, and of whom something is left to be done: see lib/store/delete_user.ts. due is when somebody
-- else may go on with it, in milliseconds since the epoch.
CREATE TABLE Deletion (
  userid INTEGER NOT NULL PRIMARY KEY,
  with_messages INTEGER NOT NULL,
  due INTEGER NOT NULL
) STRICT;
