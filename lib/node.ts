/**
 * Puts a node together, from the database up to the listener, and takes it apart again in the opposite order.
 *
 * @module
 */
import type { Session } from "./chat/session.ts";
import { Admission } from "./chat/admission.ts";
import { AdminEvents } from "./store/admin_events.ts";
import { AdminOrders } from "./chat/admin_orders.ts";
import { Backlogs } from "./log/backlogs.ts";
import { type Late, openCluster, probeRedis } from "./join_cluster.ts";
import { Delivery } from "./log/delivery.ts";
import { DescriptorReserve } from "./net/descriptor_reserve.ts";
import { ENVELOPE } from "./cluster/envelope.ts";
import { Ends } from "./store/ends.ts";
import { errorText, type FatalError, isTemporary } from "./base/errors.ts";
import { Deletions } from "./chat/deletions.ts";
import { DeviceDesk } from "./chat/device_desk.ts";
import { giveUpAfter } from "./base/give_up_after.ts";
import { Guesses } from "./chat/guesses.ts";
import { LimitBook, LimitCounters } from "./chat/limit_book.ts";
import { Limiter } from "./base/limiter.ts";
import { LogBudget } from "./base/log_budget.ts";
import type { Logger } from "./base/logger.ts";
import { MessageLog } from "./log/message_log.ts";
import type { ServeOptions } from "./config/options.ts";
import { compareOptions, type OptionChanges } from "./config/reload.ts";
import { News } from "./log/news.ts";
import { PageRoom } from "./chat/page_room.ts";
import { Passwords } from "./chat/password.ts";
import { PresenceNews } from "./log/presence_news.ts";
import { Positions } from "./log/positions.ts";
import { addressesOf, bindPorts, type Closer, letIn, openHttp, type Ports, takeBeats } from "./ports.ts";
import { conversationOfUsers } from "./protocol/protocol.ts";
import { Quotas } from "./chat/quotas.ts";
import { RecentLines } from "./observe/recent_lines.ts";
import { RecentPasswords } from "./chat/recent_passwords.ts";
import { openReadGate, type ReadGate } from "./net/read_gate.ts";
import { Rewind } from "./log/rewind.ts";
import { ChatServer } from "./chat/server.ts";
import type { Services, Settings } from "./chat/services.ts";
import { AccessCodes } from "./store/access_codes.ts";
import { Actions } from "./store/actions.ts";
import { Contacts } from "./store/contacts.ts";
import { Conversations } from "./store/conversations.ts";
import { forgetPlaces } from "./store/delete_user.ts";
import { Devices } from "./store/devices.ts";
import { Groups } from "./store/groups.ts";
import { Messages } from "./store/messages.ts";
import { inspectDatabase, openDatabase } from "./store/open.ts";
import { Profiles } from "./store/profiles.ts";
import { NodeReports } from "./store/node_reports.ts";
import { Timeline } from "./store/timeline.ts";
import { Tokens } from "./store/tokens.ts";
import { Users } from "./store/users.ts";
import { TokenDesk } from "./chat/tokens.ts";
import { turnTime } from "./base/turn.ts";
import { Watchers } from "./log/watchers.ts";

/** How often positions are written and clients are looked after. */
const TICK_MS = 1_000;
/** How often a node looks for missed messages: while the bus is down or lies, and otherwise for whatever nobody has thought of. */
const SWEEP_IN_DOUBT_MS = 2_000;
const SWEEP_MS = 15_000;
/** Share of the drain time in which clients have to go; the rest is for what they leave to be written. */
const CLIENTS_SHARE = 0.75;
/** Lines a second about clients' faults, and as many about what could not be done for them. */
const CLIENT_LINES_PER_SECOND = 20;
/** Mailboxes that read the log at once. */
const READERS = 8;

/** A running node. */
export interface Node {
  /** Where it listens: "host:port", and what else there is, as in ", tls host:port". */
  readonly addresses: string;
  /** Resolves when the node cannot go on by itself; it is still to be drained. */
  readonly failure: Promise<FatalError>;
  /**
   * Takes over what it can of options that were read again; the certificate is read again, too. Throws a FatalError, and
   * changes nothing, when that cannot be used.
   */
  reload(wanted: ServeOptions): Pick<OptionChanges, "taken" | "left">;
  /** Lets everyone finish and closes; resolves with whether that was done within the drain time-out. */
  drain(): Promise<boolean>;
}

