-- What operators ask running nodes, and their answers: see lib/store/node_reports.ts. One row more, whose number is that of
-- the newest question.
INSERT INTO AdminCounter (id, last) VALUES (2, 0);

-- origin is another number for each process, at in milliseconds since the epoch, body a JSON object.
CREATE TABLE NodeReport (
  question INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  node TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (question, origin)
) STRICT, WITHOUT ROWID;
