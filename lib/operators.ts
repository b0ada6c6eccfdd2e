/**
 * The page for operators: what it is told about this node and the others, and what is done by it.
 *
 * @module
 */
import { act, look } from "./admin/page_commands.ts";
import { formatHostPort } from "./base/host_port.ts";
import { errorText } from "./base/errors.ts";
import type { Guesses } from "./chat/guesses.ts";
import type { NodeSeen, NodeStatus, Roster } from "./cluster/roster.ts";
import { type ServeOptions, VERSION } from "./config/options.ts";
import { Proxies } from "./net/proxies.ts";
import { COLUMNS, LastHour, STEP_MS } from "./observe/last_hour.ts";
import type { NodeParts } from "./observe/node_metrics.ts";
import { OperatorPort } from "./observe/operator_port.ts";
import { type Operator, OperatorSessions } from "./observe/operator_sessions.ts";
import type { Closer, HttpParts } from "./ports.ts";
import type { Users } from "./store/users.ts";
import { loadOperatorAssets } from "./web/assets.ts";

/** How often a node says how it does, ms. */
const TELL_MS = 5_000;

/** What the page needs besides what metrics are made of. */
export interface OperatorParts {
  /** Accounts. */
  users: Users;
  /** Limits of passwords. */
  guesses: Guesses;
  /** The other nodes. */
  roster: Roster;
  /** This node's name. */
  node: string;
  /** Whose word counts for where a request comes from. */
  options: Pick<ServeOptions, "proxies">;
}

/** What it shows. */
export type Shown = OperatorParts & HttpParts & Pick<NodeParts, "lag" | "pool"> & {
  /** Why the node should not be given clients. */
  problems: () => Promise<string[]>;
  /** Where it is. */
  listener: Deno.TcpListener;
};

/** Keeps the last hour, tells the other nodes of this one, and gives what answers the page's requests. */
export function openOperatorPage(shown: Shown, closers: Closer[]): OperatorPort {
  const { db, logger, users, passwords, guesses, limited, roster, options } = shown;
  const hour = new LastHour(shown);
  const fellows = new Fellows(shown, hour);
  const timers = [
    setInterval(() => hour.sample(), STEP_MS),
    setInterval(() => void fellows.look(), TELL_MS),
  ];
  closers.push(async () => {
    timers.forEach(clearInterval);
    await roster.leave();
  });
  void fellows.look();
  const contextOf = ({ userId, name }: Operator) => ({
    db,
    logger,
    actor: `${name} (${userId}), by the page`,
  });
  return new OperatorPort({
    node: shown.node,
    sessions: new OperatorSessions({ users, passwords, guesses, limited }),
    proxies: new Proxies(options.proxies),
    assets: loadOperatorAssets(),
    state: (from) => stateOf(shown, hour, fellows, from),
    look: (asked, operator) => look(contextOf(operator), asked),
    async act(asked, operator) {
      const { lines, json } = await act(contextOf(operator), asked);
      return { lines, json };
    },
  });
}

/** What the nodes have said of themselves, as far as it could be heard. */
class Fellows {
  readonly #shown: Shown;
  readonly #hour: LastHour;
  readonly #since = Date.now();
  #seen: NodeSeen[] = [];
  #seenAt = 0;

  constructor(shown: Shown, hour: LastHour) {
    this.#shown = shown;
    this.#hour = hour;
  }

  #status(): NodeStatus {
    const { node, delivery, server, lag, listener } = this.#shown;
    const { hostname, port } = listener.addr;
    let devices = 0;
    for (const _ of delivery.sessions()) devices++;
    return {
      node,
      version: VERSION,
      since: this.#since,
      http: formatHostPort(hostname, port),
      users: delivery.userCount,
      devices,
      connections: server.clientCount,
      rate: this.#hour.rate,
      lagMs: Math.round(lag.longestMs),
      queueBytes: server.queuedBytes,
    };
  }

  /** Tells of this node, and hears of the others. Never rejects: while Redis is away they grow older. */
  async look(): Promise<NodeSeen[]> {
    const status = this.#status();
    try {
      this.#seen = await this.#shown.roster.tell(status);
      this.#seenAt = performance.now();
      return this.#seen;
    } catch (error) {
      this.#shown.logger.debug("cannot tell the other nodes of this one", { reason: errorText(error) });
      const others = this.#seen.filter(({ node }) => node !== status.node);
      const agedMs = performance.now() - this.#seenAt;
      return [{ ...status, ageMs: 0 }, ...others.map((one) => ({ ...one, ageMs: one.ageMs + agedMs }))];
    }
  }
}

async function stateOf(shown: Shown, hour: LastHour, fellows: Fellows, from: number): Promise<unknown> {
  const { node, bus, isClustered, pool, problems, limited, lines } = shown;
  const [nodes, reasons] = await Promise.all([fellows.look(), problems()]);
  return {
    at: Date.now(),
    node,
    version: VERSION,
    nodes,
    problems: reasons,
    redis: isClustered ? bus.isUp : null,
    pool: pool?.() ?? null,
    limited,
    lines: { counts: lines.counts, newest: lines.newest },
    columns: COLUMNS,
    stepMs: STEP_MS,
    ...hour.rowsFrom(from),
  };
}
