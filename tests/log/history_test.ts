import { assert, assertEquals } from "@std/assert";
import { history } from "../../lib/chat/handlers.ts";
import { Limiter } from "../../lib/base/limiter.ts";
import { Mailbox } from "../../lib/log/mailbox.ts";
import { PageRoom } from "../../lib/chat/page_room.ts";
import { Positions } from "../../lib/log/positions.ts";
import { MSGID } from "../../lib/protocol/protocol.ts";
import { Quotas } from "../../lib/chat/quotas.ts";
import { ratesOf } from "../support/rates.ts";
import { Request } from "../../lib/chat/request.ts";
import type { Services } from "../../lib/chat/services.ts";
import { Session } from "../../lib/chat/session.ts";
import { type HistoryRange, type Messages, NO_END, type StoredMessage } from "../../lib/store/messages.ts";
import type { Frame } from "../support/chat_client.ts";
import { fakeOutlet } from "./fake_outlet.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
/** The last turn that was given ends behind the test. */
const unit = { permissions: "none", sanitizeOps: false, sanitizeResources: false } as const;
const COUNT = 500;

/** A conversation in memory whose messages are `length` characters long; counts the rows that are read. */
function openLog(length: number) {
  const message = `{"msg":"${"x".repeat(length)}"}`;
  const rows = Array.from(
    { length: COUNT },
    (_, i): StoredMessage => ({ seq: i + 1, sender: 2, at: i, message, hidden: 0 }),
  );
  const log = {
    rowsRead: 0,
    history(_conversation: string, { after, before, limit, isForward }: HistoryRange) {
      const range = rows.filter(({ seq }) => seq > after && seq < before);
      const page = (isForward ? range : range.reverse()).slice(0, limit);
      log.rowsRead += page.length;
      return Promise.resolve(page);
    },
  };
  return log;
}

/** What a member of the conversation is answered. */
async function ask(log: ReturnType<typeof openLog>, fields: object): Promise<Frame> {
  const replies: Frame[] = [];
  const outlet = fakeOutlet((frame) => replies.push(JSON.parse(frame)));
  // History needs one method of the model and little else of a node.
  const messages = log as unknown as Messages;
  const quotas = new Quotas(ratesOf(), () => 0);
  const settings = { maxFrameBytes: 65_536 };
  const services = { messages, settings, quotas, pages: new PageRoom() } as unknown as Services;
  const session = new Session(1, outlet);
  session.upgrade(2);
  const positions = new Positions(messages, SILENT, () => {});
  const readers = new Limiter(1);
  const mailbox = new Mailbox(
    { userId: 1, version: 2, outlet, messages, positions, readers, now: () => 0, onError() {} },
    [{ conversation: "u1-2", since: 0, delivered: COUNT, read: 0, last_seq: COUNT, until: NO_END }],
  );
  session.login = { userId: 1, device: 0, name: "ann", generation: 1, groups: new Map(), mailbox };
  const answer = { success: MSGID.HISTORY_MSG_ACK, failure: MSGID.ACK_MSG, isAlways: true };
  const frame = { msgid: MSGID.HISTORY_MSG, conversation: "u1-2", ...fields };
  const request = new Request(
    session,
    { text: "", byteLength: 0, memberCount: 0, isTooDeep: false, isPlain: true },
    frame,
    answer,
    "c",
  );
  await history(services, request);
  const [reply] = replies;
  assert(reply);
  return reply;
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

for (
  const { fields, seqs, more } of [
    { fields: {}, seqs: range(301, 500), more: true },
    { fields: { after: 0 }, seqs: range(1, 200), more: true },
    { fields: { after: 250, before: 451 }, seqs: range(251, 450), more: false },
    { fields: { before: 201 }, seqs: range(1, 200), more: false },
    { fields: { after: 100, before: 150 }, seqs: range(101, 149), more: false },
    { fields: { before: 120, limit: 33 }, seqs: range(87, 119), more: true },
    { fields: { after: 499, limit: 1 }, seqs: [500], more: false },
    { fields: { after: 500 }, seqs: [], more: false },
  ]
) {
  Deno.test(`a page of history is whole: ${JSON.stringify(fields)}`, unit, async () => {
    const reply = await ask(openLog(10), fields);
    assertEquals(reply.messages?.map(({ seq }) => seq), seqs);
    assertEquals(reply.more, more);
  });
}

for (const fields of [{}, { after: 0 }]) {
  Deno.test(`long messages are not read by the hundred: ${JSON.stringify(fields)}`, unit, async () => {
    const log = openLog(60_000);
    const { messages = [], more } = await ask(log, fields);
    assertEquals([messages.length, more], [17, true]);
    assert(log.rowsRead <= 32, `${log.rowsRead} rows`);
  });
}
