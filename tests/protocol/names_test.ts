import { assertEquals } from "@std/assert";
import { DatabaseError } from "../../lib/base/errors.ts";
import { createLogger } from "../../lib/base/logger.ts";
import { checkName, nameKey, normalizeName } from "../../lib/protocol/names.ts";
import type { Database } from "../../lib/store/database.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openMysql } from "../../lib/store/mysql.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { startMariaDb } from "../support/services.ts";

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
  "🇩🇪 🇯🇵",
  "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
  "葛\u{e0100}城", // with a selector of the form
  "Ann\u00a0Lee", // with another space
  "山田\u3000太郎",
  "Ann (Lee)",
  "2 (b2)",
  "ไก่ กุ้ง",
  "ᠮᠣᠩᠭᠣᠯ",
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
  ["a\u2800b", "has control or invisible characters"],
  ["a\ufffcb", "has control or invisible characters"],
  ["a\u034fb", "has control or invisible characters"],
  ["\u115f\u1160", "has control or invisible characters"],
  ["\uffa0", "has control or invisible characters"],
  ["a\u180eb", "has control or invisible characters"],
  ["a\u{e0067}", "has control or invisible characters"],
  ["🏴\u{e0078}\u{e0078}\u{e007f}", "has control or invisible characters"],
  ["a\u{e0100}", "has control or invisible characters"],
  ["葛\u{e0100}\u{e0101}", "has control or invisible characters"],
  ["\u0301", "has an accent without a letter"],
  ["\u0301a", "has an accent without a letter"],
  ["a \u0301b", "has an accent without a letter"],
  ["\u0378", "has characters that Unicode does not know"],
  ["a\u{e000}", "has characters that Unicode does not know"],
  ["a\u{10ffff}", "has characters that Unicode does not know"],
  ["a  b", "has two spaces in a row"],
  ["a\u00a0 b", "has two spaces in a row"],
  ["ann (1): hi", "has a number in parentheses, as ids are shown"],
  ["li (2)", "has a number in parentheses, as ids are shown"],
  ["li（２）", "has a number in parentheses, as ids are shown"],
  ["li ⑵", "has a number in parentheses, as ids are shown"],
  ["li ( ٢ ) x", "has a number in parentheses, as ids are shown"],
  ["a\ud800", "is not valid Unicode"],
  ["\udc00a", "is not valid Unicode"],
  ["x".repeat(51), "is longer than 50 characters"],
  ["😀".repeat(51), "is longer than 50 characters"],
  ["\ufdfa".repeat(50), "is longer than 50 characters"], // the key of each has 33 bytes
  ["x".repeat(16_000), "is longer than 50 characters"],
  ["\u0316\u0301".repeat(16_000), "is longer than 50 characters"],
];

Deno.test("a name is 1 to 50 visible characters of any script", { permissions: "none" }, () => {
  for (const name of ACCEPTABLE) assertEquals(checkName(name), undefined, JSON.stringify(name));
  for (const [name, reason] of UNACCEPTABLE) assertEquals(checkName(name), reason, JSON.stringify(name));
});

/** Names that are taken together, and names that are not although some collation would say so. */
const SAME = [
  ["Ann", "ann"],
  ["ÉCOLE", "e\u0301cole"],
  ["Åse", "\u212bse"],
  ["ДА", "да"],
  ["İ", "i̇"],
  ["x<ΝΙΚΟΣ>", "x<νικοσ>"],
  ["ΝΙΚΟΣ", "νικος"],
  ["σ", "ς"],
  ["µ", "Μ"],
  ["ſ", "S"],
  ["strasse", "straße"],
  ["STRAẞE", "straße"],
  ["ａＮＮ", "ann"],
  ["ﬁn", "FIN"],
  ["①", "1"],
  ["a b", "a\u2003b"],
  ["❤️", "❤"],
  ["葛\u{e0100}", "葛"],
  ["ᎠᎳ", "ꭰꮃ"],
  ["ᾳ", "ΑΙ"],
  ["K", "\u212a"],
] as const;
const DIFFERENT = [["a", "á"], ["I", "ı"], ["か", "が"], ["a", "а"], ["ab", "a b"], ["🇩🇪", "🇫🇷"], [
  "🏴",
  "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
]] as const;

