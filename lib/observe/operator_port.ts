/**
 * The page for operators, on the port that health and metrics are on: its files, a login, and what it asks for.
 *
 * It is for browsers that come by HTTPS or from this machine, because a password and a cookie pass. HTTPS is a proxy's, one
 * of --proxy-protocol, who says so by X-Forwarded-Proto. Whatever changes something is a POST with JSON and the page's own
 * Origin; the cookie is for nobody else's requests (SameSite=Strict), and for no script (HttpOnly).
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { FatalError } from "../base/errors.ts";
import { HttpRefusal } from "../net/http_head.ts";
import { personAddress } from "../net/person_address.ts";
import type { Proxies } from "../net/proxies.ts";
import { answerFor } from "../web/answers.ts";
import type { Assets } from "../web/assets.ts";
import { type Operator, type OperatorSessions, SESSION_MS } from "./operator_sessions.ts";

/** Of a node's name, what tells its cookie from those of others. */
const MARK_CHARS = 8;
const LOCAL_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;
const LOCAL_PEER = /^(127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i;

/** A request, read to its end. */
export interface OperatorRequest {
  /** GET, HEAD or POST. */
  method: string;
  /** Without what follows `?`. */
  path: string;
  /** Behind `?`. */
  query: string;
  /** By their names in lower case. */
  headers: IncomingHttpHeaders;
  /** Of a POST. */
  body: string;
  /** Where the connection comes from, an IP address. */
  peer: string;
}

/** What it is answered with. */
export interface OperatorAnswer {
  /** Of HTTP. */
  status: number;
  /** By their names. */
  headers: Readonly<Record<string, string>>;
  /** Text or bytes. */
  body: string | Uint8Array;
}

/** What somebody asks for or wants done. */
export interface Asked {
  /** Which. */
  what: string;
  /** About whom or what. */
  of: string;
  /** Typed again, for what hurts. */
  name: string;
}

/** What {@link OperatorPort} works with. */
export interface OperatorPortOptions {
  /** This node's name: browsers have one jar for all nodes of a machine. */
  node: string;
  /** Who is logged in. */
  sessions: OperatorSessions;
  /** Whose word counts. */
  proxies: Proxies;
  /** The page. */
  assets: Assets;
  /** How the node does; rows of the last hour from this one on. */
  state: (from: number) => Promise<unknown>;
  /** Looks something up. Throws a FatalError when it is not there. */
  look: (asked: Asked, operator: Operator) => Promise<unknown>;
  /** Does something, in this one's name. Throws a FatalError when it cannot be done. */
  act: (asked: Asked, operator: Operator) => Promise<unknown>;
}

/** From where somebody comes. */
interface Place {
  scheme: "http" | "https";
  person: string | undefined;
}

/** A request that is refused, with a line for people. */
class Refusal extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

/** One per node. */
export class OperatorPort {
  readonly #options: OperatorPortOptions;
  /** Name of the cookie. */
  readonly #cookie: string;

  /** See {@link OperatorPortOptions}. */
  constructor(options: OperatorPortOptions) {
    this.#options = options;
    const mark = createHash("sha256").update(options.node).digest("hex").slice(0, MARK_CHARS);
    this.#cookie = `chat_operator_${mark}`;
  }

  /** Undefined: there is no such thing. Rejects with a DatabaseError. */
  async answer(request: OperatorRequest): Promise<OperatorAnswer | undefined> {
    try {
      if (request.path.startsWith("/api/")) return await this.#answerApi(request);
      return request.method === "POST" ? undefined : this.#file(request);
    } catch (error) {
      if (error instanceof Refusal) return json(error.status, { problem: error.message });
      if (error instanceof FatalError) return json(409, { problem: error.message });
      throw error;
    }
  }

  #file({ method, path, query, headers }: OperatorRequest): OperatorAnswer | undefined {
    const known = new Map(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    try {
      return answerFor(
        {
          method: method === "HEAD" ? "HEAD" : "GET",
          path,
          query,
          headers: known,
          isKeptAlive: false,
          length: 0,
        },
        this.#options.assets,
        true,
      );
    } catch (error) {
      if (error instanceof HttpRefusal) return undefined;
      throw error;
    }
  }

  async #answerApi(request: OperatorRequest): Promise<OperatorAnswer | undefined> {
    const { method, path, query } = request;
    const { sessions, state, look, act } = this.#options;
    const place = this.#placeOf(request);
    const token = cookieOf(request, this.#cookie);
    if (method === "GET" && path === "/api/state") {
      await this.#operator(token);
      return json(200, await state(Number(new URLSearchParams(query).get("from")) || 0));
    }
    if (method !== "POST") return undefined;
    const fields = fieldsOf(request, place);
    if (path === "/api/login") return await this.#logIn(fields, place);
    if (path === "/api/logout") {
      sessions.logOut(token);
      return json(200, {}, { "set-cookie": this.#cookieFor("", 0, place) });
    }
    const operator = await this.#operator(token);
    const asked = { what: textOf(fields, "what"), of: textOf(fields, "of"), name: textOf(fields, "name") };
    if (path === "/api/look") return json(200, await look(asked, operator));
    if (path === "/api/act") return json(200, await act(asked, operator));
    return undefined;
  }

  async #operator(token: string): Promise<Operator> {
    const operator = token === "" ? undefined : await this.#options.sessions.find(token);
    if (!operator) throw new Refusal(401, "Log in.");
    return operator;
  }

  async #logIn(fields: Record<string, unknown>, place: Place): Promise<OperatorAnswer> {
    const reply = await this.#options.sessions.logIn({
      name: textOf(fields, "name"),
      password: textOf(fields, "password"),
      person: place.person,
    });
    if ("token" in reply) {
      return json(200, {}, { "set-cookie": this.#cookieFor(reply.token, SESSION_MS / 1_000, place) });
    }
    const { problem, waitMs } = reply;
    if (waitMs === undefined) return json(403, { problem });
    const seconds = Math.ceil(waitMs / 1_000);
    const again = { "retry-after": String(seconds) };
    return json(429, { problem: `${problem} Try again in ${seconds} s.` }, again);
  }

  #cookieFor(value: string, seconds: number, { scheme }: Place): string {
    const secure = scheme === "https" ? "; Secure" : "";
    return `${this.#cookie}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
  }

  /** Throws a Refusal when neither HTTPS nor this machine is certain. */
  #placeOf({ peer, headers }: OperatorRequest): Place {
    const { proxies } = this.#options;
    const forwarded = String(headers["x-forwarded-for"] ?? "").split(",").at(-1)?.trim() ?? "";
    if (proxies.trusts(peer) && headers["x-forwarded-proto"] === "https") {
      return { scheme: "https", person: forwarded === "" ? undefined : personAddress(forwarded, proxies) };
    }
    const isDirect = forwarded === "" && headers["x-forwarded-proto"] === undefined;
    // A name that somebody else's page has made this machine's is not one of these.
    if (isDirect && LOCAL_PEER.test(peer) && LOCAL_HOST.test(headers.host ?? "")) {
      return { scheme: "http", person: undefined };
    }
    throw new Refusal(
      403,
      "This page is for browsers on the node's own machine (ssh -L 9100:127.0.0.1:9100) or by HTTPS through a proxy " +
        "that --proxy-protocol names and that sends X-Forwarded-Proto.",
    );
  }
}

function cookieOf({ headers: { cookie = "" } }: OperatorRequest, name: string): string {
  const pairs = cookie.split(";").map((pair) => pair.trim().split("="));
  return pairs.find(([key]) => key === name)?.[1] ?? "";
}

/** The JSON object of a POST from the page itself. */
function fieldsOf({ headers, body }: OperatorRequest, { scheme }: Place): Record<string, unknown> {
  const { origin, host, "sec-fetch-site": site = "same-origin" } = headers;
  if (origin !== `${scheme}://${host}` || site !== "same-origin") {
    throw new Refusal(403, "The request does not come from this page.");
  }
  if (headers["content-type"] !== "application/json") throw new Refusal(415, "The request is not JSON.");
  try {
    const fields: unknown = JSON.parse(body);
    if (typeof fields === "object" && fields !== null) return { ...fields };
  } catch {
    // As if it were another kind of value.
  }
  throw new Refusal(400, "The request is not a JSON object.");
}

function textOf(fields: Record<string, unknown>, name: string): string {
  const value = fields[name] ?? "";
  if (typeof value !== "string") throw new Refusal(400, `${name} is not a text.`);
  return value;
}

function json(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): OperatorAnswer {
  return {
    status,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin",
      ...headers,
    },
    body: JSON.stringify(value),
  };
}
