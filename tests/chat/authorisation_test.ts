/**
 * Who may do what: the table of PROTOCOL.md, played cell by cell against a running server, and the answers of those who are
 * to learn nothing held against what they are told where there is nothing.
 */
import { assertEquals } from "@std/assert";
import { COMMANDS } from "../../lib/chat/commands.ts";
import {
  type ChatClient,
  conversationOf,
  type Frame,
  groupChat,
  PASSWORD,
  type Person,
} from "../support/chat_client.ts";
import { onEachDatabase, type Place } from "../support/databases.ts";
import { type Device, logInDevice, resumeDevice } from "../support/devices.ts";

const PROTOCOL = await Deno.readTextFile(new URL("../../PROTOCOL.md", import.meta.url));

/** As whom somebody asks, in the order of the table's columns. */
const ROLES = ["nobody", "stranger", "former", "blocked", "member", "admin", "creator"] as const;
type Role = typeof ROLES[number];

/** What a request may be about. */
interface Subject {
  /** A group, or a number that no group has. */
  groupid: number;
  /** Of the group, or of somebody and `other`. */
  conversation: string;
  /** The seq of what the one who asks has said there. */
  own: number;
  /** The seq of what a member has said there who is not the one who asks. */
  foreign: number;
  /** A normal member who is not the one who asks. */
  member: number;
  /** Somebody who is in no group and has added everybody. */
  outsider: number;
  /** A link into the group. */
  link: string;
}

type Ask = (subject: Subject, place: Place) => { msgid: number; [field: string]: unknown };

const act = (act: string, fields: object = {}, ref: "own" | "foreign" = "foreign"): Ask => (subject) => ({
  msgid: 23,
  conversation: subject.conversation,
  ref: subject[ref],
  act,
  ...fields,
});

const inConversation = (msgid: number, fields: object = {}): Ask => ({ conversation }) => ({
  msgid,
  conversation,
  ...fields,
});

const op = (op: string, fields: (subject: Subject) => object = () => ({})): Ask => (subject) => ({
  msgid: 24,
  op,
  groupid: subject.groupid,
  ...fields(subject),
});

/** What is asked for in a conversation of either kind; `others` is what messages are called that are not one's own. */
const inEither = (others: string): Record<string, Ask> => ({
  "12": inConversation(12, { seq: 1 }),
  "13": inConversation(13, { seq: 1 }),
  "15": inConversation(15),
  "17 one's own": ({ conversation, own }) => ({ msgid: 17, conversation, seq: own }),
  [`17 ${others}`]: ({ conversation, foreign }) => ({ msgid: 17, conversation, seq: foreign }),
  "23 edit one's own": act("edit", { msg: "ho" }, "own"),
  [`23 edit ${others}`]: act("edit", { msg: "ho" }),
  "23 react": act("react", { emoji: "👍", on: true }),
  "23 pin": act("pin", { on: true }),
  "23 recall one's own": act("recall", {}, "own"),
  [`23 recall ${others}`]: act("recall"),
  "29": inConversation(29, { muted_until: null }),
  "30": inConversation(30),
});

/** What the rows about a group ask for. */
const OF_GROUPS: Record<string, Ask> = {
  ...inEither("a member's"),
  "9": ({ groupid }) => ({ msgid: 9, groupid }),
  "10": ({ groupid }) => ({ msgid: 10, groupid, msg: "hi" }),
  "10 to all": ({ groupid }) => ({ msgid: 10, groupid, msg: "hi", mentions: "all" }),
  "15 versions": ({ conversation, own }) => ({ msgid: 15, conversation, versions: own }),
  "24 members": op("members"),
  "24 leave": op("leave"),
  "24 add": op("add", ({ outsider }) => ({ id: outsider })),
  "24 remove a member": op("remove", ({ member }) => ({ id: member })),
  "24 role": op("role", ({ member }) => ({ id: member, role: "admin" })),
  "24 transfer": op("transfer", ({ member }) => ({ id: member })),
  "24 edit": op("edit", () => ({ groupdesc: "other" })),
  "24 dissolve": op("dissolve"),
  "24 link": op("link"),
  "24 link revoke": op("link", ({ link }) => ({ revoke: link })),
};

