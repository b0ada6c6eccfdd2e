/**
 * One device of a version 3 user: like a version 2 user, but hears what the user's other devices say, and has a node that it
 * likes best, so that the devices of a user are on different ones.
 *
 * @module
 */

import type { Frame } from "../support/chat_client.ts";
import type { Place } from "./ledger.ts";
import type { LoadUserOptions } from "./load_user.ts";
import { V2User } from "./v2_user.ts";

/** How often it tries the node it likes best. */
const LOYALTY = 0.8;

/** See the module. */
export class V3Device extends V2User {
  readonly #number: number;
  #deviceId: number | undefined;

  /** The user's `number`th, from 0 on. */
  constructor(options: LoadUserOptions, number: number) {
    super(options, 3);
    this.#number = number;
  }

  /** See {@link LoadUser.nextKey}. */
  protected override nextKey(): string {
    return `${super.nextKey()}.${this.#number}`;
  }

  /** See {@link LoadUser.choosePort}. */
  protected override choosePort(ports: readonly number[]): number {
    const best = ports[this.#number % ports.length];
    return best !== undefined && this.random.chance(LOYALTY) ? best : super.choosePort(ports);
  }

  /** See {@link V2User.identity}: with the password it goes on as the device it is. */
  protected override identity(): Record<string, unknown> {
    return this.#deviceId === undefined
      ? { device: `device ${this.#number}` }
      : { device_id: this.#deviceId };
  }

  /** See {@link V2User.onLoginReply}. */
  protected override onLoginReply({ errno, device_id: deviceId }: Frame): void {
    // It uses each token as PROTOCOL.md says: none of them can be taken for a copy.
    if (errno === 11) this.ledger.oddities.push(`the token of ${this} was refused`);
    if (errno === 0) this.#deviceId = Number(deviceId);
  }

  /** See {@link LoadUser.onFrame}: who comes and goes is not looked at. */
  protected override onFrame(frame: Frame): void {
    if (frame.msgid === 25) this.onEntry(frame);
    else if (frame.msgid !== 31) super.onFrame(frame);
  }

  /** See {@link V2User.onPlaced}: also what it says to itself goes to the other devices only. */
  protected override onPlaced(key: string, place: Place): void {
    this.have(place);
    this.ledger.noteOwn(this.hearer, place, key);
  }
}
