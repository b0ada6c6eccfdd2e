/**
 * The options: the one table that yields parsing, `--help` and the names of the environment variables, after ergo,
 * whose usage text is the specification of its command line.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { LOG_LEVELS, type LogFormat, type LogLevel } from "../base/logger.ts";
import {
  type AddressRange,
  addressRanges,
  bytes,
  bytesOrNone,
  characters,
  duration,
  host,
  type HostPort,
  hostPort,
  integer,
  mysqlUrl,
  nodeName,
  oneOf,
  origins,
  pageAddress,
  type ParseValue,
  path,
  port,
  redisUrl,
  shortText,
  webAddress,
  yesOrNo,
} from "./option_values.ts";

/** The version of the program. */
export const VERSION: string = config.version;

/** Where the data is and how the program talks about it; for `serve` and `migrate`. */
export interface StorageOptions {
  /** The file that further options stand in. */
  configPath: string | null;
  /** The file of the embedded database, or `:memory:`; not used with `mysqlUrl`. */
  sqlitePath: string;
  /** The database that is used instead of the embedded one. */
  mysqlUrl: string | null;
  /** Lines of the log below this are dropped. */
  logLevel: LogLevel;
  /** How a line of the log looks. */
  logFormat: LogFormat;
}

/** `chatserver serve`. */
export interface ServeOptions extends StorageOptions {
  /** Run a node. */
  command: "serve";
  /** Where to listen for chat clients. */
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Where to listen for TLS clients of the chat's own protocol, on the same host; needs `tlsCertPath` and `tlsKeyPath`. */
  tlsPort: number | null;
  /** Certificate chain, PEM. */
  tlsCertPath: string | null;
  /** Its private key, PEM. */
  tlsKeyPath: string | null;
  /** Where to answer health checks and give out metrics. */
  http: HostPort | null;
  /** Where to serve browsers, the page and its WebSocket; null: nobody has said. */
  web: HostPort | "none" | null;
  /** Speak TLS there; needs `tlsCertPath` and `tlsKeyPath`. */
  webTls: boolean;
  /** Origins of other sites whose pages may connect there. */
  webOrigins: string[] | null;
  /** Where to take heartbeats as datagrams, on the same host. */
  udpPort: number | null;
  /** The port clients are told to send heartbeats to; null: `udpPort`. */
  udpAnnounce: number | null;
  /**
   * Connections from these addresses begin with a PROXY protocol header, and all others are the clients' own. Null: none
   * begins with a header, and whose they are is not known.
   */
  proxies: AddressRange[] | null;
  /** Most connections to the database. */
  poolSize: number;
  /** The bus and presence of a cluster; null: this node is alone. */
  redisUrl: string | null;
  /** Certificates of the authorities to trust with `rediss://` in place of the system's, PEM. */
  redisCaPath: string | null;
  /** Name of the node among the others; null: to be made of host name and port. */
  nodeName: string | null;
  /** Which messages are stored: all, or only those whose receiver is away. */
  persist: "all" | "offline";
  /** What becomes of a second login of the same user: refused, or it replaces the first. */
  duplicateLogin: "refuse" | "replace";
  /** How long a message can be recalled; 0: never. */
  recallWindowMs: number;
  /** How long a message can be edited, ms; 0: never. */
  editWindowMs: number;
  /** How long a resume token is good for. */
  tokenTtlMs: number;
  /** Devices a user of version 3 has at most. */
  maxDevices: number;
  /** After this a message without an acknowledgement is sent again. */
  ackTimeoutMs: number;
  /** How often a v2 client is to be heard of. */
  heartbeatIntervalMs: number;
  /** After so many intervals of silence it counts as gone. */
  heartbeatMisses: number;
  /** A connection that has not logged in by then is closed. */
  authTimeoutMs: number;
  /** Longest frame. */
  maxFrameBytes: number;
  /** Into how many bytes a version 1 client that ends its frames with NUL reads one; 0: any. */
  v1ClientBufferBytes: number;
  /** Chat messages of a user a second; 0: any number. */
  messageRate: number;
  /** Bytes of these a second; 0: any number. */
  byteRate: number;
  /** Bytes of history a user may read a second; 0: any number. */
  historyRate: number;
  /** Look-ups of a user a second; 0: any number. */
  lookupRate: number;
  /** Requests to the database of a connection, or of a user of version 3, a second; 0: any number. */
  requestRate: number;
  /** Devices a user makes an hour; 0: any number. */
  deviceRate: number;
  /** Other names and statuses of a user an hour; 0: any number. */
  profileRate: number;
  /** Refused frames of a connection a second. */
  refusalRate: number;
  /** Messages that may wait from one user for another; 0: any number. */
  undeliveredMessages: number;
  /** Bytes of these; 0: any number. */
  undeliveredBytes: number;
  /** Who may sign up: anybody, who has an invitation, or nobody. */
  signup: "open" | "invite" | "closed";
  /** Signups of an address an hour; 0: any number. */
  signupRate: number;
  /** Wrong passwords for an account before the next one has to wait. */
  wrongPasswords: number;
  /** Those from one address; 0: any number. */
  wrongPasswordsPerAddress: number;
  /** Wrong codes from one address before the next one has to wait; 0: any number. */
  wrongCodes: number;
  /** Least length of a new password, in characters. */
  passwordMin: number;
  /** log2 of scrypt's N. */
  passwordCost: number;
  /** Whether users are found by how their names begin, or by the whole name only. */
  directory: "open" | "closed";
  /** Friends that a user may add. */
  maxFriends: number;
  /** Groups that a user may be in. */
  maxGroups: number;
  /** Groups that a user may be the creator of. */
  maxGroupsCreated: number;
  /** Members that a group may have. */
  maxMembers: number;
  /** Who can be added to a group: whoever has added the one who does it as a friend, or anybody. */
  invites: "friends" | "open";
  /** Most client connections at a time. */
  maxConnections: number;
  /** Of those, most that are not logged in. */
  maxAnonymous: number;
  /** Of those, most from one address. */
  maxAnonymousPerAddress: number;
  /** How long SIGTERM may take. */
  drainTimeoutMs: number;
  /** Only try what a start would, without changing anything, and end. */
  checkConfig: boolean;
}

