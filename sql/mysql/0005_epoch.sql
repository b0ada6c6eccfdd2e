-- One row: the name of the log's history. It changes when the database is found to have gone back in time.
CREATE TABLE IF NOT EXISTS Epoch (
  epoch VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO Epoch (epoch)
SELECT REPLACE(UUID(), '-', '') FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM Epoch);
