-- What operators ask running nodes, and their answers: see lib/store/node_reports.ts. One row more, whose number is that of
-- the newest question.
INSERT IGNORE INTO AdminCounter (id, last) VALUES (2, 0);

-- origin is another number for each process, at in milliseconds since the epoch, body a JSON object.
CREATE TABLE IF NOT EXISTS NodeReport (
  question BIGINT NOT NULL,
  origin BIGINT NOT NULL,
  node VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (question, origin)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
