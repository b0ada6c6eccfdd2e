/**
 * Commands about limits: whom they hold up on running nodes, and to let somebody begin anew.
 *
 * @module
 */
import { isIP } from "node:net";
import { type AdminContext, eventOf, limitOf, refuse, type Result } from "./context.ts";
import { tableLines } from "./console.ts";
import { findUser } from "./find.ts";
import { momentText } from "../base/moment.ts";
import type { NodeLimits } from "../chat/admin_orders.ts";
import { personAddress } from "../net/person_address.ts";
import { recordEvent } from "../store/admin_events.ts";
import type { Database } from "../store/database.ts";
import { type NodeReport, NodeReports } from "../store/node_reports.ts";
import { Users } from "../store/users.ts";

/** Nodes look once a second whether there is a question. */
const ANSWER_MS = 2_000;
/** How often it is looked whether they have answered, ms. */
const POLL_MS = 100;

const UNDELIVERED = "undelivered is not lifted: it ends when the receivers fetch what waits, " +
  "or with higher --undelivered-messages and --undelivered-bytes.";

/** `limits list`. */
export async function listLimits({ db, options }: AdminContext): Promise<Result> {
  const reports = await askNodes(db);
  const found = reports.map(({ node, body }) => {
    const said: NodeLimits = JSON.parse(body);
    return { node, ...said };
  });
  const all = found.flatMap(({ node, limited }) => limited.map((entry) => ({ node, ...entry })));
  all.sort((a, b) => b.last - a.last);
  const shown = all.slice(0, limitOf(options));
  const more = found.reduce((sum, node) => sum + node.more, all.length - shown.length);
  const names = await new Users(db).some([...new Set(shown.flatMap(({ userId }) => userId ?? []))]);
  const limited = shown.map(({ node, limit, userId = null, person = null, times, since, last, until }) => ({
    ...{ node, limit, user: userId, name: userId === null ? null : names.get(userId)?.name ?? null },
    ...{ address: person, times, since, last, until: until > last ? until : null },
  }));
  const lines = tableLines(
    ["node", "limit", "user", "name", "address", "times", "last", "until"],
    limited.map(({ node, limit, user, name, address, times, last, until }) => [
      ...[node, limit, user, name, address, times, momentText(last)],
      until === null ? null : momentText(until),
    ]),
  );
  if (more > 0) lines.push(`There are ${more} more.`);
  if (limited.some(({ limit }) => limit === "undelivered")) lines.push(UNDELIVERED);
  if (reports.length === 0) lines.push("No node has answered: none runs, or none of this version.");
  else if (lines.length === 0) lines.push("Nobody.");
  return { lines, json: { nodes: found.map(({ node }) => node), limited, more } };
}

/** What all running nodes say. */
async function askNodes(db: Database): Promise<NodeReport[]> {
  const reports = new NodeReports(db);
  const { question, running } = await reports.ask(Date.now());
  const deadline = performance.now() + ANSWER_MS;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const answers = await reports.answers(question);
    const answered = new Set(answers.map(({ origin }) => origin));
    const silent = running.filter((origin) => !answered.has(origin));
    // One that could not say that it runs may answer yet.
    if (running.length > 0 && silent.length === 0) return answers;
    if (performance.now() < deadline) continue;
    // Those are gone, or known again as soon as they answer.
    for (const origin of silent) await reports.leave({ origin });
    return answers;
  }
}

/** `limits lift USER|ADDRESS`. */
export async function liftLimits(context: AdminContext, [word = ""]: readonly string[]): Promise<Result> {
  const address = addressOf(word);
  const user = address === undefined ? await findUser(context.db, word) : undefined;
  const detail = address === undefined ? {} : { address };
  await context.db.transaction((tx) => recordEvent(tx, eventOf(context, "lift", user?.id ?? null, detail)));
  const whose = user ? `${user.name} (${user.id})` : address;
  return {
    lines: [`What limits have counted of ${whose} is forgotten.`],
    json: user ? { user: user.id } : { address },
  };
}

/** As nodes count it; undefined: it is a user. An IPv6 network may be named as it is listed. */
function addressOf(word: string): string | undefined {
  const address = word.replace(/::\/64$/, "::");
  if (isIP(address) === 0) return undefined;
  const person = personAddress(address, { trusts: () => false });
  if (person === undefined) throw refuse(`Nothing is limited by the address ${word}`);
  return person;
}
