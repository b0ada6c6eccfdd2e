/**
 * The way to the server: a WebSocket, one text message a frame.
 *
 * @module
 */

import type { Dial } from "../../client/core/transport.ts";
import { within } from "./within.ts";

/** So long the server may take to close after we have. */
const END_TIMEOUT_MS = 1000;

/** Dials the node that the page came from. `url`: of the page; its scheme says whether there is TLS. */
export function createDialer(url: URL): Dial {
  const target = new URL("/ws", url);
  target.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return (events) => {
    const socket = new WebSocket(target);
    let isClosed = false;
    const closed = new Promise<void>((resolve) => socket.addEventListener("close", () => resolve()));
    const close = () => {
      isClosed = true;
      socket.close();
    };
    socket.onopen = () => isClosed || events.onOpen();
    socket.onmessage = ({ data }) => isClosed || (typeof data === "string" && events.onFrames([data]));
    socket.onclose = () => {
      if (isClosed) return;
      isClosed = true;
      events.onClose("the connection was closed");
    };
    return {
      send: (frame) => socket.readyState === WebSocket.OPEN && socket.send(frame),
      close,
      async end() {
        close();
        await within(closed, END_TIMEOUT_MS);
      },
    };
  };
}
