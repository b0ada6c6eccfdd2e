/**
 * Users of version 3 for tests: each connection is a device.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { ChatClient, type Frame, PASSWORD, signUp } from "./chat_client.ts";

/** Somebody who is logged in on a device. */
export interface Device extends AsyncDisposable {
  /** User id. */
  readonly id: number;
  /** User's name. */
  readonly name: string;
  /** Which device. */
  readonly device: number;
  /** The connection. */
  readonly client: ChatClient;
  /** The reply to the login. */
  readonly reply: Frame;
}

/** A new user on its first device. */
export async function newDevice(port: number, name: string): Promise<Device> {
  {
    await using client = await ChatClient.connect(port);
    await signUp(client, name, { v: 3 });
  }
  return await logInDevice(port, { name });
}

/** Logs in with the password; `fields` of the request: `name` or `id`, `device`, `device_id`. */
export function logInDevice(port: number, fields: object): Promise<Device> {
  return enter(port, { msgid: 1, v: 3, password: PASSWORD, ...fields });
}

/** Resumes with the token of an earlier login. */
export function resumeDevice(
  port: number,
  { reply: { token } }: { reply: { token?: unknown } },
): Promise<Device> {
  return enter(port, { msgid: 21, v: 3, token });
}

async function enter(port: number, request: { msgid: number; [field: string]: unknown }): Promise<Device> {
  const client = await ChatClient.connect(port);
  try {
    const reply = await client.request(request);
    assertEquals([reply.msgid, reply.errno], [2, 0], JSON.stringify(reply));
    return {
      id: Number(reply.id),
      name: String(reply.name),
      device: Number(reply.device_id),
      client,
      reply,
      [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
    };
  } catch (error) {
    client.close();
    throw error;
  }
}