/** Closes what was opened last first. */
async function closeAll(closers: Closer[]): Promise<void> {
  for (const close of closers.reverse()) await close();
}

/** Starts a node. Throws a FatalError when something it needs is not there. */
export async function startNode(options: ServeOptions, logger: Logger): Promise<Node> {
  const closers: Closer[] = [];
  try {
    return await assemble(options, new RecentLines(logger), closers);
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

/** What can go wrong without anything being changed: files, ports, and whether Redis lets us in. */
async function prepare(
  options: ServeOptions,
  logger: Logger,
  closers: Closer[],
): Promise<{ gate: ReadGate; ports: Ports }> {
  const gate = await openReadGate();
  closers.push(() => gate.close());
  const ports = await bindPorts(options, gate, logger, closers);
  await probeRedis(options, logger);
  return { gate, ports };
}

/**
 * Does what a start does before it changes anything. Resolves with what a start would have to do to the database, a line
 * each; throws the FatalError that a start would.
 */
export async function checkNode(options: ServeOptions, logger: Logger): Promise<string[]> {
  const closers: Closer[] = [];
  try {
    await prepare(options, logger, closers);
    return await inspectDatabase(options, logger);
  } finally {
    await closeAll(closers);
  }
}

/** Those of the options that handlers decide by. */
function settingsOf(options: ServeOptions): Omit<Settings, "isClustered" | "udpPort"> {
  const { persist, duplicateLogin, recallWindowMs, editWindowMs, maxFrameBytes, signup, passwordMin } =
    options;
  const { heartbeatIntervalMs, heartbeatMisses, directory, maxFriends } = options;
  const { maxGroups, maxGroupsCreated, maxMembers, invites } = options;
  return {
    persist,
    duplicateLogin,
    recallWindowMs,
    editWindowMs,
    maxFrameBytes,
    signup,
    passwordMin,
    directory,
    maxFriends,
    maxGroups,
    maxGroupsCreated,
    maxMembers,
    invites,
    heartbeatIntervalMs,
    heartbeatMisses,
  };
}

/** Of what may wait for those who are away. */
function boundsOf({ undeliveredMessages, undeliveredBytes }: ServeOptions) {
  return { maxMessages: undeliveredMessages, maxBytes: undeliveredBytes };
}

async function assemble(
  given: ServeOptions,
  logger: RecentLines,
  closers: Closer[],
): Promise<Node> {
  /** Others look into it, too: a reload changes it in place. */
  const options = { ...given };
  const { gate, ports } = await prepare(options, logger, closers);
  const refusalLines = new LogBudget(CLIENT_LINES_PER_SECOND);
  const answerAbout = ports.http && openHttp(ports.http, { gate, logger, refusalLines }, closers);
  const { db, steps } = await openDatabase(options, options.poolSize, logger);
  closers.push(() => db.close());
  for (const step of steps) logger.info("migrated", { step });

  const users = new Users(db);
  const groups = new Groups(db);
  const contacts = new Contacts(db);
  const messages = new Messages(db);
  const actions = new Actions(db);
  const conversations = new Conversations(db);
  const devices = new Devices(db);
  const origin = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  // A free port is another one after each start; the name then only has to be this node's own.
  const node = options.nodeName ?? `${Deno.hostname()}-${options.port || origin}`;
  // Handlers of the bus and of presence: bound below, when what they speak to is there.
  const late: Late = { fail: () => {} };
  const failure = new Promise<FatalError>((resolve) => late.fail = resolve);
  const cluster = await openCluster({ place: options, db, node, origin, late, logger }, closers);
  const { bus, presence, channelPrefix, tallies, roster } = cluster;
  const isClustered = options.redisUrl !== null;

  const ends = new Ends();
  const positions = new Positions(messages, logger, (moves) => delivery.sendReceipts(moves));
  const delivery = new Delivery<Session>({
    bus,
    isClustered,
    channelPrefix,
    messages,
    ends,
    onDoubt: () => isInDoubt = true,
    onSweep: () => lookAround(),
    logger,
    node,
    origin,
    isStoring: (sender, receiver) => log.isStoring(sender, receiver),
    onGiveWay: (envelope) => admission.onGiveWay(envelope),
    isSure: () => presence.isSure,
    onCatchUp: (userId) => admission.catchUp(userId),
    onRevoked: (userId, device) => admission.onRevoked(userId, device),
    onMet: (session, userId, isSender) => news.hear(session, userId, isSender),
    isBlocked: (session, userId) => watchers.isBlocked(session, userId),
    onPresence: (userId) => presenceNews.note(userId),
    onDetached: (session) => {
      watchers.leave(session);
      presenceNews.forget(session);
    },
    onNews(envelope, audience) {
      const { kind, frame } = envelope;
      if (kind === ENVELOPE.presence) presenceNews.onMessage(frame);
      else if (kind === ENVELOPE.peer || kind === ENVELOPE.verified) recentPasswords.onMessage(envelope);
      else news.onMessage(envelope, audience);
    },
    onUndeliverable: (sender, receiver, text, cid) => storeUndeliverable(sender, receiver, text, cid),
  });
  const recentPasswords = new RecentPasswords({ delivery, now: turnTime });
  const watchers = new Watchers<Session>();
  const presenceNews: PresenceNews<Session> = new PresenceNews({ delivery, presence, watchers, logger });
  closers.push(() => presenceNews.close());
  const news: News<Session> = new News({
    delivery,
    watchers,
    contacts,
    onLook: (userId) => presenceNews.look(userId),
  });
  const log = new MessageLog({
    db,
    logger,
    onStored: (stored) => delivery.deliver(stored),
    ends,
    onBehind: (conversations) => rewind.look(conversations),
  });
  const storeUndeliverable = async (sender: number, receiver: number, text: string, cid?: string) => {
    const conversation = conversationOfUsers(sender, receiver);
    const draft = { conversation, users: [sender, receiver] as const, sender, text };
    for (;;) {
      try {
        await log.append(cid === undefined ? draft : { ...draft, cid });
        return;
      } catch (error) {
        // With a cid it is refused when the database stays away; its sender has been told that all is well.
        if (cid !== undefined && isTemporary(error)) {
          await new Promise((resolve) => setTimeout(resolve, TICK_MS));
        } else {
          logger.error("message lost", { sender, reason: String(error) });
          return;
        }
      }
    }
  };
  const admission = new Admission({
    presence,
    bus,
    channelPrefix,
    node,
    delivery,
    positions,
    readers: new Limiter(READERS),
    news,
    presenceNews,
    users,
    groups,
    messages,
    devices,
    tokenTtlMs: options.tokenTtlMs,
    logger,
  });
  const rewind: Rewind = new Rewind({
    ends,
    timeline: new Timeline(db),
    positions,
    suspend: () => admission.suspend(),
    renew: () => admission.renew(),
    tellOthers: () => delivery.requestSweep(),
    logger,
  });
  closers.push(() => rewind.close());
  let isInDoubt = false;
  const makeSure = async () => {
    isInDoubt = false;
    await rewind.check().catch((error) => {
      logger.warn("cannot make sure of the log; tried again later", { reason: errorText(error) });
    });
  };
  const lookAround = async () => {
    await makeSure();
    await delivery.sweep();
    await admission.checkDevices().catch((error) => {
      logger.warn("cannot look whether devices were revoked; tried again later", {
        reason: errorText(error),
      });
    });
  };
  late.delivery = delivery;
  late.admission = admission;
  late.presenceNews = presenceNews;
  if (isClustered) {
    const channels = [delivery.sweepChannel, delivery.parcelChannel, admission.nodeChannel];
    await Promise.all(channels.map((channel) => bus.subscribe(channel)));
  }
  await admission.reconcileStates();
  // An earlier process of this name may have stored messages, and died before it rang for them.
  delivery.requestSweep();

  const limited = new LimitCounters();
  const limits = new LimitBook(limited);
  const quotas = new Quotas(options, turnTime);
  const guesses = new Guesses(tallies, options);
  const orders = new AdminOrders({
    events: new AdminEvents(db),
    reports: new NodeReports(db),
    node: { node, origin },
    limits,
    quotas,
    guesses,
    users,
    delivery,
    admission,
    positions,
    forgetPlaces: (userId) => forgetPlaces(db, userId),
    logger,
  });
  closers.push(() => orders.end());
  await orders.begin();
  const deletions = new Deletions(db, logger);
  closers.push(() => deletions.close());
  const passwords = new Passwords(options);
  closers.push(() => passwords[Symbol.dispose]());
  const tokens = new TokenDesk(new Tokens(db), options.tokenTtlMs, Date.now, (error) => {
    logger.warn("cannot revoke tokens of users who have logged out; tried again", {
      reason: errorText(error),
    });
  });
  const deviceDesk = new DeviceDesk({
    devices,
    presence,
    sign: cluster.sign,
    positions: (userId) => messages.positions(userId),
    ttlMs: options.tokenTtlMs,
    maxDevices: options.maxDevices,
    onRevoked: (userId, device) => admission.revoke(userId, device),
    onError: (error) =>
      logger.warn("cannot revoke devices of users who have logged out; tried again", {
        reason: errorText(error),
      }),
  });
  const beatTokens = {
    recogniseBeat: async (key: string, userId: number, password: string) =>
      await tokens.recogniseBeat(key, userId, password) ||
      await deviceDesk.recogniseBeat(key, userId, password),
  };
  const beats = ports.udp &&
    takeBeats(options, ports.udp, { users, tokens: beatTokens, delivery, isClustered }, logger, closers);
  const services: Services = {
    settings: {
      ...settingsOf(options),
      isClustered,
      ...(beats ? { udpPort: options.udpAnnounce ?? beats.port } : {}),
    },
    logger,
    refusalLines,
    failureLines: new LogBudget(CLIENT_LINES_PER_SECOND),
    users,
    codes: new AccessCodes(db),
    contacts,
    profiles: new Profiles(db),
    groups,
    dialect: db.dialect,
    messages,
    actions,
    conversations,
    log,
    delivery,
    news,
    deletions,
    admission,
    orders,
    passwords,
    recentPasswords,
    tokens,
    devices: deviceDesk,
    epoch: () => rewind.epoch(),
    quotas,
    backlogs: new Backlogs({
      ...boundsOf(options),
      maxFrameBytes: options.maxFrameBytes,
      messages,
      now: turnTime,
    }),
    guesses,
    pages: new PageRoom(),
    limited,
    limits,
  };
  const reserve = await DescriptorReserve.hold();
  closers.push(() => void reserve.release());
  const server = new ChatServer(options, services, gate, reserve);
  closers.push(() => server.stopAccepting());
  answerAbout?.({
    server,
    delivery,
    log,
    presence,
    bus,
    isClustered,
    beats,
    db,
    limited,
    lines: logger,
    users,
    guesses: services.guesses,
    roster,
    node,
    options,
    logger,
    passwords,
    recentPasswords,
  });
  letIn(options, ports, server);
  const addresses = addressesOf(ports);
  logger.info("listening", addresses);

  let sweptAt = performance.now();
  const ticker = setInterval(() => {
    const now = performance.now();
    server.tick(now);
    positions.flush();
    admission.tick();
    recentPasswords.tick();
    tokens.catchUp();
    orders.tick();
    deletions.tick();
    deviceDesk.catchUp();
    // The embedded database is this process's own: nobody else writes to it or puts another in its place.
    if (isInDoubt) makeSure();
    if (options.mysqlUrl === null || now - sweptAt < (delivery.isInDoubt ? SWEEP_IN_DOUBT_MS : SWEEP_MS)) {
      return;
    }
    sweptAt = now;
    lookAround();
  }, TICK_MS);

  return {
    addresses: Object.entries(addresses)
      .map(([kind, address]) => kind === "tcp" ? address : `${kind} ${address}`).join(", "),
    failure,
    reload(wanted) {
      const { next, taken, left } = compareOptions(options, wanted);
      // One for both ports.
      const isNewCertificate = (ports.tls?.server ?? ports.web?.tls)?.reload() ?? false;
      if (taken.length > 0) {
        Object.assign(options, next);
        Object.assign(services.settings, settingsOf(options));
        services.quotas.change(options);
        services.backlogs.limit(boundsOf(options));
      }
      return { taken: isNewCertificate ? [...taken, "tls-cert"] : taken, left };
    },
    async drain() {
      const { drainTimeoutMs } = options;
      const deadline = performance.now() + drainTimeoutMs;
      const finish = async () => {
        // What comes to this channel later is answered for by nobody: the log is about to be closed.
        if (isClustered) bus.unsubscribe(delivery.parcelChannel);
        await server.drain(drainTimeoutMs * CLIENTS_SHARE);
        await admission.settled();
        await tokens.catchUp();
        await deviceDesk.catchUp();
        await log.close(Math.max(0, deadline - performance.now()));
        clearInterval(ticker);
        await positions.flush();
        await closeAll(closers);
      };
      try {
        await giveUpAfter(
          drainTimeoutMs,
          finish(),
          () => new Error(`it takes longer than ${drainTimeoutMs} ms`),
        );
        return true;
      } catch (error) {
        logger.error("cannot end in good order", { reason: errorText(error) });
        return false;
      }
    },
  };
}
