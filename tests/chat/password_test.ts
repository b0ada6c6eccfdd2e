import { assert, assertEquals, assertRejects } from "@std/assert";
import { checkPassword, Passwords } from "../../lib/chat/password.ts";
import { newPerson } from "../support/chat_client.ts";
import { runOrThrow } from "../support/process.ts";
import { startServer } from "../support/services.ts";

/** Threads read their program. */
const withThreads = { permissions: { read: true } } as const;

Deno.test(
  "a password is recognised by its hash, and by the original's plain text, which is then replaced",
  withThreads,
  async () => {
    using passwords = new Passwords();
    const hash = await passwords.hash("s3cret ☃");
    assert(hash.length <= 255);
    assertEquals(await passwords.verify("s3cret ☃", hash), { isRight: true });
    assertEquals(await passwords.verify("s3cret", hash), { isRight: false });
    const { isRight, replacement } = await passwords.verify("plain", "plain");
    assert(isRight && replacement !== undefined);
    assertEquals(await passwords.verify("plain", replacement), { isRight: true });
    assertEquals(await passwords.verify("plain ", "plain"), { isRight: false });
    assertEquals(await passwords.verify("anything", undefined), { isRight: false });
  },
);

Deno.test("a hash with other parameters is right and gets a replacement", withThreads, async () => {
  using passwords = new Passwords();
  // scrypt of "pw" with N = 16: made by node:crypto.
  const { scryptSync } = await import("node:crypto");
  const key = scryptSync("pw", "salt", 32, { N: 16, r: 8, p: 1 }).toString("base64").replace(/=+$/, "");
  const stored = `$scrypt$ln=4,r=8,p=1$${btoa("salt").replace(/=+$/, "")}$${key}`;
  const { isRight, replacement } = await passwords.verify("pw", stored);
  assert(isRight && replacement?.includes("ln=14"));
  using cheap = new Passwords({ passwordCost: 10 });
  const { replacement: another } = await cheap.verify("pw", replacement);
  assert(another !== undefined && another.startsWith("$scrypt$ln=10,"));
  assertEquals(await cheap.verify("pw", another), { isRight: true });
  assertEquals([cheap.isCurrent(another), cheap.isCurrent(stored), cheap.isCurrent("pw")], [
    true,
    false,
    false,
  ]);
});

Deno.test("a password is the same however it is typed, also to a hash of before", withThreads, async () => {
  using passwords = new Passwords();
  const [nfc, nfd] = ["Zo\u00eb 1", "Zoe\u0308\u00a01"];
  for (const [one, other] of [[nfc, nfd], [nfd, nfc]] as const) {
    assertEquals(await passwords.verify(other, await passwords.hash(one)), { isRight: true });
    assertEquals((await passwords.verify(other, one)).isRight, true, "plain text");
  }
  const { scryptSync } = await import("node:crypto");
  const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes)).replace(/=+$/, "");
  const salt = new Uint8Array(16);
  // As it was stored when passwords were hashed as typed.
  const old = (password: string) =>
    `$scrypt$ln=14,r=8,p=1$${base64(salt)}$${
      base64(scryptSync(password, salt, 32, { N: 16_384, r: 8, p: 1 }))
    }`;
  assertEquals(await passwords.verify(nfd, old(nfc)), { isRight: true });
  const { isRight, replacement } = await passwords.verify(nfd, old(nfd));
  assert(isRight && replacement !== undefined);
  assertEquals(await passwords.verify(nfc, replacement), { isRight: true });
  assertEquals(await passwords.verify("zoe\u0308", old(nfd)), { isRight: false });
});

Deno.test("a password is 1 to 512 code points of valid Unicode", { permissions: "none" }, () => {
  for (const good of ["p", "x".repeat(512), "😀".repeat(512), "e\u0301".repeat(512), "a\0"]) {
    assertEquals(checkPassword(good), undefined);
  }
  for (
    const bad of ["", "x".repeat(513), "😀".repeat(513), "\ud800", "a\udc00", "\u0316\u0301".repeat(16_000)]
  ) {
    assert(checkPassword(bad) !== undefined, bad.slice(0, 10));
  }
});

Deno.test("a hash that cannot be made fails alone", withThreads, async () => {
  using passwords = new Passwords();
  const right = await passwords.hash("pw");
  const impossible = right.replace("ln=14", "ln=60");
  await assertRejects(() => passwords.verify("pw", impossible), Error, "cannot be hashed");
  assertEquals(await passwords.verify("pw", right), { isRight: true });
});

Deno.test("an unknown user costs the work of a known one", withThreads, async () => {
  using passwords = new Passwords();
  const hash = await passwords.hash("a");
  const time = async (stored: string | undefined) => {
    const start = performance.now();
    for (let i = 0; i < 5; i++) await passwords.verify("b", stored);
    return performance.now() - start;
  };
  await time(hash);
  const [known, unknown, plain] = [await time(hash), await time(undefined), await time("plain")];
  // A path without a hash would be thousands of times faster.
  assert(unknown > known / 50, `${unknown} ms for an unknown user, ${known} ms for a known one`);
  assert(plain > known / 50, `${plain} ms for plain text, ${known} ms for a hash`);
});

Deno.test({
  name: "passwords are hashed on threads that give way to chat",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using server = await startServer(["--sqlite", ":memory:"]);
    await using _person = await newPerson(server.port, "ann");
    const stat = await runOrThrow("sh", ["-c", `cat /proc/${server.pid}/task/*/stat`]);
    // Behind the name in brackets, which may hold anything: state, …, and as the 17th the niceness.
    const threads = stat.trim().split("\n").map((line) => ({
      id: parseInt(line),
      niceness: Number(line.slice(line.lastIndexOf(")") + 2).split(" ")[16]),
    }));
    assert(threads.some(({ niceness }) => niceness === 19));
    const main = threads.find(({ id }) => id === server.pid);
    assert(main && main.niceness < 19);
  },
});
