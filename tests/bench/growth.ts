/**
 * Target 7: what it changes for those who log in, read and write that there is much of something: of users, of a user's
 * conversations, of messages in one, of members of a group.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { passwordLogin } from "./accounts.ts";
import { Asker, compare, visit } from "./asker.ts";
import {
  type Bench,
  type BenchContext,
  mariaDbStorage,
  sqliteStorage,
  startNode,
  withStorage,
} from "./bench.ts";
import { cpuSeconds } from "./cpu.ts";
import {
  BEGUN_AT,
  type Cast,
  CONVERSATIONS,
  fillLarge,
  fillUsers,
  GROUPS,
  MEMBERS,
  MESSAGES,
  ONLINE,
  PASSWORD,
  type Person,
  type Size,
  SIZES,
  USERS,
} from "./growth_data.ts";
import { listen } from "./listeners.ts";
import type { Finding } from "./report.ts";

const TIMES = 60;
const PAGE = 50;
/** Nobody is made to wait or refused, and there is room for one more member. */
const UNBOUNDED = [
  ...["--lookup-rate", "0", "--request-rate", "0", "--undelivered-messages", "0", "--undelivered-bytes", "0"],
  ...["--max-members", "10000"],
];
/** What has been said has come to all of a group by then, ms. */
const HEARD_MS = 20;
const CPU_MESSAGES: Record<Size, number> = { large: 100, small: 1_000 };

interface Node {
  port: number;
  pid: number;
}

type Row = Omit<Finding, "target">;

/** How long something takes, against where there is little. */
function timed(what: string, yardstick: string, { large, small }: Record<Size, number>): Row {
  return {
    what: `${what}: p50`,
    value: large,
    unit: "ms",
    yardstick: { name: yardstick, value: small },
    goal: { at: "most", bound: 1.5 },
  };
}

/** What has to grow with what is asked for: each part of it. */
function each(
  what: string,
  counts: Record<Size, number>,
  { large, small }: Record<Size, number>,
): Row {
  return {
    what: `${what}, for each of ${counts.large} in the answer: p50`,
    value: large / counts.large * 1_000,
    unit: "µs",
    yardstick: { name: `of ${counts.small}`, value: small / counts.small * 1_000 },
    goal: { at: "most", bound: 1.5 },
    details: { "all ms": large, [`${counts.small} ms`]: small },
  };
}

/** Somebody for each of many tries. */
function oneOf(people: readonly Person[], index: number): Person {
  const person = people[index % people.length];
  if (!person) throw new Error("There is nobody");
  return person;
}

/** Two storages with many users and few. */
async function measureUsers(
  context: BenchContext,
  ports: Record<Size, number>,
  people: Record<Size, Person[]>,
): Promise<Row[]> {
  const rows: Row[] = [];
  const measure = async (what: string, work: (size: Size, index: number) => Promise<number>) => {
    rows.push(
      timed(`${what}, ${USERS.large} users`, `${USERS.small} users`, await compare(SIZES, TIMES, work)),
    );
  };
  const guest = (size: Size, index: number) => oneOf(people[size].slice(2), index);
  await measure("login of version 2", (size, index) => visit(context, ports[size], guest(size, index).token));
  await measure(
    "login of version 3",
    (size, index) => visit(context, ports[size], guest(size, index).device),
  );
  using large = await Asker.open(context, ports.large, oneOf(people.large, 0).device);
  using small = await Asker.open(context, ports.small, oneOf(people.small, 0).device);
  const askers = { large, small };
  const last = (size: Size, index: number) => USERS[size] - index % PAGE;
  await measure(
    "finding a name",
    (size, index) => askers[size].ask(27, `"name":"user ${last(size, index)}"`),
  );
  await measure("finding how names begin", (size) => askers[size].ask(27, '"prefix":"us"'));
  await measure("sending, first message", (size, index) => askers[size].chat({ toid: last(size, index) }));
  await measure("sending", (size) => askers[size].chat({ toid: 2 }));
  return rows;
}

/** Users of many conversations and few; of as many as the list has on a page, too. */
async function measureConversations(
  context: BenchContext,
  { port }: Node,
  { busy, page }: Cast,
): Promise<Row[]> {
  const people = { ...busy, page };
  const what = (asked: string) => `${asked}, ${CONVERSATIONS.large} conversations`;
  const few = `${CONVERSATIONS.small} conversations`;
  const listed = await compare(
    [...SIZES, "page"],
    TIMES,
    (name) => visit(context, port, people[name].device),
  );
  const told = await compare(SIZES, TIMES, (size) => visit(context, port, busy[size].token));
  const rows: Row[] = [
    {
      ...timed(what("login of version 3, which lists 200"), "200 conversations", {
        ...listed,
        small: listed.page,
      }),
      details: { [`${few} ms`]: listed.small },
    },
    each("login of version 2, which lists all conversations", CONVERSATIONS, told),
  ];
  {
    using large = await Asker.open(context, port, busy.large.device);
    using small = await Asker.open(context, port, busy.small.device);
    const askers = { large, small };
    const list = (before: Record<Size, string>) =>
      compare(SIZES, TIMES, (size) => askers[size].ask(34, `${before[size]}"limit":${PAGE}`));
    const middle = `"before":${BEGUN_AT + CONVERSATIONS.large / 2},`;
    rows.push(
      timed(what("the list, newest page"), few, await list({ large: "", small: "" })),
      timed(what("the list, a page in the middle"), few, await list({ large: middle, small: "" })),
    );
  }
  const withPassword = ({ id, token }: Person) => ({
    ...token,
    login: passwordLogin(id, PASSWORD),
  });
  const logins = await compare(SIZES, TIMES, (size) => visit(context, port, withPassword(busy[size])));
  rows.push(timed(what("login of version 1"), few, logins));
  return rows;
}

