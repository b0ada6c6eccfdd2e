/**
 * A server for tests of the client: the test is the server, the network is memory.
 *
 * @module
 */

import { assert } from "@std/assert";
import { isJsonObject, type JsonObject } from "../../../lib/protocol/protocol.ts";
import type { Dial, TransportEvents } from "../../../lib/client/core/transport.ts";

/** Lets everything happen that needs no time to pass. */
export async function flush(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

/** One connection of the client, as the server sees it. */
export class FakeConnection {
  /** Frames that arrived and were not taken yet. */
  readonly received: JsonObject[] = [];
  /** The client has closed it. */
  isClosed = false;
  /** The same as they came, and all of them. */
  texts: string[] = [];
  readonly #events: TransportEvents;

  /** Made by {@link FakeServer}. */
  constructor(events: TransportEvents) {
    this.#events = events;
  }

  /** Takes a frame of the client. */
  receive(text: string): void {
    this.texts.push(text);
    const object: unknown = JSON.parse(text);
    assert(isJsonObject(object));
    this.received.push(object);
  }

  /** Sends frames, all in one piece. */
  send(...frames: JsonObject[]): void {
    this.#events.onFrames(frames.map((frame) => JSON.stringify(frame)));
  }

  /** Takes the next frame, which must have this msgid. */
  take(msgid: number): JsonObject {
    const frame = this.received.shift();
    assert(frame?.msgid === msgid, `expected msgid ${msgid}, got ${JSON.stringify(frame)}`);
    return frame;
  }

  /** Answers the next frame, which must have this msgid, with an ACK_MSG or what `reply` says. */
  answer(msgid: number, reply: JsonObject = {}): JsonObject {
    const frame = this.take(msgid);
    this.send({ msgid: 11, cid: frame.cid, errno: 0, ...reply });
    return frame;
  }

  /** Loses the connection. */
  lose(reason = "reset"): void {
    this.#events.onClose(reason);
  }
}

/** Everything the client dials ends here. */
export class FakeServer {
  /** All connections, oldest first. */
  readonly connections: FakeConnection[] = [];
  /** Whether dialling works. */
  isUp = true;

  /** The newest connection. */
  get connection(): FakeConnection {
    const connection = this.connections.at(-1);
    assert(connection, "The client has not connected");
    return connection;
  }

  /** Stands in for the network. */
  readonly dial: Dial = (events) => {
    const connection = new FakeConnection(events);
    if (this.isUp) {
      this.connections.push(connection);
      queueMicrotask(() => events.onOpen());
    } else queueMicrotask(() => events.onClose("refused"));
    return {
      send: (frame) => connection.receive(frame),
      end: () => {
        connection.isClosed = true;
        return Promise.resolve();
      },
      close: () => {
        connection.isClosed = true;
      },
    };
  };
}
