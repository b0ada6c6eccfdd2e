/**
 * A version 1 user: is told nothing about what it says, and tells nothing about what it hears.
 *
 * @module
 */

import { type ChatClient, type Frame, PASSWORD } from "../support/chat_client.ts";
import { LoadUser, type LoadUserOptions, NotLetIn, type Target } from "./load_user.ts";

/** See the module. */
export class V1User extends LoadUser {
  /** Does nothing yet. */
  constructor(options: LoadUserOptions) {
    super(1, options);
  }

  /** See {@link LoadUser.say}. */
  override say(target: Target, length?: number): boolean {
    if (!this.isIn) return false;
    const key = this.nextKey();
    this.ledger.noteSaid(key, 1);
    this.send(this.chatFrame(target, key, length));
    return true;
  }

  /** See {@link LoadUser.logIn}. */
  protected override async logIn(client: ChatClient, deadlineMs: number): Promise<void> {
    await client.send({ msgid: 1, id: this.id, password: PASSWORD });
    const reply = await client.receive(deadlineMs);
    if (reply.errno !== 0) throw new NotLetIn(reply);
    for (const text of reply.offlineMsg ?? []) this.hear(JSON.parse(text));
  }

  /** See {@link LoadUser.onFrame}. */
  protected override onFrame(frame: Frame): void {
    if (frame.msgid === 6 || frame.msgid === 10) this.hear(frame);
    else if (frame.msgid === 20) this.notices.push(String(frame.code));
    else this.ledger.oddities.push(`user ${this.id}: ${JSON.stringify(frame)}`);
  }

  /** Logs out, closes its side and reads to the end. */
  protected override sayGoodbye(client: ChatClient): Promise<void> {
    this.send({ msgid: 3, id: this.id });
    return this.sent().then(() => client.closeWrite()).catch(() => client.close());
  }
}