/** What the rows about two people ask for: `member` is the other one. */
const OF_TWO: Record<string, Ask> = {
  ...inEither("the other's"),
  "6": ({ member }) => ({ msgid: 6, toid: member, msg: "hi" }),
  "7": ({ member }) => ({ msgid: 7, friendid: member }),
  "26 remove": ({ member }) => ({ msgid: 26, op: "remove", id: member }),
  "26 block": ({ outsider }) => ({ msgid: 26, op: "block", id: outsider }),
  "26 unblock": ({ outsider }) => ({ msgid: 26, op: "unblock", id: outsider }),
};

/** What the rows about oneself ask for. */
const OF_ONESELF: Record<string, Ask> = {
  "1": () => ({ msgid: 1, name: "nobody has this name", password: PASSWORD }),
  "4": (_, place) => ({ msgid: 4, name: place.newName("new"), password: PASSWORD }),
  "18": () => ({ msgid: 18 }),
  "21": () => ({ msgid: 21, token: "1.1.x.x" }),
  "35 export": () => ({ msgid: 35, op: "export" }),
  "35 delete": () => ({ msgid: 35, op: "delete", password: "no password" }),
  "36": () => ({ msgid: 36, code: "no code", password: PASSWORD }),
  "8": (_, place) => ({ msgid: 8, groupname: place.newName("group"), groupdesc: "" }),
  "22 list": () => ({ msgid: 22, op: "list" }),
  "22 rename": () => ({ msgid: 22, op: "rename", device_id: 999_999, device: "mine" }),
  "22 revoke": () => ({ msgid: 22, op: "revoke", device_id: 999_999 }),
  "24 join": () => ({ msgid: 24, op: "join", link: "no link" }),
  "26 blocked": () => ({ msgid: 26, op: "blocked" }),
  "27": () => ({ msgid: 27, name: "nobody has this name" }),
  "28": () => ({ msgid: 28 }),
  "34": () => ({ msgid: 34 }),
  "3": () => ({ msgid: 3 }),
};

const ROWS: readonly [about: string, asks: Record<string, Ask>][] = [
  ["a group", OF_GROUPS],
  ["two", OF_TWO],
  ["oneself", OF_ONESELF],
];

/** A row of the table: what each role is answered, as it stands there. */
interface Row {
  about: string;
  request: string;
  cells: string[];
}

/** The table of PROTOCOL.md. */
function readTable(): Row[] {
  const [, section = ""] = PROTOCOL.split("\n## Who may do what\n");
  const lines = section.split("\n## ")[0]?.split("\n").filter((line) => line.startsWith("|")).slice(2) ?? [];
  return lines.map((line) => {
    const [about = "", request = "", ...cells] = line.split("|").slice(1, -1).map((cell) => cell.trim());
    return { about, request, cells };
  });
}

/** A group with somebody of every role in it. */
class Group {
  readonly #people: Record<Exclude<Role, "nobody">, Person>;
  readonly #other: Person;
  readonly #seqs = new Map<Person, number>();
  readonly #outsider: Person;
  #groupid = 0;
  #link = "";

  constructor(people: Record<Exclude<Role, "nobody">, Person>, other: Person, outsider: Person) {
    this.#people = people;
    this.#other = other;
    this.#outsider = outsider;
  }

