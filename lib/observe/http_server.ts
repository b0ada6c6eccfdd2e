/**
 * What operators and their tools ask a node: is the process alive, should it be given clients, how is it doing.
 *
 * Connections are accepted here and handed to node:http: `Deno.serve` ends the process when it cannot accept one, and a
 * listener of node:http (Deno 2.9.6, measured) takes no more after it has once been out of file descriptors.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { errorText } from "../base/errors.ts";
import { isShortage } from "../net/listen.ts";
import type { LogBudget } from "../base/log_budget.ts";
import type { Logger } from "../base/logger.ts";
import type { OperatorAnswer, OperatorRequest } from "./operator_port.ts";
import { METRICS_CONTENT_TYPE } from "./prometheus.ts";
import type { ReadGate } from "../net/read_gate.ts";
import { SocketStream } from "../net/socket_stream.ts";
import { anotherTurn } from "../base/turn.ts";

/** Connections at a time. One more ends the oldest, so that silent ones keep nobody out. */
const MAX_CONNECTIONS = 32;
/** So long a connection lasts at most, ms: it brings one request and takes one answer. */
const CONNECTION_MS = 10_000;
/** Longest request with all of its headers, bytes. */
const MAX_HEADER_BYTES = 8_192;
/** Longest body, bytes. */
const MAX_BODY_BYTES = 16_384;
/** Pause after an accept that failed for want of file descriptors, ms. */
const ACCEPT_RETRY_MS = 100;

/** Where the answers come from. */
export interface HttpSources {
  /** Why the node should not be given clients; empty when it should. */
  problems: () => Promise<string[]>;
  /** The page of metrics. */
  metrics: () => string;
  /** Gives up file descriptors that clients have, or that are kept back; false when there are none to be had. */
  makeRoom: (reason: string) => boolean;
  /** The page for operators; undefined where there is no such thing, and before the node has started. */
  page?: (request: OperatorRequest) => Promise<OperatorAnswer | undefined>;
}

/** What {@link serveHttp} works with. */
export interface HttpOptions {
  /** Where the answers come from. */
  sources: HttpSources;
  /** Which all reads of the process pass. */
  gate: ReadGate;
  /** For connections that cannot be accepted, and requests that are none. */
  logger: Logger;
  /** Bounds the lines about the latter. */
  refusalLines: LogBudget;
}

/** What a request is answered with. */
interface Answer {
  status: number;
  body: string | Uint8Array;
  headers?: Readonly<Record<string, string>>;
}

/** Serves `/healthz`, `/readyz`, `/metrics` and the page for operators to whoever connects to `listener`; the returned function ends that. */
export function serveHttp(listener: Deno.TcpListener, options: HttpOptions): () => void {
  const { logger, gate } = options;
  /** The oldest first. */
  const streams = new Set<SocketStream>();
  let isClosed = false;
  const http = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
    // A second request on the same connection finds its answer's connection closed.
    if (!answered.has(request.socket)) respond(request, peers.get(request.socket) ?? "", response, options);
    answered.add(request.socket);
  });
  const answered = new WeakSet<object>();
  /** Addresses. */
  const peers = new WeakMap<object, string>();
  http.on("clientError", (error, socket) => {
    socket.destroy();
    if (!isClosed && options.refusalLines.take(performance.now())) {
      logger.info("HTTP request refused", { reason: errorText(error) });
    }
  });

  function take(socket: Deno.TcpConn): void {
    const [oldest] = streams;
    if (streams.size >= MAX_CONNECTIONS) oldest?.destroy();
    const stream = new SocketStream(socket, gate);
    const late = setTimeout(() => stream.destroy(), CONNECTION_MS);
    streams.add(stream);
    peers.set(stream, socket.remoteAddr.hostname);
    stream.once("close", () => {
      clearTimeout(late);
      streams.delete(stream);
    });
    // Whoever goes away in the middle of it needs no answer.
    stream.on("error", () => {});
    http.emit("connection", stream);
  }

  async function accept(): Promise<void> {
    let isFailing = false;
    while (!isClosed) {
      try {
        take(await listener.accept());
        isFailing = false;
      } catch (error) {
        if (isClosed) return;
        if (!isShortage(error)) {
          await anotherTurn();
          continue;
        }
        if (options.sources.makeRoom(errorText(error))) continue;
        if (!isFailing) {
          logger.error("cannot accept HTTP connections; tried again", { reason: errorText(error) });
        }
        isFailing = true;
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
      }
    }
  }

  accept();
  return () => {
    isClosed = true;
    listener.close();
    for (const stream of streams) stream.destroy();
  };
}

async function respond(
  request: IncomingMessage,
  peer: string,
  response: ServerResponse,
  { sources, logger }: HttpOptions,
): Promise<void> {
  let answer: Answer;
  try {
    answer = await answerTo(request, peer, sources);
  } catch (error) {
    logger.error("cannot answer an HTTP request", { reason: errorText(error) });
    answer = { status: 500, body: "This cannot be answered\n" };
  }
  const { status, body, headers } = answer;
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    "connection": "close",
    ...headers,
  });
  response.end(body);
}

async function answerTo(request: IncomingMessage, peer: string, sources: HttpSources): Promise<Answer> {
  const { method = "", url = "", headers } = request;
  const [path = "", query = ""] = url.replace(/#.*/s, "").split(/\?(.*)/s);
  if (method === "POST" && path.startsWith("/api/") && sources.page) {
    const body = await bodyOf(request);
    if (body === undefined) return { status: 413, body: "The request is too long\n" };
    return await sources.page({ method, path, query, headers, body, peer }) ?? NOTHING_THERE;
  }
  if (method !== "GET" && method !== "HEAD") {
    return { status: 405, body: "Only GET and HEAD\n", headers: { allow: "GET, HEAD" } };
  }
  switch (path) {
    case "/healthz":
      return { status: 200, body: "alive\n" };
    case "/readyz": {
      const reasons = await sources.problems();
      return reasons.length === 0
        ? { status: 200, body: "ready\n" }
        : { status: 503, body: `not ready\n${reasons.join("\n")}\n` };
    }
    case "/metrics":
      return { status: 200, body: sources.metrics(), headers: { "content-type": METRICS_CONTENT_TYPE } };
    default:
      return await sources.page?.({ method, path, query, headers, body: "", peer }) ?? NOTHING_THERE;
  }
}

const NOTHING_THERE: Answer = {
  status: 404,
  body: "There are /healthz, /readyz and /metrics, and a page for operators at /\n",
};

/** Undefined: it is too long. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request) {
    length += part.length;
    if (length > MAX_BODY_BYTES) return undefined;
    parts.push(part);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}