/** A long conversation and a short one. */
async function measureTalks(context: BenchContext, { port }: Node, { behind, talker }: Cast): Promise<Row[]> {
  const rows: Row[] = [];
  const measure = async (what: string, work: (size: Size) => Promise<number>) => {
    rows.push(
      timed(
        `${what}, ${MESSAGES.large} messages in a conversation`,
        `${MESSAGES.small} messages`,
        await compare(SIZES, TIMES, work),
      ),
    );
  };
  await measure("login of version 3, all unread", (size) => visit(context, port, behind[size].device));
  await measure("login of version 2, nothing received", (size) => visit(context, port, behind[size].token));
  using large = await Asker.open(context, port, talker.large.device);
  using small = await Asker.open(context, port, talker.small.device);
  const askers = { large, small };
  const page = (size: Size, range = "") => {
    const conversation = `u${behind[size].id}-${talker[size].id}`;
    return askers[size].ask(15, `"conversation":"${conversation}",${range}"limit":${PAGE}`);
  };
  await measure("sending", (size) => askers[size].chat({ toid: behind[size].id }));
  await measure("history, newest page", (size) => page(size));
  await measure("history, a page in the middle", (size) => page(size, `"before":${MESSAGES[size] / 2},`));
  await measure("history, first page", (size) => page(size, '"after":0,'));
  return rows;
}

/** A large group and a small one. */
async function measureGroups(context: BenchContext, { port, pid }: Node, cast: Cast): Promise<Row[]> {
  const { speaker, stranger, away, online } = cast;
  using _members = await listen({
    port,
    accounts: [...online.large, ...online.small].map(({ device }) => device),
  });
  const what = (asked: string) => `${asked}, ${MEMBERS.large} members, ${ONLINE.large} online`;
  const few = `${MEMBERS.small} members, ${ONLINE.small} online`;
  const rows: Row[] = [];
  const measure = async (asked: string, work: (size: Size) => Promise<number>) =>
    rows.push(timed(what(asked), few, await compare(SIZES, TIMES, work)));
  await measure("login of version 3", (size) => visit(context, port, away[size].device));
  const told = await compare(SIZES, TIMES, (size) => visit(context, port, away[size].token));
  rows.push(each("login of version 2, which lists all members", MEMBERS, told));
  {
    using asker = await Asker.open(context, port, speaker.device);
    await measure(
      "a page of members",
      (size) => asker.ask(24, `"op":"members","groupid":${GROUPS[size]},"limit":${MEMBERS.small}`),
    );
    await measure("sending", async (size) => {
      await pause(HEARD_MS);
      return await asker.chat({ groupid: GROUPS[size] });
    });
    const cpuUs = async (size: Size) => {
      const [before = 0] = cpuSeconds(pid);
      for (let count = 0; count < CPU_MESSAGES[size]; count++) await asker.chat({ groupid: GROUPS[size] });
      await pause(HEARD_MS);
      const [after = 0] = cpuSeconds(pid);
      return (after - before) * 1e6 / CPU_MESSAGES[size] / (ONLINE[size] - 1);
    };
    rows.push({
      what: what("sending, processor time for each who receives it"),
      value: await cpuUs("large"),
      unit: "µs",
      yardstick: { name: few, value: await cpuUs("small") },
      goal: { at: "most", bound: 1.5 },
    });
  }
  using asker = await Asker.open(context, port, stranger.device);
  const leave = async (size: Size) => {
    await pause(HEARD_MS);
    return await asker.ask(24, `"op":"leave","groupid":${GROUPS[size]}`);
  };
  const join = async (size: Size) => {
    await pause(HEARD_MS);
    return await asker.ask(9, `"groupid":${GROUPS[size]}`);
  };
  await measure("joining", async (size) => {
    const ms = await join(size);
    await leave(size);
    return ms;
  });
  await measure("leaving", async (size) => {
    await join(size);
    return await leave(size);
  });
  return rows;
}

/** Each of them, in either database. */
export const growth: Bench = async (context) => {
  const { say, report } = context;
  for (const makeStorage of [sqliteStorage, mariaDbStorage]) {
    await using small = await makeStorage();
    await using large = await makeStorage();
    say(`much of everything is put into ${large.name}`);
    const people = {
      large: await withStorage(large, (db) => fillUsers(db, "large")),
      small: await withStorage(small, (db) => fillUsers(db, "small")),
    };
    const cast = await withStorage(large, fillLarge);
    await using node = await startNode(large, UNBOUNDED);
    const tell = (rows: readonly Row[]) => {
      for (const row of rows) report({ ...row, target: 7, what: `${large.name}, ${row.what}` });
    };
    say("many users");
    {
      await using other = await startNode(small, UNBOUNDED);
      tell(await measureUsers(context, { large: node.port, small: other.port }, people));
    }
    say("many conversations");
    tell(await measureConversations(context, node, cast));
    say("many messages");
    tell(await measureTalks(context, node, cast));
    say("many members");
    tell(await measureGroups(context, node, cast));
  }
};
