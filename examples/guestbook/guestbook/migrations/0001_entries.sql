CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    message TEXT NOT NULL,
    written_at TEXT NOT NULL DEFAULT (datetime('now'))
);
INSERT INTO entries (name, message) VALUES ('花子', 'はじめまして。Nice to meet you.');
