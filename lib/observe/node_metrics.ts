/**
 * The numbers of a node, gathered when somebody asks: counting them costs the hot path an increment at most.
 *
 * @module
 */
import type { Bus } from "../cluster/bus.ts";
import type { Delivery } from "../log/delivery.ts";
import { BOUNDS_MS, type Histogram } from "../base/histogram.ts";
import type { FairQueue } from "../base/fair_queue.ts";
import type { LoopLag } from "./loop_lag.ts";
import type { MessageLog } from "../log/message_log.ts";
import { VERSION } from "../config/options.ts";
import type { Metric, Sample } from "./prometheus.ts";
import type { ChatServer } from "../chat/server.ts";
import type { LimitCounters } from "../chat/limit_book.ts";
import type { RecentLines } from "./recent_lines.ts";
import type { PoolStats } from "../store/mysql_pool.ts";
import type { BeatCounters } from "../net/udp_beats.ts";

/** What the numbers are about. */
export interface NodeParts {
  /** Connections. */
  server: Pick<
    ChatServer,
    | "clientCount"
    | "webSocketCount"
    | "limit"
    | "anonymousCount"
    | "crowdedOutCount"
    | "queuedBytes"
    | "counters"
    | "webCounters"
  >;
  /** Users and doorbells. */
  delivery: Pick<Delivery, "userCount" | "counters">;
  /** Messages. */
  log: Pick<MessageLog, "counters" | "times">;
  /** The event loop. */
  lag: Pick<LoopLag, "longestMs">;
  /** Connections to the database; undefined for SQLite, which has none. */
  pool: (() => PoolStats) | undefined;
  /** To the other nodes; undefined for a node that is alone. */
  bus: Pick<Bus, "isUp"> | undefined;
  /** Hashes. */
  passwords: { turns: Pick<FairQueue, "waiting">; hashes: number };
  /** Those that were spared. */
  recentPasswords: { spared: number };
  /** What limits have refused or slowed down. */
  limited: LimitCounters;
  /** Of the log, how many lines of these levels. */
  lines: Pick<RecentLines, "counts">;
  /** Heartbeats that come as datagrams; undefined when none do. */
  beats: BeatCounters | undefined;
}