/** `chatserver client`. */
export interface ClientOptions {
  /** Talk to a server from the terminal. */
  command: "client";
  /** Where the server is. */
  host: string;
  /** Its port. */
  port: number;
  /** Connect with TLS. */
  tls: boolean;
  /** With TLS: certificates to trust besides the system's, PEM. */
  tlsCaPath: string | null;
  /** Speak the original protocol. */
  v1: boolean;
  /** Log in as this user at once: an id, or a name. */
  user: string | null;
  /** What the user calls this device; null: by its host's name. */
  device: string | null;
  /** On a pipe: print what happens as JSON. */
  json: boolean;
  /** Who uses this machine; null: unknown. */
  localUser: string | null;
  /** The terminal may be coloured. */
  colors: boolean;
  /** With `user`: from the environment, never an argument; null: to be asked for. */
  password: string | null;
  /** Folder for what was said, a file for each server and device; null: keep nothing. */
  historyFolder: string | null;
}

/** `chatserver migrate`. */
export interface MigrateOptions extends StorageOptions {
  /** Bring the database up to date. */
  command: "migrate";
}

/** `chatserver admin`. What a command of its does not take is null or false. */
export interface AdminOptions extends StorageOptions {
  /** Do something for an operator, whether nodes run or not. */
  command: "admin";
  /** The words behind `admin`: which command, and what it is about. */
  words: string[];
  /** Only say how that command is used. */
  isHelp: boolean;
  /** Print JSON. */
  json: boolean;
  /** Do not ask whether it is meant. */
  yes: boolean;
  /** Who does it, for the audit. */
  by: string | null;
  /** Only what has a higher id. */
  after: number | null;
  /** Lines at most. */
  limit: number | null;
  /** How often a code can be used. */
  uses: number | null;
  /** How long a code is good. */
  lifetimeMs: number | null;
  /** For people. */
  note: string | null;
  /** Make a password. */
  generate: boolean;
  /** Make a code for a password. */
  code: boolean;
  /** Where the page is that takes a code, as an absolute URL. */
  link: string | null;
  /** Take the texts of a deleted user away. */
  withMessages: boolean;
  /** Trim what is older. */
  olderThanMs: number | null;
  /** Leave what somebody has not got. */
  keepUndelivered: boolean;
  /** Set right what is wrong. */
  repair: boolean;
  /** Only what was done to this user. */
  of: string | null;
  /** Only what was done of this kind. */
  what: string | null;
}

