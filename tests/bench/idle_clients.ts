/**
 * Clients that log in and say nothing but a heartbeat now and then, for ever: in a process of its own, which may open as many
 * files as the server may. Prints `ready COUNT` when all are logged in.
 *
 *     deno run … idle_clients.ts FILE           FILE: an {@link Idlers} as JSON
 *
 * @module
 */
import { openReadGate } from "../../lib/net/read_gate.ts";
import { type Account, openClients } from "./load_client.ts";

/** Who is idle where. */
export interface Idlers {
  /** On 127.0.0.1. */
  port: number;
  /** They log in. */
  accounts: Account[];
  /** What each says, without terminator. */
  beats: string[];
}

const BEAT_EVERY_MS = 30_000;
const TICK_MS = 20;

if (import.meta.main) {
  const { port, accounts, beats }: Idlers = JSON.parse(await Deno.readTextFile(Deno.args[0] ?? ""));
  const clients = await openClients(accounts, () => port, await openReadGate());
  console.log(`ready ${clients.length}`);
  const encoder = new TextEncoder();
  const frames = beats.map((beat) => encoder.encode(`${beat}\0`));
  const startedAt = performance.now();
  let sent = 0;
  setInterval(() => {
    const due = (performance.now() - startedAt) / BEAT_EVERY_MS * clients.length;
    for (; sent < due; sent++) {
      const frame = frames[sent % frames.length];
      if (frame) clients[sent % clients.length]?.write(frame);
    }
  }, TICK_MS);
}
