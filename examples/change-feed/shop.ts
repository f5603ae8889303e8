import { DatabaseSync } from 'node:sqlite'

/**
 * Opens the database of a shop that is independent of Tidings. Two database triggers store each change in its transaction,
 * until it is read.
 */
export function openShop(path: string): DatabaseSync {
  const shop = new DatabaseSync(path)
  shop.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA busy_timeout = 5000;
    CREATE TABLE IF NOT EXISTS orders(number INTEGER PRIMARY KEY, item TEXT NOT NULL, state TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS changes(
      position INTEGER PRIMARY KEY, id TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))), change TEXT NOT NULL
    );
    CREATE TRIGGER IF NOT EXISTS ordered AFTER INSERT ON orders BEGIN
      INSERT INTO changes(change) VALUES (json_object('number', new.number, 'item', new.item, 'state', new.state));
    END;
    CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE ON orders BEGIN
      INSERT INTO changes(change) VALUES (json_object('number', new.number, 'item', new.item, 'state', new.state));
    END;
  `)
  return shop
}
