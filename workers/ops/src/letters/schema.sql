-- A copy is one message, or one object, that was read. It stays after it is gone: it is the letter's history, and
-- the copy that a dropped letter is restored from.
CREATE TABLE IF NOT EXISTS copy (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    place       TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    letter      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    worker      TEXT NOT NULL,
    reason      TEXT NOT NULL,
    message     TEXT NOT NULL,
    subject     TEXT NOT NULL,
    record_ids  TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    trace_id    TEXT,
    edited_from TEXT,
    message_group TEXT,
    receipt     TEXT,
    visible_at  INTEGER NOT NULL,
    reading     INTEGER NOT NULL,
    first_seen  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    -- here; gone: no longer in its place; dropping, dropped: an operator dropped it; edited: replaced by another letter
    state       TEXT NOT NULL,
    attributes  TEXT NOT NULL,
    body        TEXT NOT NULL,
    UNIQUE (place, message_id)
);
CREATE INDEX IF NOT EXISTS copy_by_letter ON copy (letter, state);
CREATE INDEX IF NOT EXISTS copy_by_reading ON copy (place, state, reading);

-- What is said of a letter is what its best copy says: the one that tells of the most attempts.
CREATE TABLE IF NOT EXISTS letter (
    id         TEXT PRIMARY KEY,
    best       INTEGER NOT NULL,
    copies     INTEGER NOT NULL,
    first      INTEGER NOT NULL,
    last       INTEGER NOT NULL,
    state      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    worker     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    record_ids TEXT NOT NULL
) WITHOUT ROWID;
-- The order of a replay.
CREATE INDEX IF NOT EXISTS letter_by_age ON letter (first, id);
CREATE INDEX IF NOT EXISTS letter_by_time ON letter (state, last DESC, id);
CREATE INDEX IF NOT EXISTS letter_by_reason ON letter (state, worker, reason, kind, first, copies);

CREATE TABLE IF NOT EXISTS reading (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    began  INTEGER NOT NULL,
    ended  INTEGER
);

-- What an operator changed: the letter that came of it, the one before, the merge patch, the event before it.
CREATE TABLE IF NOT EXISTS edit (
    letter   TEXT PRIMARY KEY,
    original TEXT NOT NULL,
    patch    TEXT NOT NULL,
    before   TEXT NOT NULL,
    at       INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS run (
    id    TEXT PRIMARY KEY,
    what  TEXT NOT NULL,
    began INTEGER NOT NULL,
    ended INTEGER
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS run_letter (
    run      TEXT NOT NULL,
    letter   TEXT NOT NULL,
    progress TEXT NOT NULL,
    at       INTEGER NOT NULL,
    note     TEXT,
    PRIMARY KEY (run, letter)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_letter_by_progress ON run_letter (run, progress, letter);
CREATE INDEX IF NOT EXISTS run_letter_by_letter ON run_letter (letter);
