/**
 * Who wants which channel, and what Redis knows of it.
 *
 * The table outlives connections: after a reconnect it is replayed in batches. Invariants:
 * - one batch is under way at a time, and a channel is in it at most once: no two commands about one channel
 *   can cross;
 * - a channel whose references and subscription disagree is in `#changed` or in the batch under way;
 * - without a link nothing is subscribed and nobody waits.
 *
 * @module
 */

/**
 * Sends subscribe and unsubscribe commands over one connection; each resolves when Redis has confirmed all
 * channels.
 */
export interface SubscriptionLink {
  /** Subscribes `channels`, at least one. */
  subscribe(channels: readonly string[]): Promise<void>;
  /** Unsubscribes `channels`, at least one. */
  unsubscribe(channels: readonly string[]): Promise<void>;
  /** A command failed although the connection stands: the link is of no use any more. */
  fail(error: unknown): void;
}

interface Channel {
  /** How many `add` without a `remove`. */
  references: number;
  /** Confirmed by Redis, and no unsubscribe has been sent since. */
  isSubscribed: boolean;
  /** Callers of `add` who want to know when it is subscribed. */
  waiting: (() => void)[];
}

/** A replay of 100 000 channels must not hold up the event loop: this many channels go into one command. */
const BATCH_SIZE = 1000;

function wake(channel: Channel): void {
  for (const resolve of channel.waiting.splice(0)) resolve();
}

/** A reference-counted set of channels that brings any link to the same state. */
export class Subscriptions {
  readonly #channels = new Map<string, Channel>();
  readonly #changed = new Set<string>();
  #link: SubscriptionLink | null = null;
  #isFlushing = false;

  /** Adds a reference. Resolves when Redis has confirmed the channel; at once without a link. */
  add(name: string): Promise<void> {
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = { references: 0, isSubscribed: false, waiting: [] };
      this.#channels.set(name, channel);
    }
    channel.references++;
    if (!this.#link || channel.isSubscribed) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    channel.waiting.push(resolve);
    this.#change(this.#link, name);
    return promise;
  }

  /** Takes a reference away. Throws when there is none, for then somebody else's would be taken. */
  remove(name: string): void {
    const channel = this.#channels.get(name);
    if (!channel || channel.references === 0) throw new Error(`Channel "${name}" is not subscribed`);
    channel.references--;
    if (channel.references > 0) return;
    if (this.#link) this.#change(this.#link, name);
    else this.#channels.delete(name);
  }

  /**
   * Uses `link` from now on. Resolves when all channels are subscribed there or the link was given up
   * meanwhile; rejects when a command fails.
   */
  attach(link: SubscriptionLink): Promise<void> {
    this.detach();
    this.#link = link;
    for (const name of this.#channels.keys()) this.#changed.add(name);
    return this.#flush(link);
  }

  /** The link is gone; the channels are kept for the next. Nobody is left waiting. */
  detach(): void {
    this.#link = null;
    this.#changed.clear();
    this.#isFlushing = false;
    for (const [name, channel] of this.#channels) {
      channel.isSubscribed = false;
      wake(channel);
      if (channel.references === 0) this.#channels.delete(name);
    }
  }

  #change(link: SubscriptionLink, name: string): void {
    this.#changed.add(name);
    if (this.#isFlushing) return;
    this.#flush(link).catch((error) => link.fail(error));
  }

  async #flush(link: SubscriptionLink): Promise<void> {
    this.#isFlushing = true;
    await Promise.resolve(); // What else changes in this turn goes into the same batch.
    while (this.#link === link && this.#changed.size > 0) {
      const batch = this.#takeBatch();
      const subscribe = batch.filter(([, channel]) => channel.references > 0).map(([name]) => name);
      const unsubscribe = batch.filter(([, channel]) => channel.references === 0).map(([name]) => name);
      for (const [, channel] of batch) channel.isSubscribed = false;
      const wanted = new Set(subscribe);
      await Promise.all([
        subscribe.length > 0 ? link.subscribe(subscribe) : null,
        unsubscribe.length > 0 ? link.unsubscribe(unsubscribe) : null,
      ]);
      if (this.#link !== link) return; // A later link has its own flush; the state is not ours any more.
      for (const [name, channel] of batch) this.#confirm(name, channel, wanted.has(name));
    }
    if (this.#link === link) this.#isFlushing = false;
  }

  /** The next channels whose subscription is not what their references say. */
  #takeBatch(): [string, Channel][] {
    const batch: [string, Channel][] = [];
    for (const name of this.#changed) {
      this.#changed.delete(name);
      const channel = this.#channels.get(name);
      if (!channel) continue;
      if (channel.references > 0 === channel.isSubscribed) this.#settle(name, channel);
      else batch.push([name, channel]);
      if (batch.length === BATCH_SIZE) break;
    }
    return batch;
  }

  #confirm(name: string, channel: Channel, isSubscribed: boolean): void {
    channel.isSubscribed = isSubscribed;
    if (channel.references > 0 === isSubscribed) this.#settle(name, channel);
    else this.#changed.add(name);
  }

  /** References and subscription agree. */
  #settle(name: string, channel: Channel): void {
    wake(channel);
    if (channel.references === 0) this.#channels.delete(name);
  }
}