Deno.test("names are the same without regard to case, composition and form, and to nothing else", {
  permissions: "none",
}, () => {
  for (const [one, other] of SAME) assertEquals(nameKey(one), nameKey(other), `${one} ${other}`);
  for (const [one, other] of DIFFERENT) {
    assertEquals(nameKey(one).join() === nameKey(other).join(), false, `${one} ${other}`);
  }
});

/** Unicode's CaseFolding.txt, what is of status F there: a character in hexadecimal, and what it is folded to. */
const FULL_FOLDINGS = [
  "df=73+73 130=69+307 149=2bc+6e 1f0=6a+30c 390=3b9+308+301 3b0=3c5+308+301 587=565+582 1e96=68+331",
  "1e97=74+308 1e98=77+30a 1e99=79+30a 1e9a=61+2be 1e9e=73+73 1f50=3c5+313 1f52=3c5+313+300",
  "1f54=3c5+313+301 1f56=3c5+313+342 1f80=1f00+3b9 1f81=1f01+3b9 1f82=1f02+3b9 1f83=1f03+3b9",
  "1f84=1f04+3b9 1f85=1f05+3b9 1f86=1f06+3b9 1f87=1f07+3b9 1f88=1f00+3b9 1f89=1f01+3b9 1f8a=1f02+3b9",
  "1f8b=1f03+3b9 1f8c=1f04+3b9 1f8d=1f05+3b9 1f8e=1f06+3b9 1f8f=1f07+3b9 1f90=1f20+3b9 1f91=1f21+3b9",
  "1f92=1f22+3b9 1f93=1f23+3b9 1f94=1f24+3b9 1f95=1f25+3b9 1f96=1f26+3b9 1f97=1f27+3b9 1f98=1f20+3b9",
  "1f99=1f21+3b9 1f9a=1f22+3b9 1f9b=1f23+3b9 1f9c=1f24+3b9 1f9d=1f25+3b9 1f9e=1f26+3b9 1f9f=1f27+3b9",
  "1fa0=1f60+3b9 1fa1=1f61+3b9 1fa2=1f62+3b9 1fa3=1f63+3b9 1fa4=1f64+3b9 1fa5=1f65+3b9 1fa6=1f66+3b9",
  "1fa7=1f67+3b9 1fa8=1f60+3b9 1fa9=1f61+3b9 1faa=1f62+3b9 1fab=1f63+3b9 1fac=1f64+3b9 1fad=1f65+3b9",
  "1fae=1f66+3b9 1faf=1f67+3b9 1fb2=1f70+3b9 1fb3=3b1+3b9 1fb4=3ac+3b9 1fb6=3b1+342 1fb7=3b1+342+3b9",
  "1fbc=3b1+3b9 1fc2=1f74+3b9 1fc3=3b7+3b9 1fc4=3ae+3b9 1fc6=3b7+342 1fc7=3b7+342+3b9 1fcc=3b7+3b9",
  "1fd2=3b9+308+300 1fd3=3b9+308+301 1fd6=3b9+342 1fd7=3b9+308+342 1fe2=3c5+308+300 1fe3=3c5+308+301",
  "1fe4=3c1+313 1fe6=3c5+342 1fe7=3c5+308+342 1ff2=1f7c+3b9 1ff3=3c9+3b9 1ff4=3ce+3b9 1ff6=3c9+342",
  "1ff7=3c9+342+3b9 1ffc=3c9+3b9 fb00=66+66 fb01=66+69 fb02=66+6c fb03=66+66+69 fb04=66+66+6c",
  "fb05=73+74 fb06=73+74 fb13=574+576 fb14=574+565 fb15=574+56b fb16=57e+576 fb17=574+56d",
].join(" ").split(" ");

