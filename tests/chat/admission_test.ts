/** Logging in while a user's groups change. */
import { assertEquals } from "@std/assert";
import { DatabaseError } from "../../lib/base/errors.ts";
import { Limiter } from "../../lib/base/limiter.ts";
import { Admission } from "../../lib/chat/admission.ts";
import { Session } from "../../lib/chat/session.ts";
import { createLocalBus } from "../../lib/cluster/bus.ts";
import { createMemoryPresence } from "../../lib/cluster/presence.ts";
import { Delivery } from "../../lib/log/delivery.ts";
import { News } from "../../lib/log/news.ts";
import { Positions } from "../../lib/log/positions.ts";
import { PresenceNews } from "../../lib/log/presence_news.ts";
import { Watchers } from "../../lib/log/watchers.ts";
import { Contacts } from "../../lib/store/contacts.ts";
import { Devices } from "../../lib/store/devices.ts";
import { Ends } from "../../lib/store/ends.ts";
import { enter, part } from "../../lib/store/group_changes.ts";
import { Groups } from "../../lib/store/groups.ts";
import { Messages } from "../../lib/store/messages.ts";
import { migrate } from "../../lib/store/migrations.ts";
import { openSqlite } from "../../lib/store/sqlite.ts";
import { Users } from "../../lib/store/users.ts";
import { fakeOutlet } from "../log/fake_outlet.ts";
import { waitFor } from "../support/process.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const GROUP = 1;
const USER = 1;

/** A node on a database in memory. `whileSubscribing` is done when a login has read the user's groups. */
async function openNode() {
  const db = openSqlite(":memory:");
  await migrate(db, SILENT);
  const hooks = { whileSubscribing: () => Promise.resolve() };
  const listening = new Map<string, number>();
  const listen = (channel: string, by: number) => listening.set(channel, (listening.get(channel) ?? 0) + by);
  const bus = {
    ...createLocalBus(),
    async subscribe(channel: string) {
      listen(channel, 1);
      await hooks.whileSubscribing();
    },
    unsubscribe: (channel: string) => void listen(channel, -1),
  };
  const messages = new Messages(db);
  const watchers = new Watchers<Session>();
  const delivery: Delivery<Session> = new Delivery<Session>({
    bus,
    isClustered: false,
    channelPrefix: "",
    messages,
    ends: new Ends(),
    logger: SILENT,
    onDoubt() {},
    onSweep: () => delivery.sweep(),
    isStoring: () => false,
    onUndeliverable() {},
  });
  const presence = createMemoryPresence("a");
  const presenceNews = new PresenceNews({ delivery, presence, watchers, logger: SILENT });
  const positions = new Positions(messages, SILENT, () => {});
  const admission = new Admission({
    presence,
    bus,
    channelPrefix: "",
    node: "a",
    delivery,
    positions,
    readers: new Limiter(1),
    news: new News({ delivery, watchers, contacts: new Contacts(db), onLook() {} }),
    presenceNews,
    users: new Users(db),
    groups: new Groups(db),
    messages,
    devices: new Devices(db),
    tokenTtlMs: 1_000,
    logger: SILENT,
  });
  await db.run("INSERT INTO User (id, name, password) VALUES (?, 'li', '')", [USER]);
  await db.run("INSERT INTO AllGroup (id, groupname, groupdesc) VALUES (?, 'all', '')", [GROUP]);
  await db.run("INSERT INTO Conversation (id, last_seq, members, at) VALUES ('g1', 5, 1, 1)");
  return { db, hooks, listening, delivery, admission, presenceNews, messages };
}

async function logIn({ admission }: Pick<Awaited<ReturnType<typeof openNode>>, "admission">) {
  const session = new Session(1, fakeOutlet());
  session.version = 2;
  const login = await admission.admit(session, { userId: USER, name: "li", device: 0 }, "refuse");
  return { session, groups: login?.groups ?? new Map() };
}

