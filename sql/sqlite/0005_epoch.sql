-- One row: the name of the log's history. It changes when the database is found to have gone back in time.
CREATE TABLE Epoch (epoch TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

INSERT INTO Epoch (epoch) VALUES (lower(hex(randomblob(16))));