/** What the command line asks for. */
export type Options =
  | ServeOptions
  | ClientOptions
  | MigrateOptions
  | AdminOptions
  /** Print {@linkcode helpText}. */
  | { command: "help" }
  /** Print {@linkcode VERSION}. */
  | { command: "version" };

/** A row of the table. */
export interface Option<Value> {
  /** Its name on the command line, without the dashes; `CHAT_` and the name in capitals is its variable. */
  flag: string;
  /** What stands for its value in the help; an option without one is a switch. */
  placeholder?: string;
  /** What it is for. */
  help: string;
  /** Makes the value out of the text; throws an Error that says why not. */
  parse: ParseValue<Value>;
  /** The text that counts when nobody gives one; without it the value is then null. */
  fallback?: string;
  /** What the help says instead of `fallback`. */
  fallbackHelp?: string;
  /** Its variable with `_FILE` added may name a file that holds it. */
  isSecret?: boolean;
  /** A running node takes another value over at SIGHUP. */
  isReloadable?: boolean;
  /** It is about one command that is given, and comes neither from a variable nor from a file. */
  isFlagOnly?: boolean;
}

/** A row for each value: with a fallback, unless the value may be null. */
export type Table<Values> = {
  readonly [Name in keyof Values]: null extends Values[Name]
    ? Option<NonNullable<Values[Name]>> & { fallback?: never }
    : Option<Values[Name]> & { fallback: string };
};

const ADDRESS: Table<HostPort> = {
  host: {
    flag: "host",
    placeholder: "HOST",
    help: "the same as the argument HOST",
    parse: host,
    fallback: "127.0.0.1",
  },
  port: {
    flag: "port",
    placeholder: "PORT",
    help: "the same as the argument PORT; a server given 0 takes a free one and says which",
    parse: port,
    fallback: "6000",
  },
};

