/**
 * The bus between nodes: a doorbell that happens to carry the frame. It may lose anything; the log repairs it.
 *
 * @module
 */

/** Publish and subscribe between the nodes of a cluster. */
export interface Bus {
  /** False while the other nodes cannot be reached, or may not be. */
  readonly isUp: boolean;
  /**
   * Sends `payload` to every node subscribed to `channel`, this one included. Resolves with how many connections Redis
   * handed it to; rejects at once while the bus is down. Never queues.
   */
  publish(channel: string, payload: string): Promise<number>;
  /**
   * Adds one reference to `channel`. Resolves when messages published from now on will arrive; while the bus is
   * down it resolves at once, the channel is remembered and subscribed when the bus comes back.
   */
  subscribe(channel: string): Promise<void>;
  /** Takes one reference away; the last one unsubscribes. */
  unsubscribe(channel: string): void;
}

/** What a bus tells its owner. */
export interface BusEvents {
  /** A payload arrived. Runs in the order of arrival; must not throw. */
  onMessage(channel: string, payload: string): void;
  /** Both connections work and every channel is subscribed again: once per outage. */
  onUp(): void;
  /** Lost, with the reason: once per outage. */
  onDown(reason: string): void;
}

/** The bus of a node that is alone: nobody to ring. */
export function createLocalBus(): Bus {
  return {
    isUp: true,
    publish: () => Promise.resolve(0),
    subscribe: () => Promise.resolve(),
    unsubscribe() {},
  };
}
