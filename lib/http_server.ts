/**
 * What operators and their tools ask a node: is the process alive, should it be given clients, how is it doing.
 *
 * @module
 */
import { formatHostPort, listenError } from "./listen.ts";
import type { HostPort } from "./option_values.ts";
import { METRICS_CONTENT_TYPE } from "./prometheus.ts";

/** Where the answers come from. */
export interface HttpSources {
  /** Why the node should not be given clients; empty when it should. */
  problems: () => Promise<string[]>;
  /** The page of metrics. */
  metrics: () => string;
}

/** A running HTTP server. */
export interface HttpServer {
  /** Where it listens. */
  readonly address: Deno.NetAddr;
  /** Closes it, with whatever is under way. */
  close(): Promise<void>;
}

/** Serves `/healthz`, `/readyz` and `/metrics`. Throws a FatalError when it cannot listen. */
export function serveHttp({ host, port }: HostPort, sources: HttpSources): HttpServer {
  const stop = new AbortController();
  try {
    const server = Deno.serve(
      { hostname: host, port, signal: stop.signal, onListen() {} },
      (request) => answer(request, sources),
    );
    return {
      address: server.addr,
      async close() {
        stop.abort();
        await server.finished;
      },
    };
  } catch (error) {
    throw listenError(formatHostPort(host, port), error);
  }
}

async function answer({ method, url }: Request, { problems, metrics }: HttpSources): Promise<Response> {
  if (method !== "GET" && method !== "HEAD") return text(405, "Only GET and HEAD\n", { allow: "GET, HEAD" });
  switch (new URL(url).pathname) {
    case "/healthz":
      return text(200, "alive\n");
    case "/readyz": {
      const reasons = await problems();
      return reasons.length === 0 ? text(200, "ready\n") : text(503, `not ready\n${reasons.join("\n")}\n`);
    }
    case "/metrics":
      return text(200, metrics(), { "content-type": METRICS_CONTENT_TYPE });
    default:
      return text(404, "There are /healthz, /readyz and /metrics\n");
  }
}

function text(status: number, body: string, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { "cache-control": "no-store", ...headers } });
}
