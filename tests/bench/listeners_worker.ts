/**
 * The thread of listeners.ts.
 *
 * @module
 */
import { openReadGate } from "../../lib/net/read_gate.ts";
import { Acknowledger } from "./acknowledger.ts";
import type { Listening } from "./listeners.ts";
import { openClients } from "./load_client.ts";

declare const self: Worker;

const { data: { port, accounts } }: MessageEvent<Listening> = await new Promise((resolve) =>
  self.addEventListener("message", resolve, { once: true })
);
const clients = await openClients(accounts, () => port, await openReadGate());
for (const client of clients) {
  const acknowledger = new Acknowledger(client);
  client.onFrame = (bytes, _start, end) => acknowledger.received(bytes, end);
}
self.postMessage("online");