const LISTENING = {
  ...ADDRESS,
  tlsPort: {
    flag: "tls-port",
    placeholder: "PORT",
    help: "also take TLS connections here; browsers have --web",
    parse: port,
  },
  tlsCertPath: {
    flag: "tls-cert",
    placeholder: "PATH",
    help: "certificate chain for that and --web-tls, PEM",
    parse: path,
  },
  tlsKeyPath: {
    flag: "tls-key",
    placeholder: "PATH",
    help: "its private key, PEM",
    parse: path,
  },
  http: {
    flag: "http",
    placeholder: "HOST:PORT",
    help: "answer /healthz, /readyz and /metrics here, and serve the page for operators",
    parse: hostPort,
  },
  web: {
    flag: "web",
    placeholder: "HOST:PORT",
    help: "serve browsers here, the page and its WebSocket; none: nowhere",
    parse: webAddress,
    fallbackHelp:
      "127.0.0.1:8080 or the next free port, for a node on loopback without --mysql, and none for others",
  },
  webTls: {
    flag: "web-tls",
    help: "speak TLS there, with --tls-cert and --tls-key",
    parse: yesOrNo,
    fallback: "false",
  },
  webOrigins: {
    flag: "web-origin",
    placeholder: "ORIGINS",
    help: "pages of these other sites may connect there too: https://chat.example,https://other.example",
    parse: origins,
  },
  udpPort: {
    flag: "udp",
    placeholder: "PORT",
    help: "take heartbeats as datagrams here",
    parse: port,
  },
  udpAnnounce: {
    flag: "udp-announce",
    placeholder: "PORT",
    help: "tell clients to send them here, where a balancer listens on another port than --udp",
    parse: port,
  },
  proxies: {
    flag: "proxy-protocol",
    placeholder: "ADDRESSES",
    help:
      "expect a PROXY protocol header from these, and only these, peers (on the port of --web also X-Forwarded-For): " +
      "IP addresses and ranges such as 127.0.0.1,10.0.0.0/8; none: no proxy stands before this node",
    parse: addressRanges,
    fallbackHelp: "no header, and who is a proxy is not known",
  },
  maxConnections: {
    flag: "max-connections",
    placeholder: "N",
    help: "most clients at a time",
    parse: integer(1, 1_000_000),
    fallback: "20000",
    isReloadable: true,
  },
  maxAnonymous: {
    flag: "max-anonymous",
    placeholder: "N",
    help: "of those, most that are not logged in; then the ones that have been silent for longest make room",
    parse: integer(1, 1_000_000),
    fallback: "10000",
    isReloadable: true,
  },
  maxAnonymousPerAddress: {
    flag: "max-anonymous-per-address",
    placeholder: "N",
    help: "of those, most from one address: IPv6 by its /64; loopback and proxies are not limited",
    parse: integer(1, 1_000_000),
    fallback: "256",
    isReloadable: true,
  },
} satisfies Partial<Table<ServeOptions>>;

const STORAGE = {
  configPath: {
    flag: "config",
    placeholder: "PATH",
    help: "file with a line NAME = VALUE for each of these options, named as here; # begins a comment",
    parse: path,
  },
  sqlitePath: {
    flag: "sqlite",
    placeholder: "PATH",
    help: "file of the embedded database; :memory: forgets everything at the end",
    parse: path,
    fallback: "./chat.db",
  },
  mysqlUrl: {
    flag: "mysql",
    placeholder: "URL",
    help: "use MySQL or MariaDB instead: mysql://USER:PASSWORD@HOST:PORT/DATABASE, and for TLS " +
      "?ssl-mode=MODE&ssl-ca=PATH (PREFERRED by default, VERIFY_IDENTITY is safest)",
    parse: mysqlUrl,
    isSecret: true,
  },
} satisfies Partial<Table<StorageOptions>>;

const CLUSTER = {
  poolSize: {
    flag: "pool-size",
    placeholder: "N",
    help: "most connections of this node to MySQL",
    parse: integer(1, 1_000),
    fallback: "10",
  },
  redisUrl: {
    flag: "redis",
    placeholder: "URL",
    help:
      "be a node of a cluster (needs --mysql): redis://USER:PASSWORD@HOST:PORT, or rediss:// with TLS; with " +
      "Sentinel redis+sentinel://:PASSWORD@HOST:PORT,HOST:PORT/NAME",
    parse: redisUrl,
    isSecret: true,
  },
  redisCaPath: {
    flag: "redis-ca",
    placeholder: "PATH",
    help: "with rediss://: certificates to trust in place of the system's, PEM",
    parse: path,
  },
  nodeName: {
    flag: "node",
    placeholder: "NAME",
    help: "name of this node, its own in the cluster and the same after a restart",
    parse: nodeName,
    fallbackHelp: "host name and port",
  },
} satisfies Partial<Table<ServeOptions>>;

