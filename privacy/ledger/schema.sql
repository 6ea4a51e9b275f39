-- The ledger of one operator. anchor, entry and result are the record; spent holds running totals that follow
-- from anchor and entries and that `verify` recomputes.
CREATE TABLE ledger (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    version  INTEGER NOT NULL,
    identity TEXT NOT NULL
) STRICT;
CREATE TABLE anchor (
    only      INTEGER PRIMARY KEY CHECK (only = 1),
    anchor    BLOB NOT NULL, -- what stands for the entries that were pruned
    signature BLOB NOT NULL  -- of the anchor, by the operator's own key; empty without one
) STRICT;
CREATE TABLE entry (
    sequence   INTEGER PRIMARY KEY,
    release_id TEXT UNIQUE,   -- NULL: a forfeit
    entry      BLOB NOT NULL,
    head       TEXT NOT NULL,
    opening    BLOB NOT NULL, -- r of the snapshot commitment; never leaves the node
    signature  BLOB NOT NULL  -- of the head, by the operator's own key; empty without one
) STRICT;
CREATE TABLE result (
    release_id TEXT PRIMARY KEY REFERENCES entry (release_id),
    bytes      BLOB NOT NULL
) STRICT;
CREATE TABLE lost (
    release_id TEXT PRIMARY KEY REFERENCES entry (release_id)  -- charged, its bytes gone with a backup
) STRICT;
CREATE TABLE nonce (
    nonce      TEXT PRIMARY KEY,
    release_id TEXT NOT NULL REFERENCES entry (release_id)
) STRICT;
CREATE INDEX nonce_release ON nonce (release_id);
CREATE TABLE spent (
    length    INTEGER NOT NULL,  -- of the window, in days
    first_day TEXT NOT NULL,
    nano      INTEGER NOT NULL,
    PRIMARY KEY (length, first_day)
) STRICT, WITHOUT ROWID;
