/**
 * Tabs of one browser are one device: the one that was looked at last holds the connection and writes what is kept, the
 * others wait until they are looked at. A lock says who it is; it goes with its tab, however that ends.
 *
 * @module
 */

const LOCK = "chat-connection";
const CHANNEL = "chat-tabs";

/** This tab's part in it. */
export class Tabs {
  readonly #channel = new BroadcastChannel(CHANNEL);
  readonly #onGain: () => void;
  readonly #onLose: () => Promise<void>;
  #release: (() => void) | undefined;
  #isAsking = false;

  /** `onGain`: it is this tab now. `onLose`: it is another; resolves when nothing is written or sent any more. */
  constructor(options: { onGain: () => void; onLose: () => Promise<void> }) {
    this.#onGain = options.onGain;
    this.#onLose = options.onLose;
    this.#channel.onmessage = () => this.#yield();
  }

  /** True for the tab that is connected. */
  get isActive(): boolean {
    return this.#release !== undefined;
  }

  /** Becomes the one as soon as there is no other: at once, or when another is closed. */
  wait(): void {
    if (this.#isAsking || this.isActive) return;
    this.#isAsking = true;
    // Without locks (an old browser, no secure context) there is no telling: the server lets one connection stay.
    if (!("locks" in navigator)) {
      this.#release = () => {};
      this.#onGain();
      return;
    }
    navigator.locks.request(LOCK, () => {
      this.#isAsking = false;
      return new Promise<void>((resolve) => {
        this.#release = resolve;
        this.#onGain();
      });
    });
  }

  /** Asks the other tab to give way. */
  take(): void {
    this.wait();
    if (!this.isActive) this.#channel.postMessage("take");
  }

  async #yield(): Promise<void> {
    const release = this.#release;
    if (release === undefined) return;
    this.#release = undefined;
    await this.#onLose();
    release();
    // Behind the tab that asked, which waits already.
    this.wait();
  }
}