const MESSAGES = {
  persist: {
    flag: "persist",
    placeholder: "all|offline",
    help: "what is stored: all messages, or of one-to-one messages only those whose receiver is away",
    parse: oneOf(["all", "offline"]),
    fallback: "all",
  },
  recallWindowMs: {
    flag: "recall-window",
    placeholder: "TIME",
    help: "how long a message can be recalled; 0: never",
    parse: duration("0", "365d"),
    fallback: "120",
    isReloadable: true,
  },
  editWindowMs: {
    flag: "edit-window",
    placeholder: "TIME",
    help: "how long a message can be edited; 0: never",
    parse: duration("0", "365d"),
    fallback: "1d",
    isReloadable: true,
  },
  ackTimeoutMs: {
    flag: "ack-timeout",
    placeholder: "TIME",
    help: "send a message again when it is not acknowledged by then",
    parse: duration("50ms", "1h"),
    fallback: "10",
  },
  maxFrameBytes: {
    flag: "max-frame",
    placeholder: "BYTES",
    help: "longest frame a client may send",
    parse: bytes(1024, 16 * 1024 ** 2),
    fallback: "64K",
  },
  v1ClientBufferBytes: {
    flag: "v1-client-buffer",
    placeholder: "BYTES",
    help:
      "the original's own clients read one frame at a time into this many (they have 1024), and end over more; 0: off",
    parse: bytesOrNone(512, 65_536),
    fallback: "0",
  },
} satisfies Partial<Table<ServeOptions>>;

const LIMITS = {
  messageRate: {
    flag: "message-rate",
    placeholder: "N",
    help: "chat messages a user may send a second, ten seconds' worth at once; 0: any number",
    parse: integer(0, 1_000_000),
    fallback: "50",
    isReloadable: true,
  },
  byteRate: {
    flag: "byte-rate",
    placeholder: "BYTES",
    help: "how long these may be together, likewise; 0: any length",
    parse: bytes(0, 1024 ** 3),
    fallback: "1M",
    isReloadable: true,
  },
  historyRate: {
    flag: "history-rate",
    placeholder: "BYTES",
    help:
      "how much history a user may read a second, a message counting 256 besides its length; 0: any amount",
    parse: bytes(0, 1024 ** 3),
    fallback: "4M",
    isReloadable: true,
  },
  lookupRate: {
    flag: "lookup-rate",
    placeholder: "N",
    help: "look-ups of people and groups a user may make a second, 100 seconds' worth at once; 0: any number",
    parse: integer(0, 1_000_000),
    fallback: "1",
    isReloadable: true,
  },
  requestRate: {
    flag: "request-rate",
    placeholder: "N",
    help: "requests to the database of a connection (of a user, from version 3 on) a second, two seconds' " +
      "worth at once; more have to wait; 0: any number",
    parse: integer(0, 1_000_000),
    fallback: "200",
    isReloadable: true,
  },
  deviceRate: {
    flag: "device-rate",
    placeholder: "N",
    help: "devices a user may make an hour by logging in, ten minutes' worth at once; 0: any number",
    parse: integer(0, 1_000_000),
    fallback: "360",
    isReloadable: true,
  },
  profileRate: {
    flag: "profile-rate",
    placeholder: "N",
    help: "how often a user may change name or status an hour, five minutes' worth at once; 0: any number",
    parse: integer(0, 1_000_000),
    fallback: "120",
    isReloadable: true,
  },
  refusalRate: {
    flag: "refusal-rate",
    placeholder: "N",
    help: "frames of a connection that may be refused a second, 50 seconds' worth at once; then it is closed",
    parse: integer(1, 1_000_000),
    fallback: "10",
    isReloadable: true,
  },
  undeliveredMessages: {
    flag: "undelivered-messages",
    placeholder: "N",
    help: "messages from one user that may wait for another; 0: any number",
    parse: integer(0, 1_000_000_000),
    fallback: "20000",
    isReloadable: true,
  },
  undeliveredBytes: {
    flag: "undelivered-bytes",
    placeholder: "BYTES",
    help: "how long these may be together; 0: any length",
    parse: bytes(0, 1024 ** 4),
    fallback: "64M",
    isReloadable: true,
  },
  signup: {
    flag: "signup",
    placeholder: "open|invite|closed",
    help: "who may sign up: anybody, those with a code that admin invite has made, or nobody",
    parse: oneOf(["open", "invite", "closed"]),
    fallback: "open",
    isReloadable: true,
  },
  signupRate: {
    flag: "signup-rate",
    placeholder: "N",
    help: "signups from one address an hour; 0: any number",
    parse: integer(0, 1_000_000),
    fallback: "200",
    isReloadable: true,
  },
  wrongPasswords: {
    flag: "wrong-passwords",
    placeholder: "N",
    help:
      "wrong passwords for one account before the next one has to wait, each longer than the one before; " +
      "as many are forgotten in ten hours",
    parse: integer(1, 1_000_000),
    fallback: "40",
    isReloadable: true,
  },
  wrongPasswordsPerAddress: {
    flag: "wrong-passwords-per-address",
    placeholder: "N",
    help: "the same from one address, for whichever accounts, and forgotten in 33 minutes; 0: any number",
    parse: integer(0, 1_000_000),
    fallback: "200",
    isReloadable: true,
  },
  wrongCodes: {
    flag: "wrong-codes",
    placeholder: "N",
    help: "likewise invitations and codes for a new password, from one address, forgotten in 20 minutes; " +
      "0: any number",
    parse: integer(0, 1_000_000),
    fallback: "20",
    isReloadable: true,
  },
  passwordMin: {
    flag: "password-min",
    placeholder: "N",
    help: "least length of a new password; a version 1 client cannot be told why a shorter one is refused",
    parse: integer(1, 100),
    fallback: "1",
    isReloadable: true,
  },
  passwordCost: {
    flag: "password-cost",
    placeholder: "N",
    help:
      "what a password's hash costs: log2 of scrypt's N, each twice the time and memory of the one before (14: " +
      "16 MiB, 40 ms); the same on all nodes, and stored ones follow at their users' next logins",
    parse: integer(10, 18),
    fallback: "14",
    isReloadable: true,
  },
  directory: {
    flag: "directory",
    placeholder: "open|closed",
    help: "whether users are found by how their names begin, or by their whole names only",
    parse: oneOf(["open", "closed"]),
    fallback: "open",
    isReloadable: true,
  },
  maxFriends: {
    flag: "max-friends",
    placeholder: "N",
    help: "friends that a user may add",
    parse: integer(0, 100_000),
    fallback: "500",
    isReloadable: true,
  },
  maxGroups: {
    flag: "max-groups",
    placeholder: "N",
    help: "groups that a user may be in",
    parse: integer(0, 100_000),
    fallback: "500",
    isReloadable: true,
  },
  maxGroupsCreated: {
    flag: "max-groups-created",
    placeholder: "N",
    help: "groups that a user may be the creator of",
    parse: integer(0, 100_000),
    fallback: "200",
    isReloadable: true,
  },
  maxMembers: {
    flag: "max-members",
    placeholder: "N",
    help: "members that a group may have",
    parse: integer(1, 100_000),
    fallback: "5000",
    isReloadable: true,
  },
  invites: {
    flag: "invites",
    placeholder: "friends|open",
    help: "whether members can add only those to a group who have added them as friends, or anybody",
    parse: oneOf(["friends", "open"]),
    fallback: "friends",
    isReloadable: true,
  },
} satisfies Partial<Table<ServeOptions>>;