Deno.test("who is added to a group while it logs in is in it", async () => {
  const node = await openNode();
  node.hooks.whileSubscribing = async () => {
    node.hooks.whileSubscribing = () => Promise.resolve();
    await node.db.transaction((tx) => enter(tx, node.db.dialect, GROUP, USER, "normal", 4));
  };
  const { session, groups } = await logIn(node);
  await waitFor("the session to be in the group", () => groups.has(GROUP));
  assertEquals([...node.delivery.sessionsOfGroup(GROUP)], [session]);
  await node.admission.dismiss(session);
  assertEquals([...new Set(node.listening.values())], [0]);
  node.presenceNews.close();
  await node.db.close();
});

Deno.test("who is removed from a group while it logs in is not in it", async () => {
  const node = await openNode();
  await node.db.transaction((tx) => enter(tx, node.db.dialect, GROUP, USER, "normal", 3));
  node.hooks.whileSubscribing = async () => {
    node.hooks.whileSubscribing = () => Promise.resolve();
    await node.db.transaction((tx) => part(tx, GROUP, USER, { seq: 5, at: 1 }));
  };
  const { session, groups } = await logIn(node);
  assertEquals([groups.size, [...node.delivery.sessionsOfGroup(GROUP)]], [0, []]);
  await node.admission.dismiss(session);
  assertEquals([...new Set(node.listening.values())], [0]);
  node.presenceNews.close();
  await node.db.close();
});

Deno.test("a device that logs in does not wait until it is known where it stands", async () => {
  const node = await openNode();
  await node.db.run(
    "INSERT INTO Device (id, userid, name, created, seen, tokens, issued, expires) VALUES (7, ?, '', 0, 0, x'', 0, 0)",
    [USER],
  );
  await node.db.transaction((tx) => enter(tx, node.db.dialect, GROUP, USER, "normal", 3));
  let reads = 0;
  const { positionsOfDevice } = node.messages;
  node.messages.positionsOfDevice = (device) => {
    reads++;
    return positionsOfDevice.call(node.messages, device);
  };
  const session = new Session(1, fakeOutlet());
  session.version = 3;
  const login = await node.admission.admit(session, { userId: USER, name: "li", device: 7 }, "replace");
  assertEquals([reads, login?.mailbox.cursor("g1")], [0, undefined]);
  // What is stored, or told of, meanwhile is not missed.
  login?.mailbox.notice("g1", 6);
  const caughtUp = node.admission.catchUp(USER);
  if (login) await node.admission.placeDevice(session, login);
  assertEquals([reads, login?.mailbox.cursor("g1")?.newest], [1, 6]);
  await caughtUp;
  assertEquals(reads, 2);
  await node.admission.dismiss(session);
  node.presenceNews.close();
  await node.db.close();
});

Deno.test("who waits for a device to be placed does not wait when it has gone before", async () => {
  const node = await openNode();
  const session = new Session(1, fakeOutlet());
  session.version = 3;
  const login = await node.admission.admit(session, { userId: USER, name: "li", device: 7 }, "replace");
  const caughtUp = node.admission.catchUp(USER);
  const circle = node.admission.changeCircle(USER);
  await node.admission.dismiss(session);
  if (login) await node.admission.placeDevice(session, login);
  await Promise.all([caughtUp, circle]);
  assertEquals(login?.mailbox.cursor("g1"), undefined);
  node.presenceNews.close();
  await node.db.close();
});

Deno.test("a device of which it cannot be read where it stands is sent away", async () => {
  const node = await openNode();
  node.messages.positionsOfDevice = () => Promise.reject(new DatabaseError("unavailable", "no database"));
  const notices: unknown[] = [];
  const session = new Session(1, {
    ...fakeOutlet(),
    end: (frame = "") => notices.push(JSON.parse(frame).code),
  });
  session.version = 3;
  const login = await node.admission.admit(session, { userId: USER, name: "li", device: 7 }, "replace");
  if (login) await node.admission.placeDevice(session, login);
  assertEquals([session.login, notices], [undefined, ["shutting_down"]]);
  node.presenceNews.close();
  await node.db.close();
});
