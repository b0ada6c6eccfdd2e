/**
 * Every port of a node but those it dials: for clients, for their heartbeats, for operators.
 *
 * @module
 */
import { type Admit, createAdmit } from "./admit.ts";
import { BeatDesk, type BeatDeskOptions } from "./beat_desk.ts";
import type { Bus } from "./bus.ts";
import { systemClock } from "./clock.ts";
import type { Delivery } from "./delivery.ts";
import { serveHttp } from "./http_server.ts";
import { formatHostPort, listenTcp } from "./listen.ts";
import type { Logger } from "./logger.ts";
import { LoopLag } from "./loop_lag.ts";
import type { MessageLog } from "./message_log.ts";
import { nodeMetrics } from "./node_metrics.ts";
import type { ServeOptions } from "./options.ts";
import type { Presence } from "./presence.ts";
import { renderMetrics } from "./prometheus.ts";
import { Proxies } from "./proxies.ts";
import type { ReadGate } from "./read_gate.ts";
import { Readiness } from "./readiness.ts";
import type { ChatServer } from "./server.ts";
import type { LimitCounters } from "./services.ts";
import type { Database } from "./store/database.ts";
import type { MysqlDatabase } from "./store/mysql.ts";
import { TlsServer } from "./tls.ts";
import { openUdpBeats, type UdpBeats } from "./udp_beats.ts";

/** What is to be closed at the end, the last one first. */
export type Closer = () => Promise<void> | void;

/** What {@link openHttp} answers about. */
export interface HttpParts {
  /** Connections. */
  server: ChatServer;
  /** Users and doorbells. */
  delivery: Delivery;
  /** Messages. */
  log: MessageLog;
  /** Claims. */
  presence: Presence;
  /** To the other nodes. */
  bus: Bus;
  /** Whether there are others. */
  isClustered: boolean;
  /** Heartbeats as datagrams. */
  beats: UdpBeats | undefined;
  /** The database. */
  db: Database;
  /** What limits have refused or slowed down. */
  limited: LimitCounters;
}

/** Opens the port for heartbeats as datagrams, if there is to be one. */
export async function openBeats(
  options: ServeOptions,
  parts: Pick<BeatDeskOptions, "users" | "tokens" | "delivery" | "isClustered">,
  logger: Logger,
  closers: Closer[],
): Promise<UdpBeats | undefined> {
  const { host, udpPort, heartbeatIntervalMs, heartbeatMisses, maxConnections } = options;
  if (udpPort === null) return undefined;
  const desk = new BeatDesk({
    ...parts,
    believeMs: heartbeatIntervalMs * heartbeatMisses,
    relayEveryMs: heartbeatIntervalMs / 2,
    now: () => performance.now(),
  });
  const beats = await openUdpBeats({
    host,
    port: udpPort,
    // A full house that beats all at once within two seconds is no flood.
    maxPerSecond: Math.max(1_000, maxConnections / 2),
    take: (datagram) => desk.take(datagram),
    logger,
  });
  closers.push(() => beats.close());
  return beats;
}

/** Answers health checks and gives out metrics, if that is asked for; returns where. */
export function openHttp(
  { http }: ServeOptions,
  parts: HttpParts,
  closers: Closer[],
): string | undefined {
  if (!http) return undefined;
  const { server, presence, bus, isClustered, beats, db } = parts;
  const lag = new LoopLag(systemClock);
  lag.start();
  closers.push(() => lag.stop());
  const readiness = new Readiness({
    isAccepting: () => server.isAccepting,
    pingDatabase: () => db.ping(),
    isBusUp: () => bus.isUp && presence.isUp,
  });
  const numbers = {
    ...parts,
    lag,
    pool: hasPool(db) ? () => db.stats() : undefined,
    bus: isClustered ? bus : undefined,
    beats: beats?.counters,
  };
  const { address, close } = serveHttp(http, {
    problems: () => readiness.problems(),
    metrics: () => renderMetrics(nodeMetrics(numbers)),
  });
  closers.push(close);
  return formatHostPort(address.hostname, address.port);
}

function hasPool(db: Database): db is MysqlDatabase {
  return "stats" in db;
}

/** Lets clients in; returns where. */
export function openListeners(
  options: ServeOptions,
  server: ChatServer,
  gate: ReadGate,
): { tcp: string; tls?: string } {
  const { host, port, tlsPort, tlsCertPath, tlsKeyPath } = options;
  const proxies = new Proxies(options.proxies);
  const tls = tlsCertPath !== null && tlsKeyPath !== null
    ? new TlsServer({ certPath: tlsCertPath, keyPath: tlsKeyPath }, gate)
    : undefined;
  const addresses = { tcp: openListener(server, host, port, createAdmit({ proxies })) };
  if (!tls || tlsPort === null) return addresses;
  return { ...addresses, tls: openListener(server, host, tlsPort, createAdmit({ proxies, tls })) };
}

function openListener(server: ChatServer, host: string, port: number, admit: Admit): string {
  const listener = listenTcp(host, port);
  server.accept(listener, admit);
  return formatHostPort(listener.addr.hostname, listener.addr.port);
}