const SESSIONS = {
  duplicateLogin: {
    flag: "duplicate-login",
    placeholder: "refuse|replace",
    help: "what becomes of a second login of the same user: it is refused, or it replaces the first",
    parse: oneOf(["refuse", "replace"]),
    fallback: "refuse",
    isReloadable: true,
  },
  authTimeoutMs: {
    flag: "auth-timeout",
    placeholder: "TIME",
    help: "close a connection that has not logged in by then",
    parse: duration("50ms", "24h"),
    fallback: "600",
    isReloadable: true,
  },
  tokenTtlMs: {
    flag: "token-ttl",
    placeholder: "TIME",
    help: "how long a client can resume without its password",
    parse: duration("1", "365d"),
    fallback: "30d",
  },
  maxDevices: {
    flag: "max-devices",
    placeholder: "N",
    help: "devices a user is known to have; one more takes the place of the one not used for longest",
    parse: integer(1, 100),
    fallback: "8",
  },
  heartbeatIntervalMs: {
    flag: "heartbeat-interval",
    placeholder: "TIME",
    help: "how often a client that speaks version 2 is to be heard of",
    parse: duration("50ms", "1h"),
    fallback: "30",
  },
  heartbeatMisses: {
    flag: "heartbeat-misses",
    placeholder: "N",
    help: "after so many intervals of silence it is taken for gone",
    parse: integer(1, 100),
    fallback: "3",
  },
} satisfies Partial<Table<ServeOptions>>;

