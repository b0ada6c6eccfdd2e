/**
 * Every port of a node but those it dials: for clients, for their heartbeats, for operators.
 *
 * @module
 */
import type { Session } from "./chat/session.ts";
import type { Socket } from "node:dgram";
import { createAdmit } from "./net/admit.ts";
import { type Assets, loadAssets } from "./web/assets.ts";
import { BeatDesk, type BeatDeskOptions } from "./chat/beat_desk.ts";
import type { Bus } from "./cluster/bus.ts";
import { systemClock } from "./base/clock.ts";
import type { Delivery } from "./log/delivery.ts";
import { type HttpOptions, type HttpSources, serveHttp } from "./observe/http_server.ts";
import { formatHostPort } from "./base/host_port.ts";
import { listenTcp } from "./net/listen.ts";
import type { Logger } from "./base/logger.ts";
import { LoopLag } from "./observe/loop_lag.ts";
import type { MessageLog } from "./log/message_log.ts";
import { nodeMetrics } from "./observe/node_metrics.ts";
import type { ServeOptions } from "./config/options.ts";
import type { Passwords } from "./chat/password.ts";
import type { Presence } from "./cluster/presence.ts";
import { openOperatorPage, type OperatorParts } from "./operators.ts";
import { renderMetrics } from "./observe/prometheus.ts";
import type { RecentLines } from "./observe/recent_lines.ts";
import type { RecentPasswords } from "./chat/recent_passwords.ts";
import { Proxies } from "./net/proxies.ts";
import type { ReadGate } from "./net/read_gate.ts";
import { NOT_ACCEPTING, Readiness } from "./observe/readiness.ts";
import type { ChatServer } from "./chat/server.ts";
import type { LimitCounters } from "./chat/limit_book.ts";
import type { Database } from "./store/database.ts";
import { EXIT, FatalError } from "./base/errors.ts";
import type { MysqlDatabase } from "./store/mysql.ts";
import { WriteProbe } from "./store/write_probe.ts";
import { TlsServer } from "./net/tls.ts";
import { bindUdp, UdpBeats } from "./net/udp_beats.ts";
import { createWebAdmit } from "./web/web_door.ts";

/** Where browsers are served when nobody says where, or on the next ports. */
const WEB_HOST = "127.0.0.1";
const WEB_PORT = 8080;
const WEB_PORTS_TRIED = 10;

/** What is to be closed at the end, the last one first. */
export type Closer = () => Promise<void> | void;

/** What a node listens on: bound, and nothing taken from it yet. */
export interface Ports {
  /** For clients. */
  tcp: Deno.TcpListener;
  /** For those who speak TLS. */
  tls?: { listener: Deno.TcpListener; server: TlsServer };
  /** For operators. */
  http?: Deno.TcpListener;
  /** For browsers. */
  web?: { listener: Deno.TcpListener; tls: TlsServer | undefined; assets: Assets };
  /** For heartbeats as datagrams. */
  udp?: Socket;
}

/** Binds every port that the options name. Throws a FatalError when that, or their certificate, is not possible. */
export async function bindPorts(
  options: ServeOptions,
  gate: ReadGate,
  logger: Logger,
  closers: Closer[],
): Promise<Ports> {
  const { host, port, tlsPort, tlsCertPath, tlsKeyPath, webTls, http, udpPort } = options;
  const tls = tlsCertPath === null || tlsKeyPath === null
    ? undefined
    : new TlsServer({ certPath: tlsCertPath, keyPath: tlsKeyPath }, gate);
  const listen = (hostname: string, port: number) => {
    const listener = listenTcp(hostname, port);
    closers.push(() => closeListener(listener));
    return listener;
  };
  const ports: Ports = { tcp: listen(host, port) };
  if (tls && tlsPort !== null) ports.tls = { listener: listen(host, tlsPort), server: tls };
  if (http) ports.http = listen(http.host, http.port);
  const web = listenWeb(options, listen, logger);
  if (web) ports.web = { listener: web, tls: webTls ? tls : undefined, assets: loadAssets() };
  if (udpPort !== null) {
    const socket = ports.udp = await bindUdp(host, udpPort);
    closers.push(() => closeSocket(socket));
  }
  return ports;
}

/** Undefined: browsers are not served. */
function listenWeb(
  { web, host, mysqlUrl }: ServeOptions,
  listen: (hostname: string, port: number) => Deno.TcpListener,
  logger: Logger,
): Deno.TcpListener | undefined {
  if (web === "none") return undefined;
  if (web !== null) return listen(web.host, web.port);
  // Whoever tries it out gets the page; whoever runs it for others says where.
  if (mysqlUrl !== null || !isLoopback(host)) return undefined;
  for (let port = WEB_PORT; port < WEB_PORT + WEB_PORTS_TRIED; port++) {
    try {
      const listener = listen(WEB_HOST, port);
      if (port > WEB_PORT) {
        logger.warn("the port for browsers is another one: the usual one is in use", { port });
      }
      return listener;
    } catch (error) {
      if (!(error instanceof FatalError) || error.exitCode !== EXIT.unavailable) throw error;
    }
  }
  const last = WEB_PORT + WEB_PORTS_TRIED - 1;
  logger.warn("browsers are not served: the ports for them are in use", { ports: `${WEB_PORT}-${last}` });
  return undefined;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host.startsWith("127.") || host === "::1";
}