/** All metrics of a node. */
export function nodeMetrics(
  { server, delivery, log, lag, pool, bus, beats, limited, lines, passwords, recentPasswords }: NodeParts,
): Metric[] {
  return [
    gauge("chat_build_info", "The program and what it runs on.", [{
      labels: { version: VERSION, deno: Deno.version.deno },
      value: 1,
    }]),
    gauge("chat_connections", "Client connections now.", server.clientCount),
    gauge("chat_connections_websocket", "Client connections now that are WebSockets.", server.webSocketCount),
    counter(
      "chat_web_requests_total",
      "Requests on the port for browsers: answered with a file, made a WebSocket, or refused.",
      Object.entries(server.webCounters).map(([result, value]) => ({ labels: { result }, value })),
    ),
    gauge(
      "chat_connections_limit",
      "Client connections there may be: --max-connections, or fewer when file descriptors have run out.",
      server.limit,
    ),
    gauge("chat_connections_anonymous", "Client connections that are not logged in.", server.anonymousCount),
    counter(
      "chat_connections_crowded_out_total",
      "Connections that were not logged in and silent, and were closed for others' sake.",
      server.crowdedOutCount,
    ),
    counter("chat_connections_accepted_total", "Client connections accepted.", server.counters.accepted),
    counter(
      "chat_connections_refused_total",
      "Accepted connections refused at once: too many, or not what was expected of them.",
      server.counters.refused,
    ),
    counter(
      "chat_accept_failures_total",
      "Failed attempts to accept a connection.",
      server.counters.acceptFailures,
    ),
    counter("chat_frames_received_total", "Frames received from clients.", server.counters.frames),
    gauge("chat_send_queue_bytes", "Bytes waiting for clients to take them.", server.queuedBytes),
    gauge("chat_users_online", "Users logged in on this node.", delivery.userCount),
    counter("chat_messages_stored_total", "Messages committed.", log.counters.messages),
    counter("chat_messages_repeated_total", "Messages that had been stored before.", log.counters.repeats),
    counter("chat_commit_batches_total", "Transactions that stored messages.", log.counters.batches),
    histogram("chat_commit_seconds", "How long those transactions took.", log.times.commits),
    histogram(
      "chat_ack_seconds",
      "From when a message came to when it was durable, and acknowledged.",
      log.times.messages,
    ),
    counter("chat_commit_retries_total", "Transactions that had to be tried again.", log.counters.retries),
    counter(
      "chat_deliveries_total",
      "Messages offered to online users of this node.",
      delivery.counters.offered,
    ),
    counter("chat_publishes_total", "Envelopes published for other nodes.", delivery.counters.published),
    counter(
      "chat_publish_failures_total",
      "Envelopes that could not be published.",
      delivery.counters.publishFailures,
    ),
    counter(
      "chat_envelopes_refused_total",
      "What came over Redis and was not from a node of this cluster.",
      delivery.counters.refused,
    ),
    counter("chat_log_sweeps_total", "Searches of the log for missed messages.", delivery.counters.sweeps),
    counter(
      "chat_limited_total",
      "What a limit has refused or slowed down.",
      Object.entries(limited).map(([limit, value]) => ({ labels: { limit }, value })),
    ),
    gauge("chat_hashes_waiting", "Logins and signups waiting for their hash.", passwords.turns.waiting),
    counter("chat_hashes_total", "Passwords hashed, to be compared or stored.", passwords.hashes),
    counter(
      "chat_hashes_spared_total",
      "Logins whose password had been found right within the last day.",
      recentPasswords.spared,
    ),
    ...(pool ? poolMetrics(pool()) : []),
    ...(bus
      ? [gauge("chat_redis_up", "1 while Redis is connected and does what is needed.", bus.isUp ? 1 : 0)]
      : []),
    ...(beats ? [beatMetric(beats)] : []),
    gauge(
      "chat_event_loop_lag_seconds",
      "The longest the event loop was late in the last half to full minute.",
      lag.longestMs / 1_000,
    ),
    counter(
      "chat_log_lines_total",
      "Lines of the log by which somebody should look.",
      Object.entries(lines.counts).map(([level, value]) => ({ labels: { level }, value })),
    ),
    gauge("chat_resident_memory_bytes", "Resident memory of the process.", Deno.memoryUsage().rss),
  ];
}

function poolMetrics(stats: PoolStats): Metric[] {
  const states = ["creating", "checking", "idle", "borrowed"] as const;
  return [
    gauge(
      "chat_pool_connections",
      "Connections to the database.",
      states.map((state) => ({ labels: { state }, value: stats[state] })),
    ),
    gauge("chat_pool_waiting", "Statements waiting for a connection.", stats.pending),
    counter("chat_pool_acquires_total", "Connections lent.", stats.acquired),
    counter("chat_pool_wait_seconds_total", "Time waited for the connections lent.", stats.waitedMs / 1_000),
    counter("chat_pool_timeouts_total", "Waits for a connection given up.", stats.timeouts),
    counter("chat_pool_created_total", "Connections made.", stats.created),
    counter("chat_pool_create_failures_total", "Connections that could not be made.", stats.createFailures),
  ];
}

function beatMetric({ counted, refused, dropped }: BeatCounters): Metric {
  const results = { counted, refused, dropped };
  return counter(
    "chat_udp_beats_total",
    "Datagrams on the heartbeat port: counted as a beat, refused, or dropped unread in a flood.",
    Object.entries(results).map(([result, value]) => ({ labels: { result }, value })),
  );
}

function gauge(name: string, help: string, value: number | readonly Sample[]): Metric {
  return { name, type: "gauge", help, samples: typeof value === "number" ? [{ value }] : value };
}

function counter(name: string, help: string, value: number | readonly Sample[]): Metric {
  return { ...gauge(name, help, value), type: "counter" };
}

function histogram(name: string, help: string, { counts, sumMs }: Histogram): Metric {
  let count = 0;
  const buckets = Array.from(counts, (own, index): Sample => {
    count += own;
    const bound = BOUNDS_MS[index];
    const le = bound === undefined ? "+Inf" : String(bound / 1_000);
    return { suffix: "_bucket", labels: { le }, value: count };
  });
  const samples: Sample[] = [
    ...buckets,
    { suffix: "_sum", value: sumMs / 1_000 },
    { suffix: "_count", value: count },
  ];
  return { name, type: "histogram", help, samples };
}