const LOGGING = {
  logLevel: {
    flag: "log-level",
    placeholder: "LEVEL",
    help: `least of what is logged: ${LOG_LEVELS.join(", ")}`,
    parse: oneOf(LOG_LEVELS),
    fallback: "info",
    isReloadable: true,
  },
  logFormat: {
    flag: "log-format",
    placeholder: "text|json",
    help: "lines for people or for machines",
    parse: oneOf(["text", "json"]),
    fallback: "text",
  },
} satisfies Partial<Table<StorageOptions>>;

const OPERATION = {
  ...LOGGING,
  drainTimeoutMs: {
    flag: "drain-timeout",
    placeholder: "TIME",
    help: "how long SIGTERM may take to finish what is under way",
    parse: duration("0", "1h"),
    fallback: "10",
  },
  checkConfig: {
    flag: "check-config",
    help: "only try whether a start with these options would succeed: files, ports, database, Redis",
    parse: yesOrNo,
    fallback: "false",
  },
} satisfies Partial<Table<ServeOptions>>;

const TALKING = {
  tls: {
    flag: "tls",
    help: "connect with TLS",
    parse: yesOrNo,
    fallback: "false",
  },
  tlsCaPath: {
    flag: "tls-ca",
    placeholder: "PATH",
    help: "certificates to trust besides the system's, PEM",
    parse: path,
  },
  user: {
    flag: "user",
    placeholder: "NAME",
    help: "log in as this user at once, by name or id, with the password in CHAT_PASSWORD or asked for",
    parse: characters(100),
  },
  device: {
    flag: "device",
    placeholder: "NAME",
    help: "what this terminal is called on your other devices; without it USER@HOST terminal",
    parse: characters(64),
  },
  json: {
    flag: "json",
    help: "on a pipe, print what happens as JSON, an object a line",
    parse: yesOrNo,
    fallback: "false",
  },
  v1: {
    flag: "v1",
    help: "speak the original protocol",
    parse: yesOrNo,
    fallback: "false",
  },
  historyFolder: {
    flag: "history",
    placeholder: "FOLDER",
    help: "where to keep what was said, in a file for each server and device; --no-history keeps nothing",
    parse: path,
    fallbackHelp: "~/.local/share/chatserver",
  },
} satisfies Partial<Table<ClientOptions>>;

const SERVE: Table<Omit<ServeOptions, "command">> = {
  ...LISTENING,
  ...STORAGE,
  ...CLUSTER,
  ...MESSAGES,
  ...LIMITS,
  ...SESSIONS,
  ...OPERATION,
};

const CLIENT: Table<Omit<ClientOptions, "command" | "password" | "localUser" | "colors">> = {
  ...ADDRESS,
  ...TALKING,
};

const MIGRATE: Table<Omit<MigrateOptions, "command">> = { ...STORAGE, ...LOGGING };