function closeListener(listener: Deno.TcpListener): void {
  try {
    listener.close();
  } catch {
    // Whoever served it has closed it.
  }
}

function closeSocket(socket: Socket): void {
  try {
    socket.close();
  } catch {
    // As above.
  }
}

/** Where a node listens: "host:port" of each, and the URL of the page. */
export function addressesOf({ tcp, tls, http, web, udp }: Ports): Record<string, string> {
  const of = ({ addr: { hostname, port } }: Deno.TcpListener) => formatHostPort(hostname, port);
  const datagrams = udp?.address();
  return {
    tcp: of(tcp),
    ...(tls ? { tls: of(tls.listener) } : {}),
    ...(http ? { http: of(http) } : {}),
    ...(web ? { web: `${web.tls ? "https" : "http"}://${of(web.listener)}/` } : {}),
    ...(datagrams ? { udp: formatHostPort(datagrams.address, datagrams.port) } : {}),
  };
}

/** What {@link openHttp} answers about. */
export interface HttpParts {
  /** Connections. */
  server: ChatServer;
  /** Users and doorbells. */
  delivery: Delivery<Session>;
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
  /** Hashes. */
  passwords: Passwords;
  /** Those that were spared. */
  recentPasswords: RecentPasswords;
  /** What limits have refused or slowed down. */
  limited: LimitCounters;
  /** What the log has said lately. */
  lines: RecentLines;
  /** For what operators should see. */
  logger: Logger;
}

/** Takes heartbeats as datagrams from `socket`. */
export function takeBeats(
  options: ServeOptions,
  socket: Socket,
  parts: Pick<BeatDeskOptions, "users" | "tokens" | "delivery" | "isClustered">,
  logger: Logger,
  closers: Closer[],
): UdpBeats {
  const { host, heartbeatIntervalMs, heartbeatMisses, maxConnections } = options;
  const desk = new BeatDesk({
    ...parts,
    believeMs: heartbeatIntervalMs * heartbeatMisses,
    relayEveryMs: heartbeatIntervalMs / 2,
    now: () => performance.now(),
  });
  const beats = new UdpBeats({
    host,
    // A full house that beats all at once within two seconds is no flood.
    maxPerSecond: Math.max(1_000, maxConnections / 2),
    take: (datagram) => desk.take(datagram),
    logger,
  }, socket);
  closers.push(() => beats.close());
  return beats;
}

/**
 * Answers health checks, at first as a node that is starting: to bring a large database up to date takes its time. Call
 * what is returned with what the node then consists of.
 */
export function openHttp(
  listener: Deno.TcpListener,
  options: Omit<HttpOptions, "sources">,
  closers: Closer[],
): (parts: HttpParts & OperatorParts) => void {
  const sources: HttpSources = {
    problems: () => Promise.resolve([NOT_ACCEPTING]),
    metrics: () => "",
    makeRoom: () => false,
  };
  closers.push(serveHttp(listener, { ...options, sources }));
  return (parts) => void Object.assign(sources, sourcesOf(parts, listener, closers));
}

function sourcesOf(
  parts: HttpParts & OperatorParts,
  listener: Deno.TcpListener,
  closers: Closer[],
): HttpSources {
  const { server, presence, bus, isClustered, beats, db, log, logger } = parts;
  const lag = new LoopLag(systemClock);
  lag.start();
  closers.push(() => lag.stop());
  const probe = new WriteProbe(db);
  const readiness = new Readiness({
    isAccepting: () => server.isAccepting,
    writeDatabase: () => probe.write(),
    storingProblem: () => log.problem(),
    logger,
    clock: systemClock,
    isBusUp: () => bus.isUp && presence.isUp,
  });
  const numbers = {
    ...parts,
    lag,
    pool: hasPool(db) ? () => db.stats() : undefined,
    bus: isClustered ? bus : undefined,
    beats: beats?.counters,
  };
  const problems = () => readiness.problems();
  const page = openOperatorPage({ ...parts, lag, pool: numbers.pool, problems, listener }, closers);
  return {
    problems,
    page: (request) => page.answer(request),
    metrics: () => renderMetrics(nodeMetrics(numbers)),
    makeRoom: (reason) => server.yieldDescriptors(reason),
  };
}

function hasPool(db: Database): db is MysqlDatabase {
  return "stats" in db;
}

/** Lets clients in. */
export function letIn(
  { proxies: ranges, webOrigins }: ServeOptions,
  { tcp, tls, web }: Ports,
  server: ChatServer,
): void {
  const proxies = new Proxies(ranges);
  const counters = server.webCounters;
  if (web) {
    server.accept(web.listener, createWebAdmit({ ...web, proxies, origins: webOrigins ?? [], counters }));
  }
  server.accept(tcp, createAdmit({ proxies }));
  if (tls) server.accept(tls.listener, createAdmit({ proxies, tls: tls.server }));
}
