import { assertEquals } from "@std/assert";
import { DatabaseError } from "../lib/errors.ts";
import { createLogger } from "../lib/logger.ts";
import { checkName, nameKey, normalizeName } from "../lib/names.ts";
import type { Database } from "../lib/store/database.ts";
import { migrate } from "../lib/store/migrations.ts";
import { openMysql } from "../lib/store/mysql.ts";
import { openSqlite } from "../lib/store/sqlite.ts";
import { startMariaDb } from "./services.ts";

const ACCEPTABLE = [
  "a",
  "Ann Lee",
  "张三",
  "Zoë",
  "O'Brien \\ \"%_;--",
  "1",
  "null",
  "é".repeat(50),
  "e\u0301".repeat(50), // 100 code points, 50 once they are composed
  "😀".repeat(50),
  "👩🏽‍💻",
  "🏳️‍🌈",
  "❤️",
  "1️⃣",
  "می‌خواهم", // with a non-joiner
  "क्‍ष", // with a joiner
];

const UNACCEPTABLE: readonly (readonly [name: string, reason: string])[] = [
  ["", "is empty"],
  [" a", "begins or ends with white space"],
  ["a ", "begins or ends with white space"],
  ["a\u00a0", "begins or ends with white space"],
  ["a\u3000", "begins or ends with white space"],
  ["\ufeffa", "begins or ends with white space"],
  ["a\n", "begins or ends with white space"],
  ["a\0b", "has control or invisible characters"],
  ["a\tb", "has control or invisible characters"],
  ["a\u0085b", "has control or invisible characters"],
  ["a\u2028b", "has control or invisible characters"],
  ["a\u200bb", "has control or invisible characters"],
  ["a\u200db", "has control or invisible characters"],
  ["a\u202eb", "has control or invisible characters"],
  ["a\u00adb", "has control or invisible characters"],
  ["a\ufe0f", "has control or invisible characters"],
  ["1\ufe0f", "has control or invisible characters"],
  ["\u3164", "has control or invisible characters"],
  ["a\ud800", "is not valid Unicode"],
  ["\udc00a", "is not valid Unicode"],
  ["x".repeat(51), "is longer than 50 characters"],
  ["😀".repeat(51), "is longer than 50 characters"],
];

Deno.test("a name is 1 to 50 visible characters of any script", { permissions: "none" }, () => {
  for (const name of ACCEPTABLE) assertEquals(checkName(name), undefined, JSON.stringify(name));
  for (const [name, reason] of UNACCEPTABLE) assertEquals(checkName(name), reason, JSON.stringify(name));
});

/** Names that are taken together, and names that are not although some collation would say so. */
const SAME = [["Ann", "ann"], ["ÉCOLE", "e\u0301cole"], ["Åse", "\u212bse"], ["ДА", "да"], [
  "İ",
  "i̇",
]] as const;
const DIFFERENT = [["a", "á"], ["strasse", "straße"], ["ann", "ann "], ["I", "ı"], ["ａ", "a"], [
  "か",
  "が",
]] as const;

Deno.test("names are the same without regard to case and composition, and to nothing else", {
  permissions: "none",
}, () => {
  for (const [one, other] of SAME) assertEquals(nameKey(one), nameKey(other), `${one} ${other}`);
  for (const [one, other] of DIFFERENT) {
    assertEquals(nameKey(one).join() === nameKey(other).join(), false, `${one} ${other}`);
  }
});

/** Which of the names could be inserted, one after the other. */
async function insertAll(db: Database, names: readonly string[]): Promise<boolean[]> {
  const results: boolean[] = [];
  for (const name of names) {
    try {
      await db.run("INSERT INTO User (name, name_key, password) VALUES (?, ?, '')", [
        normalizeName(name),
        nameKey(name),
      ]);
      results.push(true);
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.kind !== "duplicate") throw error;
      results.push(false);
    }
  }
  return results;
}

Deno.test("SQLite and MySQL take the same names, store them alike and refuse the same ones as taken", async () => {
  const logger = createLogger({
    level: "error",
    format: "text",
    write: (line) => console.error(line.trimEnd()),
  });
  const names = [...ACCEPTABLE, ...SAME.flat(), ...DIFFERENT.flat()].filter((name) =>
    checkName(name) === undefined
  );
  await using mariadb = await startMariaDb();
  const mysql = await openMysql({ url: mariadb.url, poolSize: 2, logger });
  const sqlite = openSqlite(":memory:");
  try {
    const stored: unknown[] = [];
    for (const db of [mysql, sqlite]) {
      await migrate(db, logger);
      const isTaken = await insertAll(db, names);
      const rows = await db.query<{ name: string; name_key: Uint8Array }>(
        "SELECT name, name_key FROM User ORDER BY id",
      );
      stored.push({ isTaken, rows: rows.map(({ name, name_key }) => `${name} ${name_key.join()}`) });
    }
    assertEquals(stored[0], stored[1]);
  } finally {
    await mysql.close();
    await sqlite.close();
  }
});