/** What is asked of one command of `admin`. */
const ORDERS = {
  json: { flag: "json", help: "print JSON", parse: yesOrNo, fallback: "false", isFlagOnly: true },
  yes: {
    flag: "yes",
    help: "do not ask whether it is meant",
    parse: yesOrNo,
    fallback: "false",
    isFlagOnly: true,
  },
  by: {
    flag: "by",
    placeholder: "NAME",
    help: "who does it, for the audit; by default the user of the system",
    parse: shortText(60),
    isFlagOnly: true,
  },
  after: {
    flag: "after",
    placeholder: "ID",
    help: "only what has a higher id",
    parse: integer(0, 2 ** 31 - 1),
    isFlagOnly: true,
  },
  limit: {
    flag: "limit",
    placeholder: "N",
    help: "lines at most; 100 by default",
    parse: integer(1, 100_000),
    isFlagOnly: true,
  },
  uses: {
    flag: "uses",
    placeholder: "N",
    help: "how often the code can be used; 1 by default",
    parse: integer(1, 1_000_000),
    isFlagOnly: true,
  },
  lifetimeMs: {
    flag: "lifetime",
    placeholder: "TIME",
    help: "how long the code is good",
    parse: duration("1m", "3650d"),
    isFlagOnly: true,
  },
  note: {
    flag: "note",
    placeholder: "TEXT",
    help: "what the code is for, for people",
    parse: shortText(200),
    isFlagOnly: true,
  },
  generate: {
    flag: "generate",
    help: "make a password and print it",
    parse: yesOrNo,
    fallback: "false",
    isFlagOnly: true,
  },
  code: {
    flag: "code",
    help: "print a code by which the user chooses a password, once",
    parse: yesOrNo,
    fallback: "false",
    isFlagOnly: true,
  },
  link: {
    flag: "link",
    placeholder: "URL",
    help: "print a link to the page at this address, which takes the code",
    parse: pageAddress,
    isFlagOnly: true,
  },
  withMessages: {
    flag: "with-messages",
    help: "take the texts of the user's messages away, too",
    parse: yesOrNo,
    fallback: "false",
    isFlagOnly: true,
  },
  olderThanMs: {
    flag: "older-than",
    placeholder: "TIME",
    help: "the age, 2d at least: a client may repeat what it said a day ago",
    parse: duration("2d", "36500d"),
    isFlagOnly: true,
  },
  keepUndelivered: {
    flag: "keep-undelivered",
    help: "leave what a member of the conversation has not got yet",
    parse: yesOrNo,
    fallback: "false",
    isFlagOnly: true,
  },
  repair: {
    flag: "repair",
    help: "set right what can be",
    parse: yesOrNo,
    fallback: "false",
    isFlagOnly: true,
  },
  of: {
    flag: "of",
    placeholder: "USER",
    help: "only what was done to this user",
    parse: shortText(100),
    isFlagOnly: true,
  },
  what: {
    flag: "what",
    placeholder: "WHAT",
    help: "only what was done of this kind, as in the second column",
    parse: shortText(32),
    isFlagOnly: true,
  },
} satisfies Partial<Table<AdminOptions>>;

const ADMIN: Table<Omit<AdminOptions, "command" | "words" | "isHelp">> = {
  ...STORAGE,
  ...LOGGING,
  ...ORDERS,
};

/** The table of each command. */
export const TABLES = { serve: SERVE, client: CLIENT, migrate: MIGRATE, admin: ADMIN } as const;

/** The name of a command. */
export type CommandName = keyof typeof TABLES;

/** A part of the help: a heading and rows of the table. */
export interface HelpSection {
  /** The line above the rows. */
  heading: string;
  /** The rows. */
  options: readonly Option<unknown>[];
}

/** The table in the order of the help. */
export const HELP_SECTIONS: readonly HelpSection[] = [
  { heading: "serve: where to listen", options: Object.values(LISTENING) },
  { heading: "serve, migrate and admin: where options and data are", options: Object.values(STORAGE) },
  { heading: "serve: the cluster", options: Object.values(CLUSTER) },
  { heading: "serve: messages", options: Object.values(MESSAGES) },
  { heading: "serve: limits for each user, connection and address", options: Object.values(LIMITS) },
  { heading: "serve: sessions", options: Object.values(SESSIONS) },
  { heading: "serve: operation; the log also of migrate and admin", options: Object.values(OPERATION) },
  { heading: "client, beside --host and --port", options: Object.values(TALKING) },
];

/** The environment variable that stands for an option. */
export function variableOf({ flag }: Pick<Option<unknown>, "flag">): string {
  return `CHAT_${flag.toUpperCase().replaceAll("-", "_")}`;
}
