/**
 * Signing up and logging in: requests on a connection of their own, before there is anybody to keep anything for.
 *
 * @module
 */

import { createCid } from "../../client/core/cid.ts";
import { textOf } from "../../client/core/messages.ts";
import { noReply, readReply } from "../../client/core/requests.ts";
import type { Reply } from "../../client/core/requests.ts";
import type { Dial } from "../../client/core/transport.ts";
import { isJsonObject } from "../../protocol/protocol.ts";
import type { JsonObject } from "../../protocol/protocol.ts";

const TIMEOUT_MS = 20_000;

/** Connects, asks one request of version 3 and closes. Always resolves. */
export function authenticate(dial: Dial, request: JsonObject): Promise<Reply> {
  const cid = createCid(Date.now());
  const { promise, resolve } = Promise.withResolvers<Reply>();
  const transport = dial({
    onOpen: () => transport.send(JSON.stringify({ ...request, v: 3, cid })),
    onFrames: (frames) => {
      for (const frame of frames.map(parse)) if (frame?.cid === cid) resolve(readReply(frame));
    },
    onClose: () => resolve(noReply("")),
  });
  const timer = setTimeout(() => resolve(noReply("")), TIMEOUT_MS);
  return promise.finally(() => {
    clearTimeout(timer);
    transport.close();
  });
}

function parse(text: string): JsonObject | undefined {
  const frame: unknown = JSON.parse(text);
  return isJsonObject(frame) && textOf(frame.cid) !== "" ? frame : undefined;
}
