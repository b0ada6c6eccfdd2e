/**
 * Somebody who asks one thing after the other: how long each answer takes.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import type { BenchContext } from "./bench.ts";
import { type Account, LoadClient, RESUME_DEVICE } from "./load_client.ts";
import { median } from "./side_by_side.ts";

const BEAT = '{"msgid":18}';
const BEATEN = '{"msgid":19,';
/** Who has gone is gone by then, ms. */
const GONE_MS = 10;

/** Logs in and goes again; how long the answer takes, ms. */
export async function visit({ gate }: BenchContext, port: number, account: Account): Promise<number> {
  const client = await LoadClient.connect(account, port, gate);
  const startedAt = performance.now();
  await client.logIn();
  const ms = performance.now() - startedAt;
  // Where it stands is looked for behind the answer, and what it asks next waits for that; so does whoever comes next here.
  if (account.login.startsWith(RESUME_DEVICE)) await client.request(BEAT, (text) => text.startsWith(BEATEN));
  client.close();
  await pause(GONE_MS);
  return ms;
}

/** A connection from version 2 on that is logged in. */
export class Asker implements Disposable {
  readonly #client: LoadClient;
  #count = 0;

  private constructor(client: LoadClient) {
    this.#client = client;
  }

  /** Logs in. */
  static async open({ gate }: BenchContext, port: number, account: Account): Promise<Asker> {
    const client = await LoadClient.connect(account, port, gate);
    await client.logIn();
    return new Asker(client);
  }

  /** How long the answer takes, whatever else comes before it, ms. `fields`: JSON without brackets. Throws at a refusal. */
  async ask(msgid: number, fields: string): Promise<number> {
    const cid = `"cid":"ask ${++this.#count}"`;
    const startedAt = performance.now();
    const reply = await this.#client.request(
      `{"msgid":${msgid},${cid},${fields}}`,
      (text) => text.includes(cid),
    );
    const ms = performance.now() - startedAt;
    if (!reply.includes('"errno":0')) throw new Error(`${fields} was refused: ${reply}`);
    return ms;
  }

  /** Writes to a user or to a group, as `to` names it; as {@link ask}. */
  chat(to: { toid: number } | { groupid: number }): Promise<number> {
    const { id, name } = this.#client.account;
    const fields = { id, name, ...to, msg: "x".repeat(64), time: "2026-01-01 00:00:00" };
    return this.ask("groupid" in to ? 10 : 6, JSON.stringify(fields).slice(1, -1));
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** Does the one and the other in turns, so many times; the middle of how long each took, ms. */
export async function compare<Name extends string>(
  names: readonly Name[],
  times: number,
  work: (name: Name, index: number) => Promise<number>,
): Promise<Record<Name, number>> {
  const taken = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let index = 0; index < times; index++) {
    for (const [name, list] of taken) list.push(await work(name, index));
  }
  // It has all the names.
  return Object.fromEntries([...taken].map(([name, list]) => [name, median(list)])) as Record<Name, number>;
}