Deno.test("case is folded as Unicode's full case folding does it, for every character", {
  permissions: "none",
}, () => {
  const key = (text: string) => nameKey(text).join();
  const hex = (codes: string) => String.fromCodePoint(...codes.split("+").map((code) => parseInt(code, 16)));
  assertEquals(FULL_FOLDINGS.length, 104);
  for (const folding of FULL_FOLDINGS) {
    const [char = "", folded = ""] = folding.split("=").map(hex);
    assertEquals(key(char), key(folded), folding);
  }
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (let code = 0; code <= 0x10ffff; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const char = String.fromCodePoint(code);
    // Most code points are none of a name's, or ideographs.
    if (/\p{Cn}|\p{Co}|\p{Unified_Ideograph}|\p{Script=Hang}|\p{Script=Tang}/u.test(char)) continue;
    const once = nameKey(char);
    // A key is its own key: a name that has it as its text is the same name.
    assertEquals(nameKey(decoder.decode(once)), once, code.toString(16));
    // Regular expressions know the simple foldings, status C and S.
    for (const other of new Set([char.toLowerCase(), char.toUpperCase()])) {
      if (other === char || [...other].length > 1) continue;
      const isSame = new RegExp(`^\\u{${code.toString(16)}}$`, "iu").test(other);
      assertEquals(key(other) === once.join(), isSame, `${char} ${other}`);
    }
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

Deno.test("names of an older rule get the keys of this one, unless another has it", async () => {
  const lines: string[] = [];
  const logger = createLogger({ level: "warn", format: "text", write: (line) => lines.push(line) });
  const encoder = new TextEncoder();
  const oldKey = (name: string) => encoder.encode(name.normalize("NFC").toLowerCase().normalize("NFC"));
  // The first of two keeps its name, whichever it is; and what is not a name any more stays one.
  const names = [
    "ann",
    "Straße",
    "ΝΙΚΟΣ",
    "νικοσ",
    "σ",
    "ς",
    "ａnn",
    "li (2)",
    "a\u2800",
    "\ufdfa".repeat(50),
    "1",
  ];
  const keys = [
    "ann",
    "strasse",
    "νικος",
    "νικοσ",
    "σ",
    "ς",
    "ａnn",
    "li (2)",
    "a\u2800",
    "\ufdfa".repeat(50),
    "1",
  ];
  await using mariadb = await startMariaDb();
  const mysql = await openMysql({ url: mariadb.url, poolSize: 2, logger });
  const sqlite = openSqlite(":memory:");
  try {
    for (const db of [mysql, sqlite]) {
      lines.length = 0;
      await migrate(db, logger);
      await db.run("DELETE FROM Migration WHERE name = '0008_name_keys'");
      for (const name of names) {
        await db.run("INSERT INTO User (name, name_key, password) VALUES (?, ?, '')", [name, oldKey(name)]);
        await db.run("INSERT INTO AllGroup (groupname, groupname_key) VALUES (?, ?)", [name, oldKey(name)]);
      }
      assertEquals(await migrate(db, logger), [
        "0008_name_keys: 1 names of the table User have new keys",
        "0008_name_keys: 1 names of the table AllGroup have new keys",
      ]);
      assertEquals(lines.map((line) => line.slice(line.indexOf("names"))), [
        "names that another one is the same as keep their old keys table=User names=4\n",
        "names that another one is the same as keep their old keys table=AllGroup names=4\n",
      ]);
      for (const [table, column] of [["User", "name"], ["AllGroup", "groupname"]] as const) {
        const rows = await db.query<{ name: string; name_key: Uint8Array }>(
          `SELECT ${column} AS name, ${column}_key AS name_key FROM ${table} ORDER BY id`,
        );
        assertEquals(rows.map(({ name }) => name), names);
        assertEquals(rows.map(({ name_key }) => new TextDecoder().decode(name_key)), keys);
      }
      assertEquals(await migrate(db, logger), []);
    }
  } finally {
    await mysql.close();
    await sqlite.close();
  }
});