  /** Makes it, in the place of what has become of the last one. */
  async renew(place: Place): Promise<void> {
    const { creator, admin, member, former, blocked } = this.#people;
    const ask = async (who: Person, frame: { msgid: number; [field: string]: unknown }) => {
      const reply = await who.client.request(frame);
      assertEquals(reply.errno, 0, JSON.stringify([frame, reply]));
      return reply;
    };
    const groupname = place.newName("group");
    const { groupid = 0 } = await ask(creator, { msgid: 8, groupname, groupdesc: "", join: "open" });
    this.#groupid = groupid;
    for (const who of [creator, admin, member, former, blocked, this.#other]) {
      if (who !== creator) await ask(who, { msgid: 9, groupid });
      this.#seqs.set(who, (await ask(who, groupChat(who, groupid, "hi"))).seq ?? 0);
    }
    await ask(creator, { msgid: 24, op: "role", groupid, id: admin.id, role: "admin" });
    await ask(former, { msgid: 24, op: "leave", groupid });
    this.#link = String((await ask(creator, { msgid: 24, op: "link", groupid })).link);
    await ask(creator, { msgid: 24, op: "edit", groupid, join: "closed" });
  }

  /** To be asked about by `who`. */
  subject(who: Person | undefined): Subject {
    const other = this.#other;
    return {
      groupid: this.#groupid,
      conversation: `g${this.#groupid}`,
      own: who && this.#seqs.get(who) || 1,
      foreign: this.#seqs.get(other) ?? 0,
      member: other.id,
      outsider: this.#outsider.id,
      link: this.#link,
    };
  }
}

/** What a reply tells to who knows the request, without the numbers in it. */
function told({ errno, errmsg }: Frame): string {
  return `${errno} ${String(errmsg).replaceAll(/\d+/g, "N")}`;
}

/** Those for whom it makes a difference when two are concerned; `member` is one of them, whom the other does not block. */
const OF_TWO_ROLES: readonly Role[] = ["nobody", "stranger", "blocked", "member"];

/** All requests there are, in the order of their numbers. */
function requests(asks: Record<string, Ask>): [request: string, ask: Ask][] {
  return Object.entries(asks).sort(([a], [b]) => parseInt(a) - parseInt(b));
}

Deno.test("the table of who may do what has every request, with whatever it can be told to do", () => {
  const known = new Set(readTable().map(({ request }) => request.split(" ")[0]));
  assertEquals([...COMMANDS.keys()].filter((msgid) => !known.has(String(msgid))), []);
});

onEachDatabase("who may do what", {
  async "each cell of the table is what the server does, and strangers learn nothing"(place) {
    await using stack = new AsyncDisposableStack();
    const newPerson = async (name: string) => stack.use(await place.newPerson(name, { v: 3 }));
    const people = {
      stranger: await newPerson("stranger"),
      former: await newPerson("former"),
      blocked: await newPerson("blocked"),
      member: await newPerson("member"),
      admin: await newPerson("admin"),
      creator: await newPerson("creator"),
    };
    const [other, outsider, lonely] = [
      await newPerson("other"),
      await newPerson("out"),
      await newPerson("lone"),
    ];
    for (const { id } of [...Object.values(people), other]) {
      await outsider.client.request({ msgid: 7, friendid: id });
    }
    for (const { client } of [other, people.creator]) {
      await client.request({ msgid: 26, op: "block", id: people.blocked.id });
    }
    const group = new Group(people, other, outsider);
    await group.renew(place);

    const played: Row[] = [];
    const leaks: string[] = [];
    for (const [about, asks] of ROWS) {
      const isOfTwo = about === "two";
      const roles = isOfTwo ? OF_TWO_ROLES : ROLES;
      for (const [request, ask] of requests(asks)) {
        const cells = new Map<Role, string>();
        for (const role of roles) {
          const who = role === "nobody" ? undefined : people[role];
          const subject = isOfTwo
            ? await conversing(who && role !== "stranger" ? who : people.member, other, outsider)
            : group.subject(who);
          const frame = ask(subject, place);
          // Whoever has logged out is so on a device of its own.
          await using own = !who
            ? await anonymous(place)
            : request === "3"
            ? (await logInDevice(place.server.port, { id: who.id })).client
            : undefined;
          const reply = await (own ?? people[role === "nobody" ? "stranger" : role].client).request(frame);
          cells.set(role, String(reply.errno));
          if (reply.errno === 0 && about === "a group") await group.renew(place);
          if (role !== "stranger" || about === "oneself" || reply.errno === 0) continue;
          const nowhere = isOfTwo
            ? { conversation: conversationOf(other, lonely) }
            : { groupid: 999_999, conversation: "g999999" };
          const answer = await people.stranger.client.request(ask({ ...subject, ...nowhere }, place));
          if (told(reply) !== told(answer)) {
            leaks.push(`${about}, ${request}: ${told(reply)}, ${told(answer)}`);
          }
        }
        played.push({ about, request, cells: [...ROLES.map((role) => cells.get(role) ?? ""), "closed"] });
      }
    }
    assertEquals(leaks, []);
    assertEquals(played, readTable());
  },

  async "what comes on the connection of a device that was revoked, or replaced, is not even looked at"(
    place,
  ) {
    await using ann = await place.newPerson("ann", { v: 3 });
    await using li = await place.newPerson("li", { v: 3 });
    const { conversation, ...subject } = await conversing(ann, li, li);
    const { groupid = 0 } = await ann.client.request({
      msgid: 8,
      groupname: place.newName("group"),
      groupdesc: "",
    });
    const frames = ROWS.flatMap(([about, asks]) => {
      const where = about === "a group" ? { groupid, conversation: `g${groupid}` } : { conversation };
      return requests(asks).map(([, ask]) => ask({ ...subject, ...where }, place));
    });
    const burst = new TextEncoder().encode(frames.map((frame) => `${JSON.stringify(frame)}\0`).join(""));
    const state = async () => {
      const pages = [conversation, `g${groupid}`].map((conversation) =>
        ann.client.request({ msgid: 15, conversation })
      );
      await using device = await logInDevice(place.server.port, { id: ann.id });
      const { friends, groups } = device.reply;
      return [await Promise.all(pages.map(async (page) => (await page).messages)), friends, groups];
    };
    const before = await state();
    for (const [code, end] of ENDS) {
      await using device = await logInDevice(place.server.port, { id: ann.id });
      await using _next = await end(device, ann, place);
      await device.client.sendBytes(burst).catch(() => {});
      const rest = await device.client.receiveRest();
      assertEquals(rest.map(({ msgid, code }) => [msgid, code]), [[20, code]]);
    }
    assertEquals(await state(), before);
  },
});

/** How a connection ends: with which notice, and by whom. */
const ENDS: readonly [
  code: string,
  end: (device: Device, ann: Person, place: Place) => Promise<AsyncDisposable | undefined>,
][] = [
  ["revoked", async ({ device }, ann) => {
    assertEquals((await ann.client.request({ msgid: 22, op: "revoke", device_id: device })).errno, 0);
    return undefined;
  }],
  ["replaced", (device, _ann, place) => resumeDevice(place.server.port, device)],
];

/** A connection that nobody is logged in on, and which is told what becomes of what it asks for. */
async function anonymous(place: Place): Promise<ChatClient> {
  const client = await place.connect();
  await client.request({ msgid: 21, v: 3, token: "1.1.x.x" });
  return client;
}

/** Two people who have just written to each other, and what `who` may ask for. */
async function conversing(who: Person, other: Person, outsider: Person): Promise<Subject> {
  const own = await who.client.request({ msgid: 6, toid: other.id, msg: "hi" });
  const foreign = await other.client.request({ msgid: 6, toid: who.id, msg: "hi" });
  return {
    groupid: 0,
    conversation: conversationOf(who, other),
    own: own.seq ?? 0,
    foreign: foreign.seq ?? 0,
    member: other.id,
    outsider: outsider.id,
    link: "",
  };
}
