CREATE TABLE IF NOT EXISTS bucket (
    name          TEXT PRIMARY KEY,
    created       INTEGER NOT NULL,
    notifications TEXT NOT NULL DEFAULT '[]',
    eventbridge   INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Keys compare as bytes, which is the order that S3 lists them in.
CREATE TABLE IF NOT EXISTS object (
    bucket    TEXT NOT NULL,
    key       TEXT NOT NULL,
    blob      TEXT NOT NULL,
    size      INTEGER NOT NULL,
    etag      TEXT NOT NULL,
    sequencer TEXT NOT NULL,
    modified  INTEGER NOT NULL,
    headers   TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS upload (
    id      TEXT PRIMARY KEY,
    bucket  TEXT NOT NULL,
    key     TEXT NOT NULL,
    headers TEXT NOT NULL,
    started INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS part (
    upload   TEXT NOT NULL,
    number   INTEGER NOT NULL,
    blob     TEXT NOT NULL,
    size     INTEGER NOT NULL,
    etag     TEXT NOT NULL,
    modified INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;

-- One row: the last sequencer that was given out.
CREATE TABLE IF NOT EXISTS sequencer (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
);
INSERT OR IGNORE INTO sequencer VALUES (1, 0);
