-- An order's place in its account's history is the outbox's number for it; its key makes it one and the same.
-- (The server that has no users yet takes a statement for ended at a semicolon before an empty line.)
CREATE TABLE orders (
  account text NOT NULL,
  key text NOT NULL,
  place bigint NOT NULL,
  content text NOT NULL,
  PRIMARY KEY (account, key)
);

CREATE INDEX orders_in_order ON orders (account, place);

GRANT SELECT, INSERT ON orders TO shop;

