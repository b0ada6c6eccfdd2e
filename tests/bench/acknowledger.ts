/**
 * Acknowledges messages as a version 2 client has to, now and then and all at once.
 *
 * @module
 */
import type { LoadClient } from "./load_client.ts";

/** Received messages between two acknowledgements. */
const ACKNOWLEDGE_EVERY = 32;
/** What the server adds to a message of the log. */
const PLACE = /"conversation":"([^"]+)","seq":(\d+),"at":\d+}$/;
const PLACE_BYTES = 100;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One client's. */
export class Acknowledger {
  readonly #client: LoadClient;
  #received = 0;

  /** Writes to `client`. */
  constructor(client: LoadClient) {
    this.#client = client;
  }

  /** A message has come; it ends before `end`. One that is in no log needs no acknowledgement. */
  received(bytes: Uint8Array, end: number): void {
    if (++this.#received < ACKNOWLEDGE_EVERY) return;
    this.#received = 0;
    const place = PLACE.exec(decoder.decode(bytes.subarray(Math.max(0, end - PLACE_BYTES), end)));
    if (!place) return;
    this.#client.write(encoder.encode(`{"msgid":12,"conversation":"${place[1]}","seq":${place[2]}}\0`));
  }
}
