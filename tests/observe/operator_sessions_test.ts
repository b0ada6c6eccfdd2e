import { assert, assertEquals } from "@std/assert";
import { OperatorSessions, SESSION_MS } from "../../lib/observe/operator_sessions.ts";

/** Sessions of users whose password is their name; all of them are administrators. */
function makeSessions() {
  const clock = { now: 1_000 };
  const account = (name: string) => ({ id: Number(name.slice(1)), name, password: name, revoked: 0 });
  const options = {
    users: {
      account: (id: number) => Promise.resolve(account(`u${id}`)),
      accountOfName: (name: string) => Promise.resolve(account(name)),
      isAdministrator: () => Promise.resolve(true),
    },
    passwords: {
      turns: { run: (_: unknown, work: () => Promise<unknown>) => work() },
      verify: (password: string, stored: string) => Promise.resolve({ isRight: password === stored }),
    },
    guesses: {
      msToWait: () => Promise.resolve(0),
      right: () => Promise.resolve(),
      wrong: () => Promise.resolve(),
    },
    limited: { guesses: 0, hashes: 0 },
    now: () => clock.now,
  } as unknown as ConstructorParameters<typeof OperatorSessions>[0];
  const sessions = new OperatorSessions(options);
  const logIn = async (name: string) => {
    const reply = await sessions.logIn({ name, password: name, person: undefined });
    assert("token" in reply);
    return reply.token;
  };
  return { clock, sessions, logIn };
}

Deno.test("a login of an operator lasts twelve hours", { permissions: "none" }, async () => {
  const { clock, sessions, logIn } = makeSessions();
  const token = await logIn("u1");
  clock.now += SESSION_MS - 1;
  assertEquals((await sessions.find(token))?.name, "u1");
  clock.now += 1;
  assertEquals(await sessions.find(token), undefined);
  assertEquals(await sessions.find(""), undefined);
});

Deno.test(
  "a hundred operators are logged in at most; the oldest login goes",
  { permissions: "none" },
  async () => {
    const { sessions, logIn } = makeSessions();
    const tokens = [];
    for (let user = 1; user <= 101; user++) tokens.push(await logIn(`u${user}`));
    const found = await Promise.all(tokens.map((token) => sessions.find(token)));
    assertEquals(found.map((operator) => operator?.userId), [
      undefined,
      ...Array.from({ length: 100 }, (_, index) => index + 2),
    ]);
  },
);
