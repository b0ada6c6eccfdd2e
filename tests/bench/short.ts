/**
 * The bench's assertions of behaviour, for CI: counts, which a busy machine hardly changes.
 *
 * @module
 */
import { readMetrics } from "../support/metrics.ts";
import { startRedis } from "../support/services.ts";
import { createAccounts } from "./accounts.ts";
import {
  type Bench,
  makeAccounts,
  mariaDbStorage,
  openPairs,
  sqliteStorage,
  startNode,
  withStorage,
} from "./bench.ts";
import { countStatements, createGroup } from "./group.ts";
import { GroupTalk } from "./group_talk.ts";
import { openClients } from "./load_client.ts";

const MEMBERS = 20;
const MS = 1_000;
/** What a batch consists of, beside one SELECT. */
const BATCH_STATEMENTS = ["begin", "insert", "commit"];

/** Publishes of a group's messages, statements of a batch, and batches that hold more than one message. */
export const short: Bench = async ({ gate, report, say }) => {
  say("publishes and statements");
  {
    await using storage = await mariaDbStorage();
    await using redis = await startRedis();
    const members = await withStorage(storage, async (db) => {
      const accounts = await createAccounts(db, MEMBERS);
      await createGroup(db, 1, accounts);
      return accounts;
    });
    const args = ["--redis", redis.url, "--http", "127.0.0.1:0"];
    await using one = await startNode(storage, [...args, "--node", "one"]);
    await using two = await startNode(storage, [...args, "--node", "two"]);
    const nodes = [one, two];
    const clients = await openClients(members, (index) => nodes[index % 2]?.port ?? 0, gate);
    const talk = new GroupTalk(1, clients, 4);
    const sum = async (metric: string) => {
      const metrics = await Promise.all(nodes.map(readMetrics));
      return metrics.reduce((total, node) => total + node.value(metric), 0);
    };
    const { mariaDb } = storage;
    const count = async (kinds: string[]) => mariaDb ? await countStatements(mariaDb, kinds) : NaN;
    const published = await sum("chat_publishes_total");
    const batches = await sum("chat_commit_batches_total");
    const written = await count(BATCH_STATEMENTS);
    const read = await count(["select"]);
    await talk.run(MS);
    const messages = talk.messages;
    report({
      target: 4,
      what: "publishes for each group message, receipts and all",
      value: (await sum("chat_publishes_total") - published) / messages,
      unit: "",
      // A node publishes the receipts of a group once a second.
      goal: { at: "most", bound: 1 + 10 / messages + 0.05 },
    });
    const newBatches = await sum("chat_commit_batches_total") - batches;
    report({
      target: 3,
      what: "statements that write, for each batch, MariaDB",
      value: (await count(BATCH_STATEMENTS) - written) / newBatches,
      unit: "",
      // START TRANSACTION, the conversations, the messages, COMMIT; positions are written on top, once a second.
      goal: { at: "most", bound: 4 + 40 / newBatches },
    });
    report({
      target: 4,
      what: "reads of the log for each group message, speakers on both nodes",
      value: (await count(["select"]) - read - newBatches) / messages,
      unit: "",
      // A node's look for what it has missed, and a hole that a very busy machine leaves open for too long.
      goal: { at: "most", bound: 1 + 10 / messages },
    });
    for (const client of clients) client.close();
  }
  await using storage = await sqliteStorage();
  const accounts = await makeAccounts(storage, 200);
  await using server = await startNode(storage, ["--http", "127.0.0.1:0"]);
  using pairs = await openPairs([server], accounts, 1, gate);
  await pairs.run(MS);
  const metrics = await readMetrics(server);
  report({
    target: 3,
    what: "messages in a batch, 100 pairs, SQLite",
    value: metrics.value("chat_messages_stored_total") / metrics.value("chat_commit_batches_total"),
    unit: "",
    goal: { at: "least", bound: 5 },
  });
};
